// Package delivery is the engine between the store and the providers: it
// claims what is due, hands it over, and turns every report into what happens
// next.
//
// It promises that a destination which is slow, paused or refused takes nothing
// from the others, that first attempts of one destination start in the order of
// acceptance, and that nothing waits in memory: what may not start yet stays in
// the store. One goroutine owns all of its state; verdicts and claims share one
// transaction of the store, and what is reported meanwhile makes the next one.
//
// It leaves to others what a message looks like, how a provider is reached, and
// how anything is kept.
package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
)

// Store is the part of the store that the engine uses.
type Store interface {
	// Step records outcomes and claims due deliveries in one transaction. It
	// returns what was claimed, when each lane named has work again, and which
	// lanes got work by a fallback.
	Step(ctx context.Context, outcomes []relay.Outcome, claims []relay.ClaimRequest) ([]relay.Claimed, []relay.Due, error)
	// Dues lists every lane with unfinished deliveries.
	Dues(ctx context.Context) ([]relay.Due, error)
	Pause(ctx context.Context, p relay.Pause) error
	Resume(ctx context.Context, lane relay.Lane) error
	Pauses(ctx context.Context) ([]relay.Pause, error)
	// Pace is what a lane that was claimed with limits sent since a time.
	Pace(ctx context.Context, lane relay.Lane, since time.Time) (relay.Pace, error)
	// Expire ends what was due at or before a time and is held since.
	Expire(ctx context.Context, lane relay.Lane, due time.Time, reason string, limit int) (n int, fell []relay.Due, err error)
	// FallBackHeld stores channel deliveries for events whose direct messages
	// are held, as their policy wants it, and says how many.
	FallBackHeld(ctx context.Context, destination string, due time.Time, limit int) (int, error)
	// Remove, Restore and Removals keep which lanes are named no more; Bury ends
	// what waits for one, a step at a time. What is claimed is left to its report.
	Remove(ctx context.Context, r relay.Removal) error
	Restore(ctx context.Context, lane relay.Lane) error
	Removals(ctx context.Context) ([]relay.Removal, error)
	Bury(ctx context.Context, r relay.Removal, fallBack bool, limit int) (ended int, left bool, err error)
}

// Sender hands deliveries to providers.
type Sender interface {
	// Ready reports whether the destination's provider takes deliveries now.
	Ready(destination string) bool
	// Send does not block. done is called once, from another goroutine. After
	// an error it is never called, and the delivery was not tried. A suspect of
	// a crash goes alone: to a process that holds nothing else.
	Send(c relay.Claimed, alone bool, done func(relay.Report)) error
	// Resolve finds out who the recipients of direct messages of one lane are.
	// It does not block. done is called once, from another goroutine, with one
	// answer for each, in order. After an error it is never called.
	Resolve(all []relay.Claimed, alone bool, done func([]Resolution)) error
}

// Resolution is who a recipient is: a Match, or the report of the look-up that
// found nobody.
type Resolution struct {
	Match *relay.Match
	relay.Report
}

// Destination is what the engine must know of one part of a destination.
type Destination struct {
	Name         string
	Part         relay.Part // empty: the channel
	Plugin       string     // whose process it is sent by; what ends that process concerns all of its destinations
	Account      string     // of direct messages: the credentials that they use, with which they are paused
	Settings     string     // the revision of its settings: another one ends a pause that a vendor caused
	Concurrency  int        // deliveries in flight at a time, at least 1
	Windows      []Window   // the limits on starts
	RetryFor     time.Duration
	MaxAmbiguous int // ambiguous attempts after which the outcome counts as unknown
	Disabled     bool
	// FallBackAfter is how long direct messages may be held before the channel
	// gets their events, where the policy of an event says so; 0: for ever.
	FallBackAfter time.Duration
	HoldFor       time.Duration // how long a delivery is held before it expires; 0: for ever
}

func (d Destination) lane() relay.Lane {
	if d.Part == relay.PartDirect {
		return relay.Direct(d.Name)
	}
	return relay.Channel(d.Name)
}

