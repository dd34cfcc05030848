package app

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/identity"
	"github.com/relay-sidecar/relay/internal/people"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// directLane is what the engine must know of a destination's direct messages.
func directLane(channel delivery.Destination, d config.Destination, a account, alerts config.Alerts) delivery.Destination {
	lane := channel
	lane.Part, lane.Account, lane.Settings, lane.Windows = relay.PartDirect, a.id, a.id, a.windows
	lane.FallBackAfter = alerts.After
	if d.Direct != nil {
		lane.Concurrency = d.Direct.Concurrency
	}
	return lane
}

// directTimeout bounds an attempt at a direct message, with its look-ups.
func (d *destination) directTimeout() time.Duration {
	if d.Direct != nil {
		return d.Direct.Timeout
	}
	return d.Timeout
}

// compared is what people are looked up by, as it is compared and kept.
func compared(by string, p relay.Person) string {
	switch by {
	case plugin.ByEmail:
		return people.Email(p.Email)
	case plugin.ByPhone:
		return people.Phone(p.Phone)
	}
	return ""
}

// who is the person that a direct message is for, with what is known today.
func (s *snapshot) who(c relay.Claimed) (p relay.Person) {
	var event struct {
		Source string `json:"source"`
	}
	_ = json.Unmarshal(c.Event, &event) // both are JSON that relay made
	_ = json.Unmarshal([]byte(c.Recipient), &p)
	return s.cfg.people.Complete(p, event.Source)
}

// lookAgain has a recipient looked up anew of whom it was kept that nobody was
// found: an operator sends again because that may have changed.
func (a *App) lookAgain(destination, recipient string) {
	now := a.current.Load()
	d := now.destinations[destination]
	var p relay.Person
	if d == nil || d.account == nil || json.Unmarshal([]byte(recipient), &p) != nil {
		return
	}
	a.identities.LookAgain(d.account.id, d.account.matchBy, now.cfg.people.Complete(p, ""))
}

// userID is the id that relay.yaml or the event gives a person at a
// destination's provider: under the name of its entry, or of the provider.
func (d *destination) userID(p relay.Person) string {
	if id := p.IDs[d.Entry]; id != "" {
		return id
	}
	return p.IDs[d.Use]
}

// Resolve finds out who the recipients of direct messages are: by what
// relay.yaml and the event say, by what relay remembers, or by the provider's
// look-ups.
func (a *App) Resolve(all []relay.Claimed, alone bool, done func([]delivery.Resolution)) error {
	now := a.current.Load()
	d := now.destinations[all[0].Destination]
	if d == nil || d.account == nil || !d.ready() {
		return relay.ErrUnavailable
	}
	a.work.Go(func() {
		began := time.Now()
		answers := a.resolve(now, d, all, alone)
		ended := time.Now()
		for i := range answers {
			var failed *relay.Report // the look-up was the attempt
			if answers[i].Match == nil {
				failed = &answers[i].Report
				d.meter.Attempt(failed, all[i].Created)
			}
			a.tracer.LookedUp(&all[i], began, ended, failed)
		}
		done(answers)
	})
	return nil
}

func (a *App) resolve(now *snapshot, d *destination, all []relay.Claimed, alone bool) []delivery.Resolution {
	out := make([]delivery.Resolution, len(all))
	var open []relay.Person
	var indexes []int
	for i, c := range all {
		p := now.who(c)
		id := d.userID(p)
		if id == "" {
			open, indexes = append(open, p), append(indexes, i)
			continue
		}
		m := &relay.Match{User: id, By: "id", At: relay.Time{Time: time.Now()}}
		if known := now.cfg.people.Find(p, ""); known != nil && (known.IDs[d.Entry] == id || known.IDs[d.Use] == id) {
			m.By = "people"
		}
		out[i].Match = m
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.directTimeout())
	defer cancel()
	ask := d.ask
	if alone {
		ask = d.askAlone
	}
	for j, r := range a.identities.Resolve(ctx, d.account.id, d.account.matchBy, open, func(ctx context.Context, by string, all []relay.Person) []identity.Answer {
		answers := ask(ctx, by, all)
		for j := range answers {
			a.maskReport(&answers[j].Report)
		}
		return answers
	}) {
		i := indexes[j]
		if r.User == "" {
			out[i].Report = r.Report
			continue
		}
		out[i].Match = &relay.Match{User: r.User, By: r.By, Cached: r.Cached, At: relay.Time{Time: time.Now()}, Steps: r.Steps}
	}
	return out
}

