package discord

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// settings are a destination's own keys.
type settings struct {
	URL       string `json:"url"`
	ThreadID  string `json:"thread_id"`
	Username  string `json:"username"`
	AvatarURL string `json:"avatar_url"`
}

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the webhook's URL, such as https://discord.com/api/webhooks/<id>/<token>"
    },
    "thread_id": {
      "type": "string",
      "description": "the id of a thread or of a forum post in the webhook's channel; messages go there"
    },
    "username": {
      "type": "string",
      "description": "the name that messages appear under, 1 to 80 characters; default: the webhook's own"
    },
    "avatar_url": {
      "type": "string",
      "description": "the picture that messages appear with, an http or https URL; default: the webhook's own"
    }
  }
}`

// address is where a webhook is executed.
type address struct {
	url      *url.URL // without a query
	query    url.Values
	token    string
	key      string // what Discord counts
	threaded bool
}

// execute is the URL of a call. With wait=true Discord answers with the message
// or an error; without it, it says nothing about a message that it did not
// save. A webhook that was made by hand takes components only when asked to.
func (a address) execute(components bool) string {
	u := *a.url
	q := url.Values{}
	for name, values := range a.query {
		q[name] = values
	}
	if components {
		q.Set("with_components", "true")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// webhookPath is the path of a webhook's URL, with what stands before /api (a
// proxy's own path) and behind the token.
var webhookPath = regexp.MustCompile(`^(.*)/api(?:/v[0-9]+)?/webhooks(?:/([^/]*))?(?:/([^/]*))?(/.*)?$`)

var (
	snowflake    = regexp.MustCompile(`^[1-9][0-9]{0,19}$`)
	tokenGrammar = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

// check says every fault; the address is good when there is none.
func (s settings) check() (a address, problems []plugin.Problem) {
	fault := func(pointer, format string, args ...any) {
		problems = append(problems, plugin.Problem{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	a, refused, warning := parseURL(s.URL)
	switch {
	case s.URL == "":
		problems = append(problems, plugin.Problem{NoChannel: true,
			Message: "url is missing; make a webhook in the channel's settings (Integrations, Webhooks) and write its URL"})
	case refused != "":
		fault("/url", "%s", refused)
	}
	if warning != "" {
		problems = append(problems, plugin.Problem{Pointer: "/url", Message: warning, Warning: true})
	}
	switch thread := a.query.Get("thread_id"); {
	case s.ThreadID == "":
	case !snowflake.MatchString(s.ThreadID):
		fault("/thread_id", "%q is not a thread's id; switch on Developer Mode in Discord and choose Copy Thread ID", s.ThreadID)
	case thread != "" && thread != s.ThreadID:
		fault("/thread_id", "the url has another thread_id; keep one of them")
	case a.query != nil:
		a.query.Set("thread_id", s.ThreadID)
	}
	a.threaded = a.query.Has("thread_id")
	n, lower := markup.Runes.Len(strings.TrimSpace(s.Username)), strings.ToLower(s.Username)
	switch {
	case s.Username != "" && n == 0:
		fault("/username", "the name is blank; leave the key out for the webhook's own name")
	case n > maxUsername:
		fault("/username", "the name has %d characters; discord allows %d", n, maxUsername)
	case strings.Contains(lower, "clyde"), strings.Contains(lower, "discord"):
		// Documented for the names of webhooks; that it holds here is only observed.
		problems = append(problems, plugin.Problem{
			Pointer: "/username", Message: "discord refuses names that hold clyde or discord; choose another one", Warning: true,
		})
	}
	if s.AvatarURL != "" {
		if _, ok := webURL(s.AvatarURL); !ok {
			fault("/avatar_url", "not an http or https URL of at most %d characters", maxURL)
		}
	}
	return a, problems
}

// parseURL reads a webhook's URL. Every version of the API becomes the one that
// this package speaks: the URL that Discord shows has none, which means v6.
func parseURL(raw string) (a address, fault, warning string) {
	u, why := post.URL(raw)
	if why != "" {
		return a, why + "; copy the webhook's from Discord, such as https://discord.com/api/webhooks/<id>/<token>", ""
	}
	host := u.Hostname()
	official := discordHost(host)
	if u.Scheme == "http" && !post.Loopback(host) {
		return a, "http is taken to a loopback address only; use https", ""
	}
	a.query = u.Query()
	a.query.Set("wait", "true")
	u.RawQuery, u.Fragment, u.RawFragment = "", "", ""
	a.url = u
	if !official && !post.Loopback(host) {
		warning = fmt.Sprintf("%s is not Discord's host (discord.com); messages are sent there all the same", host)
	}
	parts := webhookPath.FindStringSubmatch(u.Path)
	switch {
	case parts == nil && (official || strings.Trim(u.Path, "/") == ""):
		return a, "the URL has no webhook's path; copy the whole URL, https://discord.com/api/webhooks/<id>/<token>", ""
	case parts == nil:
		a.key = "url " + u.Host + u.Path
		return a, "", warning
	case official && parts[1] != "":
		return a, "the URL has more before /api than a webhook's has; copy it once more from Discord", ""
	case !snowflake.MatchString(parts[2]), !tokenGrammar.MatchString(parts[3]):
		return a, "the URL lacks the webhook's id or token; copy the whole URL, https://discord.com/api/webhooks/<id>/<token>", ""
	case parts[4] == "/slack", parts[4] == "/github":
		return a, "take " + parts[4] + " off the URL's end: relay speaks Discord's own format", ""
	case parts[4] != "" && parts[4] != "/":
		return a, "the URL goes on behind the webhook's token; copy it once more from Discord", ""
	}
	u.Path, u.RawPath = parts[1]+"/api/v10/webhooks/"+parts[2]+"/"+parts[3], ""
	a.key, a.token = "webhook "+parts[2], parts[3]
	return a, "", warning
}

// discordHost reports whether a host is one of Discord's that serve webhooks.
func discordHost(host string) bool {
	switch strings.ToLower(host) {
	case "discord.com", "ptb.discord.com", "canary.discord.com", "discordapp.com", "ptb.discordapp.com", "canary.discordapp.com":
		return true
	}
	return false
}