// Options say how the engine runs.
type Options struct {
	Store  Store
	Sender Sender
	Logger *slog.Logger
	Drain  time.Duration // how long Run waits at its end for what is in flight
	// Now is the clock, which never goes back. nil: time.Now.
	Now func() time.Time
	// Waited is told how long deliveries of a destination were due and only a
	// limit on starts, or a wait that the vendor asked for, held them back. nil:
	// nobody is told.
	Waited func(destination string, t time.Duration)
}

// Engine delivers. Its methods may be called concurrently with Run.
type Engine struct {
	o     Options
	inbox inbox

	// All below belongs to the goroutine of Run.
	lanes    map[relay.Lane]*lane
	gates    map[string]*gate   // of direct messages, by account
	ledgers  map[string]*ledger // by the keys of windows; kept over reloads
	persons  personLedgers
	outcomes []relay.Outcome // to be recorded
	oldest   time.Time       // when the first of them came in
	inflight int
	isolated map[string]*isolation // by plugin
	suspects map[string]int        // delivery → how often its plugin died while it held nothing else
	paced    bool                  // the limits know what earlier runs sent
	retryAt  time.Time             // the store could not record; nothing is tried before
	full     bool                  // it could not the last time; verdicts go first
	stopping bool                  // nothing more starts

	configured   bool // it is known which lanes there are
	removedGrace time.Duration
}

// New makes an engine that does nothing yet.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Waited == nil {
		o.Waited = func(string, time.Duration) {}
	}
	return &Engine{
		o: o, inbox: newInbox(), lanes: map[relay.Lane]*lane{}, gates: map[string]*gate{}, ledgers: map[string]*ledger{},
		isolated: map[string]*isolation{}, suspects: map[string]int{}, removedGrace: defaultRemovedGrace,
	}
}

// SetDestinations replaces what the engine knows of destinations. Deliveries
// in flight end as they began.
func (e *Engine) SetDestinations(all []Destination) {
	e.inbox.put(func(ctx context.Context) error { return e.configure(ctx, all) })
}

// Wake says that these lanes have new deliveries.
func (e *Engine) Wake(lanes ...relay.Lane) {
	e.inbox.wake(lanes)
}

// WakeAll makes the engine look at every destination again, because a provider
// came back or went away.
func (e *Engine) WakeAll() {
	e.inbox.put(func(context.Context) error { return nil })
}

// Pause holds a lane until Resume: direct messages with all that use the same
// credentials. It is on disk when Pause returns.
func (e *Engine) Pause(ctx context.Context, lane relay.Lane, reason string) error {
	return e.inbox.do(ctx, func(ctx context.Context) error {
		if err := e.pause(ctx, e.lane(lane), relay.Pause{Reason: reason, Manual: true}); err != nil {
			return err
		}
		e.o.Logger.Info("destination paused", "destination", lane.Destination, "part", lane.Part, "reason", reason)
		return nil
	})
}

// Resume lets a paused lane go on, with all that were held with it; one that is
// not paused goes on anyway.
func (e *Engine) Resume(ctx context.Context, lane relay.Lane) error {
	return e.inbox.do(ctx, func(ctx context.Context) error {
		l := e.lane(lane)
		paused := l.gate.pause != nil
		if err := e.resume(ctx, l); err != nil || !paused {
			return err
		}
		e.o.Logger.Info("destination resumed", "destination", lane.Destination, "part", lane.Part, "why", "an operator resumed it")
		return nil
	})
}

// Run delivers until ctx ends; then it claims nothing more, waits a bounded
// time for what is in flight and records it. Any other error is the store's,
// and final.
func (e *Engine) Run(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	defer e.inbox.close()
	if err := e.load(work); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return e.drain(work)
		case <-e.inbox.signal:
		case <-timer.C:
		}
		if err := e.turn(work, true); err != nil {
			return err
		}
		timer.Reset(e.untilNext(e.o.Now()))
	}
}

