package teams

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

const (
	keepMatch = 6 * time.Hour
	keepMiss  = 10 * time.Minute
)

// emailGrammar is what an email and a user principal name look like.
var emailGrammar = regexp.MustCompile(`^[^\s<>"@\\\pC]+@[^\s<>"@\\\pC]+$`)

// email is an email or user principal name without the spaces around it.
func email(raw string) (string, bool) {
	const longest = 320
	s := strings.TrimSpace(raw)
	return s, len(s) <= longest && emailGrammar.MatchString(s)
}

const notEmail = "not an email; write it as name@example.com, or set ids.teams"

// user is a person in the directory.
type user struct {
	ID      string `json:"id"`
	Enabled *bool  `json:"accountEnabled"` // null where User.ReadBasic.All is all that was granted
}

func (u user) disabled() bool { return u.Enabled != nil && !*u.Enabled }

const userFields = "$select=id,mail,userPrincipalName,accountEnabled"

// Resolve implements [plugin.Direct]: the user's id is the Entra object id.
func (b *bot) Resolve(ctx context.Context, by string, people []relay.Person) []plugin.Match {
	out := make([]plugin.Match, len(people))
	var stop *relay.Report // what would come of any further call
	for i, p := range people {
		address, ok := email(p.Email)
		switch {
		case by != plugin.ByEmail || !ok:
			out[i] = plugin.Unmatched(keepMiss, notEmail)
		case stop != nil:
			out[i].Report = *stop
		default:
			out[i] = b.lookUp(ctx, address)
			r := out[i].Report
			if r.Verdict == relay.DestinationRefused || r.RetryAfter > 0 || ctx.Err() != nil {
				stop = &relay.Report{Verdict: r.Verdict, RetryAfter: r.RetryAfter, Error: r.Error, Probe: r.Probe}
			}
		}
	}
	return out
}

// lookUp finds a person by user principal name, which the email mostly is, else
// by mail: guests have other names.
func (b *bot) lookUp(ctx context.Context, address string) plugin.Match {
	calls := b.client.Calls(b.masker)
	answer := func(m plugin.Match) plugin.Match {
		m.Report = calls.Report(m.Report)
		return m
	}
	var found user
	call := graphCall{name: "users", needs: readUsers, method: http.MethodGet, path: "/users/" + url.PathEscape(address) + "?" + userFields}
	_, failed := b.graph(ctx, calls, call, &found)
	if nobody(failed) {
		var all list[user]
		call.name, call.path = "users?mail", "/users?"+filter("mail", address)+"&"+userFields
		if _, failed = b.graph(ctx, calls, call, &all); failed == nil {
			switch n := len(all.Value); n {
			case 0:
				return answer(plugin.Unmatched(keepMiss, "no user has this user principal name or mail"))
			case 1:
				found = all.Value[0]
			default:
				return answer(plugin.Unmatched(keepMiss, fmt.Sprintf("%d users have this mail; set ids.teams to the right one's Entra object id", n)))
			}
		}
	}
	switch {
	case nobody(failed):
		return answer(plugin.Unmatched(keepMiss, failed.Error))
	case failed != nil:
		return answer(plugin.Match{Report: *failed})
	case found.disabled():
		return answer(plugin.Unmatched(keepMiss, "the user's account is disabled in Entra (accountEnabled is false)"))
	case found.ID == "":
		return answer(plugin.Match{Report: relay.Report{Verdict: relay.Temporary, Error: "graph answered a user without an id"}})
	}
	return answer(plugin.Matched(found.ID, keepMatch))
}

// nobody reports whether Graph knows no such user, or took the address for one
// that nobody can have.
func nobody(failed *relay.Report) bool {
	return failed != nil && (failed.Verdict == relay.RecipientRefused || failed.Verdict == relay.MessageRefused)
}
