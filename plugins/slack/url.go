package slack

import "strings"

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
