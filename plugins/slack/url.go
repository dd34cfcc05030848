package slack

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// checkURL parses a webhook's URL. The URL is nil when it cannot be used.
func checkURL(raw string) (*url.URL, []plugin.Problem) {
	fault := func(message string) (*url.URL, []plugin.Problem) {
		return nil, []plugin.Problem{{Pointer: "/url", Message: message}}
	}
	u, why := post.URL(raw)
	if why != "" {
		return fault(why + "; copy the incoming webhook's from Slack, such as https://hooks.slack.com/services/T…/B…/…")
	}
	host := u.Hostname()
	switch {
	case u.Scheme == "http" && !post.Loopback(host):
		return fault("http is taken to a loopback address only; use https")
	case slackHost(host):
		if !webhookPath(u.Path) {
			return fault("the URL has no webhook's path; copy the whole URL, which ends in /services/T…/B…/…")
		}
		return u, nil
	case u.Path == "" || u.Path == "/":
		return fault("the URL has no path; copy the whole URL of the webhook")
	case post.Loopback(host):
		return u, nil
	}
	return u, []plugin.Problem{{
		Pointer: "/url",
		Message: fmt.Sprintf("%s is not Slack's host (hooks.slack.com); messages are sent there all the same", host),
		Warning: true,
	}}
}

// slackHost reports whether a host is Slack's or GovSlack's for webhooks.
func slackHost(host string) bool {
	host = strings.ToLower(host)
	return host == "hooks.slack.com" || host == "hooks.slack-gov.com"
}

// webhookPath reports whether a path is /services/T…/B…/… or, as the answer to
// an app's installation writes it, /T…/B…/….
func webhookPath(path string) bool {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, "/"), "services/"), "/")
	return len(parts) == 3 &&
		len(parts[0]) > 1 && (parts[0][0] == 'T' || parts[0][0] == 'E') &&
		len(parts[1]) > 1 && parts[1][0] == 'B' &&
		parts[2] != ""
}
