package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

// gate is what holds lanes. A channel has one of its own; direct messages that
// use the same credentials share one, since what the vendor says of those is
// said of all.
type gate struct {
	pause *relay.Pause

	// While it is paused and probes are allowed:
	probeAt time.Time // not before
	probes  int       // in a row that were refused
	probing *lane     // its delivery is on its way
}

// lanesOf are those that a gate holds.
func (e *Engine) lanesOf(g *gate) []*lane {
	var all []*lane
	for _, l := range e.lanes {
		if l.gate == g {
			all = append(all, l)
		}
	}
	return all
}

// pause holds a lane, with all that share its gate. One that a vendor caused
// holds also while the disk is full: if it is forgotten by a restart, the
// vendor says it again.
func (e *Engine) pause(ctx context.Context, l *lane, p relay.Pause) error {
	p.Since, p.Settings = e.o.Now(), l.Settings
	l.gate.pause, l.gate.probes, l.gate.probeAt = &p, 0, p.Since.Add(probeWait(0))
	l.gate.probing = nil // one that is on its way says nothing about this pause
	for _, held := range e.lanesOf(l.gate) {
		if err := e.keepPause(ctx, held); err != nil {
			return err
		}
		e.giveBack(held)
	}
	return nil
}

// keepPause writes down that a lane is held by its gate.
func (e *Engine) keepPause(ctx context.Context, l *lane) error {
	p := *l.gate.pause
	p.Lane = l.lane()
	l.fallBackAt, l.expireAt = p.Since.Add(l.FallBackAfter), p.Since.Add(l.HoldFor)
	err := e.o.Store.Pause(ctx, p)
	if err != nil && (p.Manual || !errors.Is(err, relay.ErrDiskFull)) {
		return fmt.Errorf("pause %s: %w", l.Name, err)
	}
	return nil
}

// resume lets a lane go on, with all that share its gate. Those whose settings
// changed go on also while the disk is full: after a restart their settings
// differ again.
func (e *Engine) resume(ctx context.Context, l *lane) error {
	if l.gate.pause == nil {
		return nil
	}
	manual := l.gate.pause.Manual
	for _, held := range e.lanesOf(l.gate) {
		err := e.o.Store.Resume(ctx, held.lane())
		if err != nil && (manual || !errors.Is(err, relay.ErrDiskFull)) {
			return fmt.Errorf("resume %s: %w", held.Name, err)
		}
	}
	l.gate.pause, l.gate.probing = nil, nil
	for _, held := range e.lanesOf(l.gate) {
		held.due, held.easing = e.o.Now(), true // whatever waits is looked at
	}
	return nil
}

// join puts a lane behind the gate that its configuration says. A pause goes
// with it as long as it is about the same credentials.
func (e *Engine) join(ctx context.Context, l *lane, g *gate) error {
	before := l.gate
	if before == g {
		return nil
	}
	l.gate = g
	switch {
	case before.pause != nil && g.pause == nil && (before.pause.Manual || before.pause.Settings == l.Settings):
		g.pause, g.probes, g.probeAt = before.pause, before.probes, before.probeAt
		for _, held := range e.lanesOf(g) {
			if err := e.keepPause(ctx, held); err != nil {
				return err
			}
		}
	case g.pause != nil:
		return e.keepPause(ctx, l)
	case before.pause != nil:
		e.o.Logger.Info("destination resumed", "destination", l.Name, "part", l.lane().Part, "why", "its settings changed")
		l.due, l.easing = e.o.Now(), true
		if err := e.o.Store.Resume(ctx, l.lane()); err != nil && !errors.Is(err, relay.ErrDiskFull) {
			return fmt.Errorf("resume %s: %w", l.Name, err)
		}
	}
	return nil
}
