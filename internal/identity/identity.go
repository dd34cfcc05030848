// Package identity knows which user of a provider a person is. It asks the
// provider's look-up once, keeps the answer — a match or a miss — for as long
// as the provider says, also over a restart, and lets everybody who asks for
// the same person meanwhile wait for the one look-up that is under way.
//
// It leaves to others how a look-up is made, and whose id stands in relay.yaml
// or in the event.
package identity

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
)

// Store keeps answers over a restart.
type Store interface {
	Identify(ctx context.Context, all []relay.Identity) error
}

// Answer is what a look-up says of one person.
type Answer struct {
	User string        // empty: the report's verdict says why
	Keep time.Duration // how long a match or an Unmatched may be kept
	relay.Report
}

// Ask makes a look-up by email or phone: an answer for each person, in order.
type Ask func(ctx context.Context, by string, people []relay.Person) []Answer

// Result is who a person is.
type Result struct {
	User   string
	By     string // what found the user
	Cached bool   // without asking
	Steps  []relay.Step
	relay.Report
}

// Directory remembers people. Its methods may be called concurrently.
type Directory struct {
	store  Store
	logger *slog.Logger
	value  func(by string, p relay.Person) string

	mu    sync.Mutex // guards the fields below
	known map[key]known
	asked map[key]*asking // look-ups under way
}

type key struct{ account, by, value string }

type known struct {
	user  string
	until time.Time
}

type asking struct {
	done   chan struct{}
	answer Answer
}

// maxKnown bounds the memory of answers: some 30 MiB.
const maxKnown = 200_000

// New makes a directory of what an earlier run knew. value is what a person has
// under "email" or "phone", as it is compared; empty: nothing.
func New(before []relay.Identity, s Store, logger *slog.Logger, value func(by string, p relay.Person) string) *Directory {
	d := &Directory{store: s, logger: logger, value: value, known: map[key]known{}, asked: map[key]*asking{}}
	for _, i := range before {
		d.known[key{i.Account, i.By, i.Value}] = known{i.User, i.Until}
	}
	return d
}

// Replace makes what a store holds all that is known: people were forgotten.
func (d *Directory) Replace(all []relay.Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
	for _, i := range all {
		d.known[key{i.Account, i.By, i.Value}] = known{i.User, i.Until}
	}
}

// User is the user whom relay already knows a person to be, without asking, or
// empty.
func (d *Directory) User(account string, matchBy []string, p relay.Person) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, by := range matchBy {
		if v := d.value(by, p); v != "" {
			if k, ok := d.get(key{account, by, v}); ok && k.user != "" {
				return k.user
			}
		}
	}
	return ""
}

// get is called with mu held.
func (d *Directory) get(k key) (known, bool) {
	v, ok := d.known[k]
	if ok && time.Now().After(v.until) {
		delete(d.known, k)
		ok = false
	}
	return v, ok
}

// Resolve finds out who people are at an account, by each of matchBy in turn
// until one finds somebody. Who has nothing to be looked up by is Unmatched.
func (d *Directory) Resolve(ctx context.Context, account string, matchBy []string, people []relay.Person, ask Ask) []Result {
	out := make([]Result, len(people))
	open := make([]int, len(people)) // indexes of those whom nothing has found yet
	for i := range people {
		open[i] = i
		out[i].Report = relay.Report{Verdict: relay.Unmatched, Error: nothing(matchBy)}
	}
	for _, by := range matchBy {
		var asked, rest []int
		for _, i := range open {
			if d.value(by, people[i]) == "" {
				rest = append(rest, i)
			} else {
				asked = append(asked, i)
			}
		}
		for j, a := range d.lookUp(ctx, account, by, pick(people, asked), ask) {
			r := &out[asked[j]]
			r.User, r.By, r.Cached = a.User, by, a.cached
			before := r.Steps
			if r.Report = a.Report; a.User != "" || a.Verdict == relay.Unmatched {
				r.Steps = append(before, stepsOf(by, a.Report)...)
			} else {
				r.Report.Steps = append(before, a.Report.Steps...) // its last call is the attempt's own
				r.Steps = nil
				continue
			}
			if a.User == "" {
				rest = append(rest, asked[j]) // perhaps by something else
			}
		}
		slices.Sort(rest)
		open = rest
	}
	for i := range out {
		if out[i].User == "" && out[i].Verdict == relay.Unmatched {
			out[i].Report.Steps, out[i].Steps = out[i].Steps, nil
			if n := len(out[i].Report.Steps); n > 0 { // the last call is shown as the attempt's own
				last := out[i].Report.Steps[n-1]
				out[i].Request, out[i].Response, out[i].Report.Steps = last.Request, last.Response, out[i].Report.Steps[:n-1]
			}
		}
	}
	return out
}

