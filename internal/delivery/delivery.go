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
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// turn handles what came in and makes one step of the store out of it.
func (e *Engine) turn(ctx context.Context, claim bool) error {
	in := e.inbox.take()
	now := e.o.Now()
	for _, f := range in.commands {
		if err := f(ctx); err != nil {
			return err
		}
	}
	for key := range in.woken {
		if l := e.lane(key); l.due.IsZero() || l.due.After(now) {
			l.due = now
		}
	}
	for _, r := range in.reports {
		if err := e.report(ctx, r, now); err != nil {
			return err
		}
	}
	for _, r := range in.resolved {
		if err := e.resolved(ctx, r, now); err != nil {
			return err
		}
	}
	if now.Before(e.retryAt) {
		return nil
	}
	var claims []relay.ClaimRequest
	if claim {
		for _, look := range []func(context.Context, time.Time) error{e.retire, e.lookForPlugins, e.fallBackHeld, e.expireHeld} {
			if err := look(ctx, now); err != nil {
				return err
			}
		}
		// Nothing is sent that could not be recorded.
		if !e.full || len(e.outcomes) == 0 {
			claims = e.claims(now)
		}
	}
	if len(claims) == 0 && (len(e.outcomes) == 0 || claim && e.mayLinger(now)) {
		return nil
	}
	claimed, dues, err := e.o.Store.Step(ctx, e.outcomes, claims)
	if errors.Is(err, relay.ErrDiskFull) {
		// Verdicts are kept here and tried again.
		e.o.Logger.Error("cannot record deliveries", "error", err, "retry_in", diskFullWait)
		e.retryAt, e.full = now.Add(diskFullWait), true
		return nil
	}
	if err != nil {
		return fmt.Errorf("record deliveries: %w", err)
	}
	if e.full && len(e.outcomes) > 0 {
		e.WakeAll() // to claim
	}
	e.outcomes, e.full = nil, false
	for _, d := range dues {
		l := e.lane(d.Lane)
		l.due = d.At
		if d.At.IsZero() || d.At.After(now) {
			l.easing = false // what was held has gone
		}
	}
	for _, c := range claimed {
		l := e.lane(c.Lane)
		l.queue = append(l.queue, c)
		if l.gate.pause != nil {
			l.gate.probing = l
		}
	}
	for _, d := range dues {
		e.feed(e.lane(d.Lane))
	}
	return nil
}

const (
	// linger is how long a verdict may wait for others to share its
	// transaction, while nothing waits for it, and lingerCount how many are
	// enough. Both are small: what is not recorded is sent again after a crash.
	linger      = 5 * time.Millisecond
	lingerCount = 64
)

// mayLinger reports whether verdicts can wait a little for company.
func (e *Engine) mayLinger(now time.Time) bool {
	return len(e.outcomes) < lingerCount && now.Sub(e.oldest) < linger && !e.full
}

// diskFullWait is the time between tries to record while the disk is full.
const diskFullWait = time.Second

// report turns one report into an outcome, and into a pause where the whole
// destination was refused.
func (e *Engine) report(ctx context.Context, r reported, now time.Time) error {
	l := e.lane(r.Lane)
	e.ended(l)
	r.from.free()
	strikes := e.suspect(r)
	o := decide(l.Destination, r, strikes, now, rand.Float64)
	if o.State.Final() {
		delete(e.suspects, r.ID)
	}
	e.record(o, now)
	if r.Verdict == relay.Temporary && r.RetryAfter > 0 {
		l.hold(now.Add(min(r.RetryAfter, longestHint)))
	}
	if o.State == relay.StatePending && (l.due.IsZero() || l.due.After(o.Due)) {
		l.due = o.Due
	}
	e.log(l, r, o)
	probed, refused := l.gate.probing == l, r.Verdict == relay.DestinationRefused
	if probed {
		l.gate.probing = nil
	}
	switch {
	case refused && l.gate.pause == nil:
		e.o.Logger.Error("destination paused", "destination", l.Name, "part", l.lane().Part, "reason", r.Error, "probes", r.Probe,
			"hint", fmt.Sprintf("change its settings or run: relay destinations resume %s --part %s", l.Name, l.lane().Part))
		if err := e.pause(ctx, l, relay.Pause{Reason: r.Error, Probe: r.Probe}); err != nil {
			return err
		}
	case probed && (refused || r.Lost):
		l.gate.probes++
		l.gate.probeAt = now.Add(probeWait(l.gate.probes))
	case probed:
		e.o.Logger.Info("destination resumed", "destination", l.Name, "part", l.lane().Part, "why", "a delivery was not refused any more")
		if err := e.resume(ctx, l); err != nil {
			return err
		}
	}
	e.feed(l)
	return nil
}

