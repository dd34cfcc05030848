package wecom

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// settings are a destination's own keys.
type settings struct {
	URL string `json:"url"`
}

const (
	webhookHost  = "qyapi.weixin.qq.com"
	webhookPath  = "/cgi-bin/webhook/send"
	keyParameter = "key"
)

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the robot's webhook, such as https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"
    }
  }
}`

// checkURL parses a webhook's URL. The URL is nil when it cannot be used.
func checkURL(raw string) (*url.URL, []plugin.Problem) {
	fault := func(message string) (*url.URL, []plugin.Problem) {
		return nil, []plugin.Problem{{Pointer: "/url", Message: message}}
	}
	u, why := post.URL(raw)
	if why != "" {
		return fault(why + "; copy the robot's webhook from WeCom, such as https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…")
	}
	host := u.Hostname()
	own := strings.EqualFold(host, webhookHost)
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case u.Scheme == "http" && !post.Loopback(host):
		return fault("http is taken to a loopback address only; use https")
	case err != nil:
		return fault("the URL's query cannot be read; copy the robot's webhook anew")
	case own && u.Path != webhookPath:
		return fault("the URL is not a robot's webhook, which has the path " + webhookPath)
	case strings.HasSuffix(u.Path, webhookPath) && strings.TrimSpace(query.Get(keyParameter)) == "":
		return fault("the URL has no key; copy the whole webhook, which ends in ?key=…")
	case u.Path == "" || u.Path == "/":
		return fault("the URL has no path; copy the whole URL of the webhook")
	case own || post.Loopback(host):
		return u, nil
	}
	return u, []plugin.Problem{{
		Pointer: "/url",
		Message: fmt.Sprintf("%s is not WeCom's host (%s); messages are sent there all the same", host, webhookHost),
		Warning: true,
	}}
}