// drain ends a run: verdicts are recorded as they come, nothing new starts.
// What is not answered in time stays claimed, and the next run sends it again.
func (e *Engine) drain(ctx context.Context) error {
	timeout := time.NewTimer(e.o.Drain)
	defer timeout.Stop()
	e.stopping = true
	for _, l := range e.lanes {
		e.giveBack(l)
	}
	for {
		if err := e.turn(ctx, false); err != nil {
			return err
		}
		if e.inflight == 0 && len(e.outcomes) == 0 {
			return nil
		}
		select {
		case <-e.inbox.signal:
		case <-timeout.C:
			e.o.Logger.Warn("deliveries still in flight are left for the next start", "count", e.inflight)
			e.retryAt = time.Time{} // the last chance
			return e.turn(ctx, false)
		}
	}
}

// load takes up what the last run left.
func (e *Engine) load(ctx context.Context) error {
	pauses, err := e.o.Store.Pauses(ctx)
	if err != nil {
		return fmt.Errorf("read pauses: %w", err)
	}
	for _, p := range pauses {
		l := e.lane(p.Lane)
		l.gate.pause, l.gate.probeAt = &p, e.o.Now().Add(probeWait(0))
	}
	removals, err := e.o.Store.Removals(ctx)
	if err != nil {
		return fmt.Errorf("read what was removed: %w", err)
	}
	for _, r := range removals {
		e.lane(r.Lane).removed = &r
	}
	dues, err := e.o.Store.Dues(ctx)
	if err != nil {
		return fmt.Errorf("read what is due: %w", err)
	}
	for _, d := range dues {
		e.lane(d.Lane).due = d.At
	}
	return nil
}

func (e *Engine) lane(key relay.Lane) *lane {
	l := e.lanes[key]
	if l == nil {
		l = &lane{Destination: Destination{Name: key.Destination, Part: key.Part}, gate: &gate{}}
		e.lanes[key] = l
	}
	return l
}

// gateOf is the gate that a lane belongs behind: its own, or its account's.
func (e *Engine) gateOf(l *lane) *gate {
	if l.Account == "" {
		return l.gate
	}
	g := e.gates[l.Account]
	if g == nil {
		g = &gate{}
		e.gates[l.Account] = g
	}
	return g
}

func (e *Engine) configure(ctx context.Context, all []Destination) error {
	e.configured = true
	for _, l := range e.lanes {
		l.known = false
	}
	for _, d := range all {
		l := e.lane(d.lane())
		if l.Plugin != d.Plugin {
			e.giveBack(l) // its suspects wait at the other one
		}
		l.Destination, l.known = d, true
		if err := e.restore(ctx, l); err != nil {
			return err
		}
		if err := e.join(ctx, l, e.gateOf(l)); err != nil {
			return err
		}
		l.limits, l.ledgers, l.personal = nil, nil, nil
		for _, w := range d.Windows {
			if w.PerUser {
				l.personal = append(l.personal, w)
				continue
			}
			shared := e.ledgers[w.Key]
			if shared == nil {
				shared = &ledger{}
				e.ledgers[w.Key] = shared
			}
			shared.remember(w.Rate)
			l.limits = append(l.limits, limit{shared, w.Rate})
			if !slices.Contains(l.ledgers, shared) {
				l.ledgers = append(l.ledgers, shared)
			}
		}
		if p := l.gate.pause; p != nil && !p.Manual && p.Settings != d.Settings {
			e.o.Logger.Info("destination resumed", "destination", l.Name, "part", l.lane().Part, "why", "its settings changed")
			if err := e.resume(ctx, l); err != nil {
				return err
			}
		}
	}
	if err := e.recall(ctx); err != nil {
		return err
	}
	for key, l := range e.lanes {
		e.feed(l) // a lane that is disabled or gone gives its queue back
		if !l.known && l.inflight == 0 && l.gate.pause == nil && l.removed == nil && l.due.IsZero() {
			delete(e.lanes, key)
		}
	}
	return nil
}
