package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/relay-sidecar/relay"
)

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