// resolved goes on with a recipient who was looked up: to the message if there
// is somebody, else the look-up was the attempt.
func (e *Engine) resolved(ctx context.Context, r resolved, now time.Time) error {
	if r.Match == nil {
		return e.report(ctx, reported{r.Claimed, r.Report, r.started, r.ended, r.from}, now)
	}
	l := e.lane(r.Lane)
	e.ended(l)
	r.from.free()
	e.record(relay.Outcome{Seq: r.Seq, Claim: r.Claim, State: relay.StatePending, Match: r.Match}, now)
	if l.due.IsZero() || l.due.After(now) {
		l.due = now
	}
	if l.gate.probing == l {
		l.gate.probing = nil
		if err := e.resume(ctx, l); err != nil { // the credentials work again
			return err
		}
	}
	e.feed(l)
	return nil
}

// log says a repeated failure once, and its end once.
func (e *Engine) log(l *lane, r reported, o relay.Outcome) {
	if r.Verdict == relay.Delivered && l.failing == "" && !e.o.Logger.Enabled(context.Background(), slog.LevelDebug) {
		return // by far the most frequent case
	}
	facts := []any{"destination", l.Name, "delivery", r.ID, "event", r.EventID, "attempt", r.Attempt, "verdict", string(r.Verdict)}
	switch {
	case r.Verdict == relay.Delivered || r.Verdict == relay.Skipped:
		level := slog.LevelDebug
		if l.failing != "" {
			l.failing, level = "", slog.LevelInfo
		}
		e.o.Logger.Log(context.Background(), level, "delivered", facts...)
	case l.failing != r.Error:
		l.failing = r.Error
		e.o.Logger.Warn("delivery failed", append(facts, "then", string(o.State), "error", r.Error)...)
	default:
		e.o.Logger.Debug("delivery failed", append(facts, "then", string(o.State), "error", r.Error)...)
	}
}

// untilNext is how long nothing needs to be done unless something comes in.
func (e *Engine) untilNext(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	earlier := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if e.retryAt.After(now) {
		earlier(e.retryAt)
		return next.Sub(now)
	}
	if len(e.outcomes) > 0 {
		earlier(e.oldest.Add(linger))
	}
	for _, l := range e.lanes {
		for _, at := range []time.Time{l.fallBackDue(), l.expiryDue(), l.downDue()} {
			if !at.IsZero() {
				earlier(at)
			}
		}
		if l.removed != nil && !l.known {
			earlier(later(l.removedUntil(e.removedGrace), l.buryAt))
		}
		if !l.limited.IsZero() {
			earlier(now.Add(tellEvery))
		}
		switch {
		case l.mayProbe():
			if e.o.Sender.Ready(l.Name) {
				earlier(later(later(l.due, l.gate.probeAt), l.next(now)))
			}
		case l.due.IsZero() || !l.mayStart() || l.room() <= 0:
		case l.due.After(now):
			earlier(l.due)
		case e.o.Sender.Ready(l.Name):
			earlier(l.next(now))
		}
	}
	return next.Sub(now)
}

// tellEvery is how often a wait for a limit is told of while it lasts.
const tellEvery = 15 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
