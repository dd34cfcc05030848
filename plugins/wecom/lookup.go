package wecom

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	matchKept = 12 * time.Hour

	// missKept is long because WeCom counts misses: when those of a day are more
	// than a fifth of the company's members, look-ups are blocked for a day
	// (95402, 95895).
	missKept = 24 * time.Hour

	// lookUpsBlocked is how long no look-up is made after one was too many. It
	// may be that block, and then a minute more or less changes nothing.
	lookUpsBlocked = 10 * time.Minute
)

// question is a look-up of one person.
type question struct {
	call string
	body map[string]any
	miss string // what it means that nobody was found
}

// ask is the question for a person, or why WeCom need not be asked.
func (a *account) ask(by string, p relay.Person) (q question, why string) {
	if by == plugin.ByPhone {
		number, why := mobile(p.Phone)
		return question{"user/getuserid", map[string]any{"mobile": number}, "no member whom the app may see has this phone number"}, why
	}
	// One call for each email, although members have two addresses: an email
	// that is neither would count as two misses, and where a company uses the
	// other address, every member's first call would be one. email_type says
	// which it uses.
	email := strings.TrimSpace(p.Email)
	name, domain, ok := strings.Cut(email, "@")
	if !ok || name == "" || domain == "" || strings.Contains(domain, "@") ||
		strings.ContainsFunc(email, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		why = "not an email address"
	}
	kind := map[int]string{enterpriseMailbox: "enterprise", personalMailbox: "personal"}[a.EmailType]
	return question{"user/get_userid_by_email", map[string]any{"email": email, "email_type": a.EmailType},
		fmt.Sprintf("no member whom the app may see has this email as the %s mailbox (email_type: %d)", kind, a.EmailType)}, why
}

// mobile is a phone number in E.164 as WeCom takes it: one of mainland China
// without the country, another one as it is. How WeCom keeps those is not
// documented; who is not found by one needs ids.wecom.
func mobile(phone string) (number, why string) {
	const shortest, longest, mainland = 5, 16, 11 // WeCom takes 5 to 32 bytes, E.164 has 15 digits
	number = strings.NewReplacer(" ", "", "-", "").Replace(phone)
	digits, international := strings.CutPrefix(number, "+")
	switch {
	case strings.Trim(digits, "0123456789") != "", len(number) < shortest, len(number) > longest,
		international && strings.HasPrefix(digits, "0"):
		return "", "not a phone number in E.164, such as +8613800000000"
	case international && !strings.HasPrefix(digits, "86"):
		return number, ""
	}
	digits = strings.TrimPrefix(number, "+86")
	if len(digits) != mainland || digits[0] != '1' {
		return "", "not a mobile number of mainland China, such as +8613800000000; others begin with + and their country"
	}
	return digits, ""
}

// Resolve implements [plugin.Direct]. People are asked for one after another;
// what would meet the others as well ends it.
func (d *direct) Resolve(ctx context.Context, by string, people []relay.Person) []plugin.Match {
	out := make([]plugin.Match, len(people))
	var ended *relay.Report
	for i, p := range people {
		q, why := d.app.ask(by, p)
		switch {
		case why != "":
			out[i] = plugin.Unmatched(missKept, why)
		case ended != nil:
			out[i].Report = *ended
		default:
			out[i] = d.lookUp(ctx, q)
			if r := out[i].Report; out[i].User == "" && (r.Verdict == relay.DestinationRefused || r.RetryAfter > 0 || ctx.Err() != nil) {
				ended = &relay.Report{Verdict: r.Verdict, RetryAfter: r.RetryAfter, Probe: r.Probe, Error: r.Error}
			}
		}
	}
	return out
}

// lookUp asks for one person.
func (d *direct) lookUp(ctx context.Context, q question) plugin.Match {
	calls := d.app.client.Calls(d.masker)
	body, err := post.Encode(q.body)
	if err != nil {
		return plugin.Unmatched(missKept, err.Error())
	}
	m := plugin.Match{}
	m.Report = calls.Report(d.app.withToken(ctx, calls, q.call, body, func(r reply, err error) relay.Report {
		switch {
		case err != nil:
			return post.Harmless(err)
		case r.ok && goodUserID(r.User):
			m.User = r.User
			return relay.Report{}
		case r.ok:
			return relay.Report{Verdict: relay.Temporary, Error: fmt.Sprintf("wecom answered a userid that is none: %q", post.Cut(r.User, 100))}
		}
		return missed(q, r)
	}))
	switch {
	case m.User != "":
		m.Keep = matchKept
	case m.Verdict == relay.Unmatched:
		m.Keep = missKept
	}
	return m
}

// missed is what the refusal of a look-up means. Who was not found, and an
// email or number that WeCom does not take, is not asked for again.
func missed(q question, r reply) relay.Report {
	out := r.harmless(time.Now())
	if !r.coded {
		return out
	}
	switch verdict := appCodes()[r.code].verdict; {
	case r.code == codeNoRight:
		return relay.Report{Verdict: relay.DestinationRefused,
			Error: "wecom answered 60011: the app may not look members up; let it see (可见范围) those whom it writes to"}
	case r.code == codeNotFound:
		return relay.Report{Verdict: relay.Unmatched, Error: "wecom answered 46004: " + q.miss}
	case r.code == codeTooFast:
		out.RetryAfter = max(out.RetryAfter, lookUpsBlocked)
	case verdict == relay.RecipientRefused, verdict == relay.MessageRefused:
		out.Verdict, out.RetryAfter = relay.Unmatched, 0
	}
	return out
}
