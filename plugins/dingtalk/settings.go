package dingtalk

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// settings are a destination's own keys.
type settings struct {
	URL     string `json:"url"`
	Secret  string `json:"secret,omitempty"`
	Keyword string `json:"keyword,omitempty"`
}

const (
	webhookPath    = "/robot/send"
	tokenParameter = "access_token"

	// maxKeyword keeps a keyword from crowding out the message, in bytes.
	maxKeyword = 200
)

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the robot's webhook, such as https://oapi.dingtalk.com/robot/send?access_token=…; without it the destination reaches people only"
    },
    "secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the secret of the robot's signature, which begins with SEC; leave it out when the robot wants no signature"
    },
    "keyword": {
      "type": "string",
      "minLength": 1,
      "description": "one of the robot's keywords; it is added to a message that lacks it"
    }
  }
}`

// check says every fault; the URL is good when there is none.
func (s settings) check() (*url.URL, []plugin.Problem) {
	u, problems := checkURL(s.URL)
	if s.URL == "" {
		problems = []plugin.Problem{{NoChannel: true, Message: "url is missing; add a custom robot to the group (group settings, Group Assistant, Add Robot, Custom) and copy its webhook"}}
	}
	fault := func(pointer, message string) {
		problems = append(problems, plugin.Problem{Pointer: pointer, Message: message})
	}
	if s.Secret != "" && !goodSecret(s.Secret) {
		fault("/secret", "not a robot's secret, which is SEC and letters and digits; copy it from the robot's security settings")
	}
	switch {
	case s.Keyword != "" && strings.TrimSpace(s.Keyword) == "", strings.ContainsFunc(s.Keyword, unicode.IsControl):
		fault("/keyword", "a keyword is one line of text; write one of the robot's keywords as it stands in its security settings")
	case len(s.Keyword) > maxKeyword:
		fault("/keyword", fmt.Sprintf("the keyword has %d bytes; there may be %d", len(s.Keyword), maxKeyword))
	}
	return u, problems
}

// goodSecret: the prefix belongs to the secret, and to what is signed with.
func goodSecret(s string) bool {
	rest, ok := strings.CutPrefix(s, "SEC")
	return ok && rest != "" && !strings.ContainsFunc(rest, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// checkURL parses a webhook's URL. The URL is nil when it cannot be used.
func checkURL(raw string) (*url.URL, []plugin.Problem) {
	fault := func(message string) (*url.URL, []plugin.Problem) {
		return nil, []plugin.Problem{{Pointer: "/url", Message: message}}
	}
	u, why := post.URL(raw)
	if why != "" {
		return fault(why + "; copy the robot's webhook from DingTalk, such as https://oapi.dingtalk.com/robot/send?access_token=…")
	}
	host := u.Hostname()
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case u.Scheme == "http" && !post.Loopback(host):
		return fault("http is taken to a loopback address only; use https")
	case err != nil:
		return fault("the URL's query cannot be read; copy the robot's webhook anew")
	case query.Has("sign") || query.Has("timestamp"):
		return fault("the URL holds a signature, which is good for an hour; take timestamp and sign off and write the robot's secret under secret")
	case dingtalkHost(host) && u.Path != webhookPath:
		return fault("the URL is not a robot's webhook, which has the path " + webhookPath)
	case strings.HasSuffix(u.Path, webhookPath) && strings.TrimSpace(query.Get(tokenParameter)) == "":
		return fault("the URL has no access_token; copy the whole webhook, which ends in ?access_token=…")
	case u.Path == "" || u.Path == "/":
		return fault("the URL has no path; copy the whole URL of the webhook")
	case dingtalkHost(host) || post.Loopback(host):
		return u, nil
	}
	return u, []plugin.Problem{{
		Pointer: "/url",
		Message: fmt.Sprintf("%s is not DingTalk's host (oapi.dingtalk.com); messages are sent there all the same", host),
		Warning: true,
	}}
}

// dingtalkHost: the second one serves the international edition.
func dingtalkHost(host string) bool {
	host = strings.ToLower(host)
	return host == "oapi.dingtalk.com" || host == "oapi.dingtalk.io"
}
