package teams

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// settings are a destination's own keys.
type settings struct {
	URL              string `json:"url"`
	DirectMessageURL string `json:"direct_message_url"`
}

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the URL of a workflow that is triggered by a webhook, https://….api.powerplatform.com/…?…&sig=…"
    },
    "direct_message_url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the URL of a workflow that posts to whom the request names as its top-level recipient (an email); direct messages go there, also where the provider has a bot"
    }
  }
}`

// howToURL is the way to a channel's flow.
const howToURL = "in Teams open the channel's Workflows, choose the template for when a webhook request is received, and copy the URL that it shows"

// checkURL parses the URL of a flow, which is the value of key. The URL is nil
// when it cannot be used.
func checkURL(key, raw string) (*url.URL, []plugin.Problem) {
	problem := func(warning bool, format string, args ...any) []plugin.Problem {
		return []plugin.Problem{{Pointer: "/" + key, Message: fmt.Sprintf(format, args...), Warning: warning}}
	}
	u, why := post.URL(raw)
	if why != "" {
		return nil, problem(false, "%s; copy the workflow's from Teams, https://….api.powerplatform.com/…?…&sig=…", why)
	}
	u.Fragment, u.RawFragment = "", ""
	host := strings.ToLower(u.Hostname())
	current, old := strings.HasSuffix(host, ".api.powerplatform.com"), strings.HasSuffix(host, ".logic.azure.com")
	switch {
	case retired(host):
		return nil, problem(false, "%s is an Office 365 connector, which Microsoft retires; "+howToURL, host)
	case u.Scheme == "http" && !post.Loopback(host):
		return nil, problem(false, "http is taken to a loopback address only; use https")
	case u.Path == "" || u.Path == "/":
		return nil, problem(false, "the URL has no path; copy the whole URL of the workflow")
	case (current || old) && u.Query().Get("sig") == "":
		return nil, problem(false, "the URL has no sig; set the trigger's \"Who can trigger the flow?\" to Anyone, save, and copy the whole URL")
	case old: // observed: Microsoft wrote to the owners of such flows
		return u, problem(true, "URLs at logic.azure.com end with November 2025; open the workflow and copy its new URL at api.powerplatform.com")
	case current, post.Loopback(host):
		return u, nil
	}
	return u, problem(true, "%s is not a host of Microsoft's workflows (*.api.powerplatform.com); messages are sent there all the same", host)
}

// retired reports whether a host serves the connectors of old.
func retired(host string) bool {
	switch host {
	case "webhook.office.com", "outlook.office.com", "outlook.office365.com":
		return true
	}
	return strings.HasSuffix(host, ".webhook.office.com")
}
