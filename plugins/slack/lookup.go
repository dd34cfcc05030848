package slack

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// How long the answers to look-ups may be kept.
const (
	matchKeep = 12 * time.Hour
	missKeep  = 10 * time.Minute
)

// Resolve implements [plugin.Direct]. When Slack is asked too fast or refuses
// the token, it is not asked about those who are left.
func (d *direct) Resolve(ctx context.Context, by string, people []relay.Person) []plugin.Match {
	out := make([]plugin.Match, len(people))
	var rest *relay.Report
	for i, p := range people {
		email, ok := emailOf(p)
		switch {
		case by != plugin.ByEmail:
			out[i] = plugin.Unmatched(missKeep, "slack finds people by their email only")
		case !ok:
			out[i] = plugin.Unmatched(missKeep, "not an email address")
		case rest != nil:
			out[i].Report = *rest
		default:
			out[i] = d.find(ctx, email)
			if r := out[i].Report; r.Verdict == relay.DestinationRefused || r.Verdict == relay.Temporary && (r.RetryAfter > 0 || ctx.Err() != nil) {
				rest = &relay.Report{Verdict: r.Verdict, RetryAfter: r.RetryAfter, Probe: r.Probe, Error: r.Error}
			}
		}
	}
	return out
}

// find looks one person up.
func (d *direct) find(ctx context.Context, email string) (m plugin.Match) {
	calls := d.api.client.Calls(d.api.masker)
	got, report := d.api.do(ctx, calls, lookupByEmail, d.api.get(lookupByEmail, url.Values{"email": {email}}), lookingUp)
	switch {
	case report.Verdict == relay.Temporary && noSuchUser(got.Error):
		m = plugin.Unmatched(missKeep, report.Error)
	case report.Verdict != relay.Delivered:
		m.Report = report
	case got.User.Deleted:
		m = plugin.Unmatched(missKeep, "the slack account with this email is deactivated")
	case got.User.IsBot:
		m = plugin.Unmatched(missKeep, "the slack account with this email is a bot's")
	case !userID.MatchString(got.User.ID):
		m.Report = relay.Report{Verdict: relay.Temporary, Error: fmt.Sprintf("slack answered with the id %q, which is no user's", got.User.ID)}
	default:
		m = plugin.Matched(got.User.ID, matchKeep)
	}
	m.Report = calls.Report(m.Report)
	return m
}

// noSuchUser reports whether a code says that nobody has the email: that there
// is no such user, or that what looks like an email to relay does not to Slack.
func noSuchUser(code string) bool {
	return code == "users_not_found" || code == "user_not_found" || code == "invalid_arguments"
}

// emailOf is a person's email as Slack takes it, if it can be one.
func emailOf(p relay.Person) (string, bool) {
	email := strings.TrimSpace(p.Email)
	local, domain, found := strings.Cut(email, "@")
	odd := strings.ContainsFunc(email, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	return email, found && local != "" && domain != "" && !strings.Contains(domain, "@") && !odd
}
