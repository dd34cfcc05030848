package slack

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Probe implements [plugin.Prober]: auth.test needs no scope, and the answer's
// headers list those that the token has.
func (d *direct) Probe(ctx context.Context) []plugin.Problem {
	problem := func(message string, warning bool) []plugin.Problem {
		return []plugin.Problem{{Provider: true, Pointer: "/bot_token", Message: d.api.masker.Mask(message), Warning: warning}}
	}
	answer, err := d.api.client.Do(ctx, d.api.post(authTest, []byte("{}")))
	if err != nil {
		return problem("the token could not be tried: "+post.Harmless(err).Error, true)
	}
	if _, r := lookingUp.answer(answer, time.Now()); r.Verdict != relay.Delivered {
		return problem(r.Error, r.Verdict == relay.Temporary)
	}
	scopes := answer.Header.Get("X-OAuth-Scopes")
	if scopes == "" {
		return nil // a stand-in for Slack that does not tell
	}
	has := strings.FieldsFunc(scopes, func(r rune) bool { return r == ',' || r == ' ' })
	var missing []string
	for _, scope := range []string{"users:read.email", "im:write", "chat:write"} {
		if !slices.Contains(has, scope) {
			missing = append(missing, scope)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return problem("the token lacks "+strings.Join(missing, ", ")+"; add it under OAuth & Permissions at api.slack.com/apps and install the app again", false)
}
