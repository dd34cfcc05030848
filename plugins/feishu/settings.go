package feishu

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The editions. A group lives in exactly one of them.
const (
	domainFeishu = "feishu"
	domainLark   = "lark"

	hostFeishu = "open.feishu.cn"
	hostLark   = "open.larksuite.com"

	hookPath = "/open-apis/bot/v2/hook/" // and the bot's token

	// maxKeyword keeps a keyword from taking the room of the message, in bytes.
	maxKeyword = 200
)

// entrySettings are the keys of an entry of `providers`.
type entrySettings struct {
	Domain    string `json:"domain"`
	APIBase   string `json:"api_base"`
	AppID     string `json:"app_id"`
	AppSecret string `json:"app_secret"`
}

const providerSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "domain": {
      "type": "string",
      "enum": ["feishu", "lark"],
      "default": "feishu",
      "description": "feishu (open.feishu.cn), or lark, its international edition (open.larksuite.com)"
    },
    "api_base": {
      "type": "string",
      "minLength": 1,
      "description": "the base URL of a private deployment or a gateway; default: https://open.feishu.cn, or https://open.larksuite.com for domain: lark"
    },
    "app_id": {
      "type": "string",
      "minLength": 1,
      "description": "the App ID (cli_…) of a custom app with the bot capability; direct messages need it"
    },
    "app_secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the app's App Secret"
    }
  }
}`

// settings are a destination's own keys.
type settings struct {
	URL     string `json:"url"`
	Secret  string `json:"secret"`
	Keyword string `json:"keyword"`
}

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the custom bot's webhook, such as https://open.feishu.cn/open-apis/bot/v2/hook/…; without it the destination reaches people only"
    },
    "secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the bot's secret, where its security settings ask for a signature"
    },
    "keyword": {
      "type": "string",
      "minLength": 1,
      "description": "one of the bot's keywords, where its security settings ask for one; it is added to a message that lacks it"
    }
  }
}`

// readEntry decodes what the provider's schema has passed.
func readEntry(raw json.RawMessage) (entry entrySettings, fault *plugin.Problem) {
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &entry); err != nil {
			return entry, &plugin.Problem{Provider: true, Message: "the settings cannot be read: " + err.Error()}
		}
	}
	return entry, nil
}

// read decodes what the schemas have passed.
func read(s plugin.Settings, entry *entrySettings, target *settings) (fault *plugin.Problem) {
	if *entry, fault = readEntry(s.Provider); fault != nil {
		return fault
	}
	if err := json.Unmarshal(s.Target, target); err != nil {
		return &plugin.Problem{Message: "the settings cannot be read: " + err.Error()}
	}
	return nil
}

// check says every fault. The URL is good where there is none.
func (s settings) check(entry entrySettings) (*url.URL, []plugin.Problem) {
	private, problems := entry.check()
	u, fault, warning := checkURL(s.URL, entry.Domain, private)
	switch {
	case s.URL == "":
		problems = append(problems, plugin.Problem{NoChannel: true, Message: "url is missing; add a custom bot to the group (Settings, Bots, Add Bot, Custom Bot) and copy its webhook's URL"})
	case fault != "":
		problems = append(problems, plugin.Problem{Pointer: "/url", Message: fault})
	case warning != "":
		problems = append(problems, plugin.Problem{Pointer: "/url", Message: warning, Warning: true})
	}
	if strings.ContainsFunc(s.Secret, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
		problems = append(problems, plugin.Problem{
			Pointer: "/secret",
			Message: "the secret holds a space, a line break or another character that no secret has; copy it anew from the bot's security settings",
		})
	}
	switch {
	case s.Keyword != strings.TrimSpace(s.Keyword) || strings.ContainsFunc(s.Keyword, unicode.IsControl):
		problems = append(problems, plugin.Problem{Pointer: "/keyword", Message: "the keyword begins or ends with a space, or holds a control character; write it as the bot's security settings show it"})
	case len(s.Keyword) > maxKeyword:
		problems = append(problems, plugin.Problem{Pointer: "/keyword", Message: fmt.Sprintf("the keyword has %d bytes; relay takes %d", len(s.Keyword), maxKeyword)})
	}
	return u, problems
}

// check says what is wrong with an entry, and which host it makes the vendor's.
func (e entrySettings) check() (host string, problems []plugin.Problem) {
	switch e.Domain {
	case "", domainFeishu, domainLark:
	default:
		problems = append(problems, plugin.Problem{Provider: true, Pointer: "/domain", Message: fmt.Sprintf("%q is not a domain; write feishu or lark", e.Domain)})
	}
	base, fault := post.BaseURL(e.APIBase, "https://"+hostFeishu)
	if fault != "" {
		return "", append(problems, plugin.Problem{Provider: true, Pointer: "/api_base", Message: fault})
	}
	u, err := url.Parse(base)
	if err != nil || e.APIBase == "" {
		return "", problems
	}
	return u.Host, problems
}

// checkURL judges a webhook's URL. private is the host of a private deployment.
func checkURL(raw, domain, private string) (u *url.URL, fault, warning string) {
	u, why := post.URL(raw)
	if why != "" {
		return nil, why + "; copy the custom bot's webhook, such as https://" + hostFeishu + hookPath + "…", ""
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.Scheme == "http" && !post.Loopback(host):
		return nil, "http is taken to a loopback address only; use https", ""
	case host == hostFeishu, host == hostLark, private != "" && strings.EqualFold(u.Host, private):
		token, ok := strings.CutPrefix(u.Path, hookPath)
		switch {
		case !ok:
			return nil, "the URL is not that of a custom bot's webhook; copy the whole URL from the bot, with " + hookPath + "… in it", ""
		case token == "" || strings.Contains(token, "/"):
			return nil, "the URL has no bot's token; copy the whole URL, which ends in " + hookPath + " and the token", ""
		case host == hostLark && domain != domainLark:
			return u, "", hostLark + " is Lark's; write domain: lark into the provider's entry, so that people are looked up there too"
		case host == hostFeishu && domain == domainLark:
			return u, "", hostFeishu + " is Feishu's, and the provider's entry says domain: lark; use an entry without it"
		}
		return u, "", ""
	case u.Path == "" || u.Path == "/":
		return nil, "the URL has no path; copy the whole URL of the webhook", ""
	case post.Loopback(host):
		return u, "", ""
	}
	return u, "", fmt.Sprintf("%s is not Feishu's host (%s) or Lark's (%s); messages are sent there all the same", host, hostFeishu, hostLark)
}