// ask has the provider look people up, askAlone in a process that does nothing
// else.
func (d *destination) ask(ctx context.Context, by string, all []relay.Person) []identity.Answer {
	return d.lookUp(ctx, by, all, d.provider.Resolve)
}

func (d *destination) askAlone(ctx context.Context, by string, all []relay.Person) []identity.Answer {
	return d.lookUp(ctx, by, all, d.provider.ResolveAlone)
}

func (d *destination) lookUp(ctx context.Context, by string, all []relay.Person,
	call func(context.Context, *pluginpb.ResolveRequest) (*pluginpb.ResolveResponse, bool, error)) []identity.Answer {
	out := make([]identity.Answer, len(all))
	req := &pluginpb.ResolveRequest{Settings: d.Revision, By: by, TimeoutMs: d.directTimeout().Milliseconds()}
	for _, p := range all {
		raw, _ := json.Marshal(p) // it came from JSON
		req.People = append(req.People, raw)
	}
	resp, alone, err := call(ctx, req)
	for i := range out {
		switch {
		case err != nil:
			out[i].Report = relay.Report{Verdict: relay.Temporary, Error: err.Error(), Lost: !errors.Is(err, relay.ErrUnavailable), Alone: alone && len(all) == 1}
		case i >= len(resp.Matches):
			out[i].Report = relay.Report{Verdict: relay.Temporary, Error: "the plugin did not answer for this person"}
		default:
			m := plugin.DecodeMatch(resp.Matches[i])
			out[i] = identity.Answer{User: m.User, Keep: m.Keep, Report: m.Report}
		}
	}
	return out
}

// personal is what of a delivery depends on who it is for.
func (a *App) personal(now *snapshot, d *destination, c relay.Claimed, out *pluginpb.Delivery) {
	p := now.who(c)
	if known := now.cfg.people.Find(p, ""); known != nil {
		if known.Language != "" {
			out.Context.Language = known.Language
		}
		if known.TimeZone != "" {
			out.Context.TimeZone = known.TimeZone
		}
	}
	raw, _ := json.Marshal(p) // it came from JSON
	out.User, out.TimeoutMs = c.User, d.directTimeout().Milliseconds()
	out.Context.Direct, out.Context.Recipient = true, raw
}

// forgetRefused wraps done: a user whom the provider refuses may be somebody
// else by now, so the next message to the person looks again.
func (a *App) forgetRefused(d *destination, user string, done func(relay.Report)) func(relay.Report) {
	return func(r relay.Report) {
		if r.Verdict == relay.RecipientRefused || r.Verdict == relay.Unmatched {
			a.identities.Forget(d.account.id, user)
		}
		done(r)
	}
}

// known is a person with everything that relay knows without asking: what
// relay.yaml says, and the id at a destination's provider from a look-up of
// before. It reports whether that is more than p says.
func (a *App) known(now *snapshot, d *destination, p relay.Person, source string) (relay.Person, bool) {
	q := now.cfg.people.Complete(p, source)
	id := d.userID(q)
	if id == "" && d.account != nil {
		id = a.identities.User(d.account.id, d.account.matchBy, q)
	}
	if id != "" && q.IDs[d.Use] != id {
		ids := maps.Clone(q.IDs)
		if ids == nil {
			ids = map[string]string{}
		}
		ids[d.Use] = id
		q.IDs = ids
	}
	changed := p.Name != q.Name || p.Email != q.Email || p.Phone != q.Phone || !maps.Equal(p.IDs, q.IDs)
	return q, changed
}
