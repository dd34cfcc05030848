package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// trial is the process of a provider in which previews run: a template that is
// being written may end it, and nothing else is in it. Previews have it by
// turns, so that what ends it is known. It starts with the first preview, and
// stays a while for those of somebody who is at work.
type trial struct {
	turn chan struct{} // capacity 1: whoever has it uses what is below
	ends *time.Timer   // for lack of use

	session *session // nil: there is none
	from    *image   // that it was started from
	setup   uint64   // the number of the one that it knows

	pid atomic.Int64 // of the process, for the status; 0: there is none
}

// trialIdle is how long the process stays without a preview.
const trialIdle = time.Minute

// Lost is the error of a call whose process ended, or did not answer in time.
type Lost struct{ Why string }

func (e *Lost) Error() string { return e.Why }

// Preview asks for what a delivery would send, within the time that it has, in
// a process that holds no delivery. ErrUnavailable means that the plugin does
// not run now, a *Lost that the preview ended its process; what a template or
// the provider refuses is in the answer.
func (p *Provider) Preview(ctx context.Context, d *pluginpb.Delivery) (*pluginpb.PreviewResponse, error) {
	if !p.Ready() {
		return nil, relay.ErrUnavailable
	}
	t := &p.trial
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := p.tryOut(ctx)
	if err != nil {
		return nil, err
	}
	out, err := s.preview(ctx, d)
	var lost *Lost
	if errors.As(err, &lost) {
		select {
		case <-s.ended: // relay may have ended it, and said why
		case <-time.After(time.Second): // it goes on, whatever it says
			p.endTrial()
		}
		if s.outgrew.Load() {
			lost.Why = s.reason.Error()
		}
	}
	if !s.alive() {
		p.endTrial()
	}
	return out, err
}

// tryOut is the process for previews, which knows the setup of this moment. It
// is called with the turn.
func (p *Provider) tryOut(ctx context.Context) (*session, error) {
	t := &p.trial
	m := p.image.Load()
	if s := t.session; s != nil && (t.from != m || !s.alive() || s.proc.Conn.Exited.Err() != nil) {
		p.endTrial()
	}
	p.mu.Lock()
	number, next, previous := p.setups, p.setup, p.previous
	p.mu.Unlock()
	if t.session == nil {
		if m == nil || !m.intact() {
			return nil, relay.ErrUnavailable
		}
		s, err := p.host.open(ctx, m)
		if err != nil {
			return nil, err
		}
		t.session, t.from, t.setup = s, m, 0
		ends := time.AfterFunc(trialIdle, func() { s.end(errNotUsed) })
		t.ends = ends
		t.pid.Store(int64(s.proc.PID))
		p.host.wg.Go(func() {
			select {
			case <-p.ctx.Done():
			case <-s.ended:
			}
			ends.Stop()
			s.close(p.host.ctx)
			t.pid.CompareAndSwap(int64(s.proc.PID), 0)
			p.host.discard(m)
		})
	}
	t.ends.Reset(trialIdle)
	if t.setup != number {
		if _, err := t.session.learn(ctx, next, previous); err != nil {
			p.endTrial()
			return nil, fmt.Errorf("plugin %s did not take its settings: %w", p.name, err)
		}
		t.setup = number
	}
	return t.session, nil
}

// endTrial is called with the turn.
func (p *Provider) endTrial() {
	if s := p.trial.session; s != nil {
		s.end(errNotUsed)
		p.trial.session = nil
	}
}

// trialStatus tells of the process for previews, if there is one.
func (p *Provider) trialStatus() (Status, bool) {
	pid := int(p.trial.pid.Load())
	if pid == 0 {
		return Status{}, false
	}
	s := p.Status()
	return Status{Name: p.name + " (previews)", Origin: s.Origin, Version: s.Version, PID: pid, State: StateReady, Memory: residentSize(pid), Beside: true}, true
}