func nothing(matchBy []string) string {
	switch len(matchBy) {
	case 0:
		return "this provider knows people by explicit ids only, and the recipient has none"
	case 1:
		return "the recipient has no " + matchBy[0] + " to be looked up by"
	}
	return "the recipient has neither " + matchBy[0] + " nor " + matchBy[1] + " to be looked up by"
}

// stepsOf is every call of a report as a step.
func stepsOf(by string, r relay.Report) []relay.Step {
	if r.Request == nil {
		return r.Steps
	}
	return append(r.Steps[:len(r.Steps):len(r.Steps)], relay.Step{Name: "look-up by " + by, Request: r.Request, Response: r.Response, Error: r.Error})
}

func pick(people []relay.Person, indexes []int) []relay.Person {
	out := make([]relay.Person, len(indexes))
	for j, i := range indexes {
		out[j] = people[i]
	}
	return out
}

// answered is an answer, and whether nobody was asked for it.
type answered struct {
	Answer
	cached bool
}

// lookUp answers from memory, by waiting for a look-up that is under way, or
// by asking for all others at once.
func (d *Directory) lookUp(ctx context.Context, account, by string, people []relay.Person, ask Ask) []answered {
	out := make([]answered, len(people))
	waits := make([]*asking, len(people))
	var mine []int
	d.mu.Lock()
	for i, p := range people {
		k := key{account, by, d.value(by, p)}
		if v, ok := d.get(k); ok {
			out[i] = answered{Answer{User: v.user}, true}
			if v.user == "" {
				out[i].Report = relay.Report{Verdict: relay.Unmatched, Error: fmt.Sprintf("there was no such person by %s, and the provider is asked again only after %s; "+
					"relay destinations test --to, or a replay of this delivery, asks at once", by, v.until.UTC().Format(time.RFC3339))}
			}
			continue
		}
		a := d.asked[k]
		if a == nil {
			a = &asking{done: make(chan struct{})}
			d.asked[k] = a
			mine = append(mine, i)
		}
		waits[i] = a
	}
	d.mu.Unlock()
	if len(mine) > 0 {
		d.settle(account, by, pick(people, mine), ask(ctx, by, pick(people, mine)))
	}
	for i, a := range waits {
		if a == nil {
			continue
		}
		select {
		case <-a.done:
			out[i].Answer = a.answer
		case <-ctx.Done():
			out[i].Report = relay.Report{Verdict: relay.Temporary, Error: "timeout: no answer to the look-up in time"}
		}
	}
	return out
}

// settle hands answers to all who wait, and keeps those that may be kept. An
// answer that is missing is temporary.
func (d *Directory) settle(account, by string, people []relay.Person, answers []Answer) {
	var keep []relay.Identity
	now := time.Now()
	d.mu.Lock()
	if len(d.known) > maxKnown {
		d.known = map[key]known{} // asking again costs a call each
	}
	for i, p := range people {
		k := key{account, by, d.value(by, p)}
		a := d.asked[k]
		delete(d.asked, k)
		a.answer.Report = relay.Report{Verdict: relay.Temporary, Error: "the look-up gave no answer"}
		if i < len(answers) {
			a.answer = answers[i]
		}
		if a.answer.Keep > 0 && (a.answer.User != "" || a.answer.Verdict == relay.Unmatched) {
			v := known{a.answer.User, now.Add(a.answer.Keep)}
			d.known[k] = v
			keep = append(keep, relay.Identity{Account: account, By: by, Value: k.value, User: v.user, Until: v.until})
		}
		close(a.done)
	}
	d.mu.Unlock()
	d.save(keep)
}

// LookAgain drops that nobody was found for a person: somebody wants to know it
// now.
func (d *Directory) LookAgain(account string, matchBy []string, p relay.Person) {
	var gone []relay.Identity
	d.mu.Lock()
	for _, by := range matchBy {
		k := key{account, by, d.value(by, p)}
		if v, ok := d.known[k]; ok && v.user == "" {
			delete(d.known, k)
			gone = append(gone, relay.Identity{Account: account, By: by, Value: k.value}) // ended long ago
		}
	}
	d.mu.Unlock()
	d.save(gone)
}

// Forget drops what leads to a user: the provider says that there is no way to
// reach it, and the person may be another one by now.
func (d *Directory) Forget(account, user string) {
	var gone []relay.Identity
	d.mu.Lock()
	for k, v := range d.known {
		if k.account == account && v.user == user {
			delete(d.known, k)
			gone = append(gone, relay.Identity{Account: account, By: k.by, Value: k.value}) // ended long ago
		}
	}
	d.mu.Unlock()
	d.save(gone)
}

// save keeps answers over a restart. Without it they are asked for again.
func (d *Directory) save(all []relay.Identity) {
	if len(all) == 0 {
		return
	}
	if err := d.store.Identify(context.Background(), all); err != nil {
		d.logger.Debug("look-ups are not kept over a restart", "error", err)
	}
}
