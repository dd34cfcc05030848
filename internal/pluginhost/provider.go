package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Setup is what a provider must know for the deliveries that it gets: the
// settings of its destinations and the programs that render for them.
type Setup struct {
	Settings []*pluginpb.Settings
	Programs []*relay.Program
	Egress   *pluginpb.Egress // where it may connect to
	Memory   int64            // resident bytes that a process may use before another takes its place; 0: any number
}

// Provider is one provider and the process that runs it, whichever that is at
// the moment. Its methods may be called concurrently.
type Provider struct {
	name   string
	host   *Host
	logger *slog.Logger
	spare  bool            // of another Provider, for what must be alone
	ctx    context.Context // ends run
	stop   context.CancelFunc

	session atomic.Pointer[session]
	tickets atomic.Uint64

	mu       sync.Mutex // guards the fields below, and is held while a session learns a setup
	status   Status
	setup    Setup
	previous Setup         // deliveries of the last setup may still be on their way
	turned   chan struct{} // closed when the next session begins
	alone    *spare
	begun    chan struct{} // closed when there is a setup
	told     bool          // it is closed
}

// Apply makes the provider know a setup: when it returns, deliveries may name
// what is in it. What the setup before it held stays known until the next one.
// A provider that is not running learns it when it starts. An error means that
// the process could not be told; it is ended and started anew with the setup.
func (p *Provider) Apply(ctx context.Context, next Setup) ([]*pluginpb.Problem, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.previous, p.setup = p.setup, next
	if !p.told {
		p.told = true
		close(p.begun)
	}
	if p.alone != nil {
		p.alone.Apply(ctx, next) // it says itself what is wrong
	}
	s := p.session.Load()
	switch {
	case s == nil:
		return nil, nil
	case s.memory != next.Memory:
		s.end(errReplaced)
		return nil, nil
	}
	problems, err := s.learn(ctx, p.setup, p.previous)
	if err != nil {
		s.end(fmt.Errorf("plugin %s did not take its settings: %w", p.name, err))
	}
	return problems, err
}

// Ready reports whether deliveries are taken now.
func (p *Provider) Ready() bool { return p.session.Load() != nil }

// Status tells of the process.
func (p *Provider) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Name, s.Origin = p.name, "built-in"
	return s
}

// Deliver hands over one delivery; its ticket is given here. done is called
// exactly once, from another goroutine, also when the process dies: then the
// report is ambiguous and lost. ErrUnavailable means that there is no process
// now, and done is never called.
func (p *Provider) Deliver(d *pluginpb.Delivery, done func(relay.Report)) error {
	d.Ticket = p.tickets.Add(1)
	s := p.session.Load()
	if s == nil || !s.deliver(d, done) {
		return relay.ErrUnavailable
	}
	return nil
}

// Resolve looks people up. ErrUnavailable means that there is no process now;
// any other error that it ended or hung meanwhile. alone reports that it had
// nothing else to do then.
func (p *Provider) Resolve(ctx context.Context, in *pluginpb.ResolveRequest) (out *pluginpb.ResolveResponse, alone bool, err error) {
	s := p.session.Load()
	if s == nil {
		return nil, false, relay.ErrUnavailable
	}
	return s.resolve(ctx, in)
}

// Preview asks for what a delivery would send, within the time that it has. Its
// errors are those of Resolve; what a template or the provider refuses is in
// the answer.
func (p *Provider) Preview(ctx context.Context, d *pluginpb.Delivery) (*pluginpb.PreviewResponse, error) {
	s := p.session.Load()
	if s == nil {
		return nil, relay.ErrUnavailable
	}
	return s.preview(ctx, d)
}

// errReplaced is why a process ends that another takes the place of at once.
var errReplaced = errors.New("it is started anew with another bound of its memory")

// run keeps a process running until the provider is stopped.
func (p *Provider) run() {
	ctx := p.ctx
	select {
	case <-p.begun:
	case <-ctx.Done():
		return
	}
	var wait backoff
	for {
		started := time.Now()
		s, err := p.open(ctx)
		if err == nil {
			if !p.spare {
				p.host.o.OnReady(p.name)
			}
			select {
			case <-ctx.Done():
			case <-s.ended:
			}
			p.session.CompareAndSwap(s, nil)
			err = s.reason
			// A hung process drains what it still answers while its successor
			// already works.
			p.host.wg.Go(func() { s.close(p.host.ctx) })
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errReplaced) {
			p.logger.Info("plugin is replaced", "why", err)
			continue
		}
		delay := wait.next(time.Since(started))
		p.note(func(st *Status) { st.State, st.PID, st.Error = StateBackoff, 0, p.host.o.Mask(err.Error()) })
		p.logger.Error("plugin ended", "error", p.host.o.Mask(err.Error()), "restart_in", delay)
		if !p.spare {
			p.host.o.OnDown(p.name)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		p.note(func(st *Status) { st.State = StateStarting; st.Restarts++ })
	}
}

// open starts a process and teaches it the setup of the moment.
func (p *Provider) open(ctx context.Context) (*session, error) {
	p.mu.Lock()
	memory := p.setup.Memory
	p.mu.Unlock()
	proc, err := p.host.start(p.name, memory, p.logger)
	if err != nil {
		return nil, err
	}
	s, version, err := newSession(ctx, p.name, proc, memory, p.logger)
	if err != nil {
		proc.kill()
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	problems, err := s.learn(ctx, p.setup, p.previous)
	if err != nil {
		s.end(errors.New("not used"))
		s.close(ctx)
		return nil, fmt.Errorf("plugin %s did not take its settings: %w", p.name, err)
	}
	for _, problem := range problems {
		if !problem.Warning {
			p.logger.Error("settings refused by the plugin", "pointer", problem.Pointer, "error", problem.Message)
		}
	}
	p.status.State, p.status.PID, p.status.Version, p.status.Error = StateReady, proc.pid, version, ""
	p.logger.Info("plugin started", "pid", proc.pid, "version", version)
	p.session.Store(s)
	close(p.turned)
	p.turned = make(chan struct{})
	return s, nil
}

func (p *Provider) note(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}
