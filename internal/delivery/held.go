package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

const (
	// fallBackEvery is how often the held lanes are looked through for events
	// whose channel should get them after all, and fallBackStep how many
	// events one transaction takes.
	fallBackEvery = time.Minute
	fallBackStep  = 100
)

// fallBackDue is when a held lane is looked through next; zero: never.
func (l *lane) fallBackDue() time.Time {
	if l.gate.pause == nil || l.FallBackAfter <= 0 || !l.known {
		return time.Time{}
	}
	return l.fallBackAt
}

// fallBackHeld lets the channel have what direct messages held back for too long.
func (e *Engine) fallBackHeld(ctx context.Context, now time.Time) error {
	for _, l := range e.lanes {
		at := l.fallBackDue()
		if at.IsZero() || now.Before(at) {
			continue
		}
		for made, all := fallBackStep, 0; made == fallBackStep; all += made {
			var err error
			made, err = e.o.Store.FallBackHeld(ctx, l.Name, now.Add(-l.FallBackAfter), fallBackStep)
			if errors.Is(err, relay.ErrDiskFull) {
				break
			}
			if err != nil {
				return fmt.Errorf("fall back to the channel of %s: %w", l.Name, err)
			}
			if all == 0 && made > 0 {
				e.o.Logger.Warn("direct messages are held for long; their events go to the channel", "destination", l.Name, "reason", l.gate.pause.Reason)
				e.lane(relay.Channel(l.Name)).due = now
			}
		}
		l.fallBackAt = now.Add(fallBackEvery)
	}
	return nil
}

// expireStep is how many held deliveries one transaction ends.
const expireStep = 200

// expiryDue is when a held lane is looked through for what was held too long;
// zero: never.
func (l *lane) expiryDue() time.Time {
	since, _ := l.held()
	if since.IsZero() || l.HoldFor <= 0 {
		return time.Time{}
	}
	return later(l.expireAt, since.Add(l.HoldFor))
}

// held is since when and why what waits for a lane that is named is held; zero:
// it is not.
func (l *lane) held() (since time.Time, reason string) {
	switch {
	case !l.known:
	case l.gate.pause != nil:
		return l.gate.pause.Since, l.gate.pause.Reason
	case l.removed != nil:
		return l.removed.Since, l.removed.Reason
	}
	return time.Time{}, ""
}

// expireHeld ends what has been held for longer than HoldFor, in small steps.
func (e *Engine) expireHeld(ctx context.Context, now time.Time) error {
	for _, l := range e.lanes {
		at := l.expiryDue()
		if at.IsZero() || now.Before(at) {
			continue
		}
		l.expireAt = now.Add(fallBackEvery)
		_, reason := l.held()
		n, fell, err := e.o.Store.Expire(ctx, l.lane(), now.Add(-l.HoldFor),
			fmt.Sprintf("held for more than %s: %s", l.HoldFor, reason), expireStep)
		if errors.Is(err, relay.ErrDiskFull) {
			continue
		}
		if err != nil {
			return fmt.Errorf("expire what %s holds: %w", l.Name, err)
		}
		if n > 0 {
			e.o.Logger.Warn("held deliveries expired", "destination", l.Name, "part", l.lane().Part, "count", n, "reason", reason)
		}
		if n == expireStep {
			l.expireAt = now // there are more; others come first
		}
		for _, d := range fell {
			if to := e.lane(d.Lane); to.due.IsZero() || to.due.After(d.At) {
				to.due = d.At
			}
		}
	}
	return nil
}

const (
	// unavailable is the reason of what is held because its plugin does not run.
	unavailable = "plugin unavailable"
	// downFor is how long a plugin may be away before its deliveries count as
	// held: it is started anew within milliseconds as a rule.
	downFor = 5 * time.Second
)

// downDue is when a lane counts as held because its plugin is away; zero: never.
func (l *lane) downDue() time.Time {
	if l.downSince.IsZero() || l.gate.pause != nil {
		return time.Time{}
	}
	return l.downSince.Add(downFor)
}

// lookForPlugins holds the lanes whose plugin has been away for a while, and
// lets them go when it is back.
func (e *Engine) lookForPlugins(ctx context.Context, now time.Time) error {
	for _, l := range e.lanes {
		ready := !l.known || l.Disabled || e.o.Sender.Ready(l.Name)
		p := l.gate.pause
		switch {
		case ready && p != nil && p.Unavailable && l.known && !l.Disabled:
			e.o.Logger.Info("destination resumed", "destination", l.Name, "part", l.lane().Part, "why", "its plugin is back")
			if err := e.resume(ctx, l); err != nil {
				return err
			}
			l.downSince = time.Time{}
		case ready:
			l.downSince = time.Time{}
		case l.downSince.IsZero():
			l.downSince = now
		case p == nil && !now.Before(l.downSince.Add(downFor)):
			e.o.Logger.Error("destination held", "destination", l.Name, "part", l.lane().Part, "reason", unavailable,
				"hint", "it goes on by itself when the plugin runs; the log and GET /v1/status say why it does not")
			if err := e.pause(ctx, l, relay.Pause{Reason: unavailable, Unavailable: true}); err != nil {
				return err
			}
		}
	}
	return nil
}
