package slack

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// tokens is what the words mean that Slack answers a webhook with. They count
// before the status, which Slack documents for some of them only.
func tokens() map[string]relay.Verdict {
	return map[string]relay.Verdict{
		"invalid_payload":                         relay.MessageRefused,
		"no_text":                                 relay.MessageRefused,
		"too_many_attachments":                    relay.MessageRefused,
		"invalid_blocks":                          relay.MessageRefused,
		"invalid_blocks_format":                   relay.MessageRefused,
		"invalid_attachments":                     relay.MessageRefused,
		"missing_text_or_fallback_or_attachments": relay.MessageRefused,

		"user_not_found":                    relay.DestinationRefused,
		"channel_not_found":                 relay.DestinationRefused,
		"channel_is_archived":               relay.DestinationRefused,
		"action_prohibited":                 relay.DestinationRefused,
		"posting_to_general_channel_denied": relay.DestinationRefused,
		"invalid_token":                     relay.DestinationRefused,
		"no_active_hooks":                   relay.DestinationRefused,
		"no_service":                        relay.DestinationRefused,
		"no_service_id":                     relay.DestinationRefused,
		"no_team":                           relay.DestinationRefused,
		"team_disabled":                     relay.DestinationRefused,

		"rollup_error": relay.Ambiguous,
	}
}

// classify reads Slack's answer: 200 with "ok" is the only success.
func classify(a *post.Answer, now time.Time) relay.Report {
	body := bytes.TrimSpace(a.Body)
	if a.Status == http.StatusOK && string(body) == "ok" {
		return relay.Report{Verdict: relay.Delivered}
	}
	token := leadingToken(body)
	if verdict, known := tokens()[token]; known {
		return relay.Report{Verdict: verdict, Error: fmt.Sprintf("slack answered %s (status %s)", token, post.StatusText(a.Status))}
	}
	r := post.ByStatus(a, now)
	switch {
	case r.Verdict == relay.Delivered:
		return relay.Report{Verdict: relay.Ambiguous,
			Error: fmt.Sprintf("slack answered status %s without its ok: %q", post.StatusText(a.Status), post.Cut(string(body), 100))}
	case a.Status/100 == 5:
		r.Verdict = relay.Ambiguous // Slack promises nothing with these
	case a.Status/100 == 4:
		r.Probe = false // a dead webhook does not come back
	}
	if token != "" {
		r.Error += ": " + token
	}
	return r
}

// leadingToken is the word of letters and _ that an answer begins with; of a
// page of HTML it is empty.
func leadingToken(body []byte) string {
	const longest = 64
	end := 0
	for end < len(body) && end < longest && (body[end] == '_' || body[end] >= 'a' && body[end] <= 'z') {
		end++
	}
	return string(body[:end])
}
