package feishu

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	stepLookUp = "users/batch_get_id"

	// maxBatch is how many emails, or phones, one call takes.
	maxBatch = 50

	keepMatch = 6 * time.Hour
	keepMiss  = 10 * time.Minute
)

// Resolve implements [plugin.Direct]. Once the vendor has refused the app, or
// finds it too fast, nobody else is asked for.
func (d *direct) Resolve(ctx context.Context, by string, people []relay.Person) []plugin.Match {
	matches := make([]plugin.Match, len(people))
	keys := make([]string, len(people)) // what people are asked for by; empty: they are not
	var all []string
	for i, p := range people {
		var why string
		if by == plugin.ByPhone {
			keys[i], why = mobile(p.Phone)
		} else {
			keys[i], why = email(p.Email)
		}
		if keys[i] == "" {
			matches[i] = plugin.Unmatched(keepMiss, why)
		} else if !slices.Contains(all, keys[i]) {
			all = append(all, keys[i])
		}
	}
	found := map[string]plugin.Match{}
	for batch := range slices.Chunk(all, maxBatch) {
		d.lookUp(ctx, by, batch, found)
	}
	for i, key := range keys {
		if key != "" {
			matches[i] = found[key]
		}
	}
	return matches
}

// email is an address as it is asked for.
func email(address string) (key, why string) {
	address = strings.TrimSpace(address)
	name, domain, at := strings.Cut(address, "@")
	if !at || name == "" || domain == "" || strings.Contains(domain, "@") ||
		strings.ContainsFunc(address, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", "not an email address"
	}
	return address, ""
}

// mobile is a phone number as the vendor wants it: those of mainland China
// without the country, all others with it.
func mobile(number string) (key, why string) {
	number = strings.NewReplacer(" ", "", "-", "").Replace(number)
	digits, international := strings.CutPrefix(number, "+")
	const shortest, longest = 7, 15 // E.164
	if len(digits) < shortest || len(digits) > longest || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' {
		return "", "not a phone number in the form of E.164, such as +8613800000000"
	}
	if international {
		var mainland bool
		if digits, mainland = strings.CutPrefix(digits, "86"); !mainland {
			return number, ""
		}
	}
	const length = 11
	if len(digits) != length || digits[0] != '1' {
		return "", "not a mobile number of mainland China, nor one with another country's code, such as +14155550100"
	}
	return digits, ""
}

// lookUp puts into found what the vendor says about people (contact/v3 users,
// batch_get_id).
func (d *direct) lookUp(ctx context.Context, by string, keys []string, found map[string]plugin.Match) {
	for _, m := range found {
		if m.Verdict == relay.DestinationRefused || m.RetryAfter > 0 { // everybody's
			same := plugin.Match{Report: relay.Report{Verdict: m.Verdict, RetryAfter: m.RetryAfter, Error: m.Error, Probe: m.Probe}}
			for _, key := range keys {
				found[key] = same
			}
			return
		}
	}
	calls := d.client.Calls(d.masker)
	var users map[string]string
	var answer reply
	report := d.token.Use(ctx, calls, func(token string) (relay.Report, bool) {
		req, err := d.batch(by, keys)
		if err != nil {
			return relay.Report{Verdict: relay.Temporary, Error: err.Error()}, false
		}
		got, err := calls.Do(ctx, stepLookUp, post.Bearer(req, token))
		if err != nil {
			answer = reply{}
			return post.Harmless(err), false
		}
		var r relay.Report
		var stale bool
		r, answer, stale = judgeApp(got, 1, time.Now())
		if r.Verdict == relay.Delivered {
			users, r = readUsers(got)
		}
		return r, stale
	})
	invalid := answer.code == codeBadField || answer.code == codeBadParam
	if invalid && len(keys) > 1 { // one of them spoils it for all
		for _, key := range keys {
			d.lookUp(ctx, by, []string{key}, found)
		}
		return
	}
	switch {
	case report.Verdict == "":
	case invalid:
		report.Verdict = relay.Unmatched
	case report.Verdict == relay.DestinationRefused:
		if lacksScope(answer.code) {
			report.Error += "; it needs " + scopeLookUp
		}
	default: // nobody got anything, and the next answer may be another one
		report.Verdict = relay.Temporary
	}
	report = calls.Report(report)
	for _, key := range keys {
		m := plugin.Match{User: users[strings.ToLower(key)], Report: report}
		switch {
		case m.User != "":
			m.Keep = keepMatch
		case m.Verdict == "":
			m.Verdict, m.Error = relay.Unmatched, "feishu knows nobody with this "+by+", or only outside of the app's contact range"
			m.Keep = keepMiss
		case m.Verdict == relay.Unmatched:
			m.Keep = keepMiss
		}
		found[key] = m
	}
}

// batch asks for the ids of several people at once.
func (d *direct) batch(by string, keys []string) (*plugin.Request, error) {
	ask := struct {
		Emails   []string `json:"emails,omitempty"`
		Mobiles  []string `json:"mobiles,omitempty"`
		Resigned bool     `json:"include_resigned"`
	}{}
	if by == plugin.ByPhone {
		ask.Mobiles = keys
	} else {
		ask.Emails = keys
	}
	body, err := post.Encode(ask)
	if err != nil {
		return nil, err
	}
	return post.JSON(d.app.base()+"/open-apis/contact/v3/users/batch_get_id?user_id_type=open_id", body), nil
}

// readUsers are the ids in an answer by what was asked for, in small letters.
// Who has none there is not found. The report is empty, unless the answer says
// nothing.
func readUsers(a *post.Answer) (map[string]string, relay.Report) {
	var body struct {
		Data *struct {
			List []struct {
				User   string `json:"user_id"`
				Email  string `json:"email"`
				Mobile string `json:"mobile"`
			} `json:"user_list"`
		} `json:"data"`
	}
	if json.Unmarshal(a.Body, &body) != nil || body.Data == nil {
		return nil, relay.Report{Verdict: relay.Temporary, Error: "feishu answered a look-up without a list of users"}
	}
	users := map[string]string{}
	for _, u := range body.Data.List {
		key, _ := email(u.Email)
		if u.Mobile != "" {
			key, _ = mobile(u.Mobile)
		}
		if key = strings.ToLower(key); users[key] == "" {
			users[key] = u.User
		}
	}
	return users, relay.Report{}
}
