package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

const (
	// defaultRemovedGrace is how long what waits for a removed destination is
	// held, unless SetRemovedGrace says otherwise.
	defaultRemovedGrace = 24 * time.Hour
	// buryStep is how many deliveries one transaction ends.
	buryStep = 200
	// buryAgain is the wait where nothing could be ended: the rest is claimed, or
	// the disk is full.
	buryAgain = time.Second
)

// SetRemovedGrace says how long what waits for a destination that is removed is
// held before it is dead.
func (e *Engine) SetRemovedGrace(d time.Duration) {
	e.inbox.put(func(context.Context) error {
		e.removedGrace = d
		return nil
	})
}

// disabled is the reason of what is held because its destination is disabled.
const disabled = "destination disabled"

// retire holds what waits for lanes that the configuration disables or does not
// name. Of the latter it ends it when its time of grace is over: a rename or a
// bad edit that is undone in time loses nothing.
func (e *Engine) retire(ctx context.Context, now time.Time) error {
	if !e.configured {
		return nil
	}
	for key, l := range e.lanes {
		if l.known && !l.Disabled || l.due.IsZero() && l.removed == nil {
			continue
		}
		if why := e.removedReason(l); l.removed == nil || l.removed.Reason != why {
			if err := e.remove(ctx, l, why, now); err != nil {
				return err
			}
		}
		if l.known || now.Before(l.removedUntil(e.removedGrace)) || now.Before(l.buryAt) {
			continue
		}
		channel := e.lanes[relay.Channel(l.Name)]
		ended, left, err := e.o.Store.Bury(ctx, *l.removed, channel != nil && channel.known, buryStep)
		switch {
		case errors.Is(err, relay.ErrDiskFull):
			l.buryAt = now.Add(buryAgain)
		case err != nil:
			return err
		case left && ended == 0: // what is on its way, or reported and not recorded
			l.buryAt = now.Add(buryAgain)
		case left: // the next step is the next turn's
			e.WakeAll()
		default:
			e.o.Logger.Warn("deliveries of a removed destination are dead", "destination", l.Name, "part", l.lane().Part, "after", e.removedGrace)
			l.removed, l.due = nil, time.Time{}
			if l.inflight == 0 && l.gate.pause == nil {
				delete(e.lanes, key)
			}
			if channel != nil && channel.known {
				channel.due = now // perhaps it got what direct messages fell back to
			}
		}
	}
	return nil
}

// removedReason says what of a destination is gone, or that it is disabled.
func (e *Engine) removedReason(l *lane) string {
	if l.known {
		return disabled
	}
	for _, other := range e.lanes {
		if other.known && other.Name == l.Name {
			if l.Part == relay.PartDirect {
				return "direct messages removed"
			}
			return "channel removed"
		}
	}
	return "destination removed"
}

// remove holds a lane. It holds also while the disk is full: a restart finds
// out again that it is not named.
func (e *Engine) remove(ctx context.Context, l *lane, why string, now time.Time) error {
	r := relay.Removal{Lane: l.lane(), Reason: why, Since: now}
	if l.removed != nil && !l.known && l.removed.Reason != disabled {
		r.Since = l.removed.Since // the same absence, in other words
	}
	l.removed = &r
	if l.known {
		e.o.Logger.Info("what waits is held", "destination", l.Name, "part", r.Part, "reason", why)
	} else {
		e.o.Logger.Warn("what waits is held", "destination", l.Name, "part", r.Part, "reason", why,
			"until", l.removedUntil(e.removedGrace).UTC().Format(time.RFC3339), "hint", "name it in the configuration again before then, and it goes on")
	}
	if err := e.o.Store.Remove(ctx, r); err != nil && !errors.Is(err, relay.ErrDiskFull) {
		return fmt.Errorf("hold what waits for %s: %w", l.Name, err)
	}
	return nil
}

// restore lets a lane go on that is named and enabled again.
func (e *Engine) restore(ctx context.Context, l *lane) error {
	if l.removed == nil || l.Disabled {
		return nil
	}
	if err := e.o.Store.Restore(ctx, l.lane()); err != nil {
		if !errors.Is(err, relay.ErrDiskFull) {
			return fmt.Errorf("restore %s: %w", l.Name, err)
		}
		return nil // a later configuration or start tries again; deliveries show as held till then
	}
	e.o.Logger.Info("destination is back", "destination", l.Name, "part", l.lane().Part)
	l.removed, l.due = nil, time.Now() // whatever waits is looked at
	return nil
}

// removedUntil is when what waits for a removed lane ends.
func (l *lane) removedUntil(grace time.Duration) time.Time { return l.removed.Since.Add(grace) }
