package pluginhost

import (
	"cmp"
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
	first  *candidate    // the process that it begins with, if one was asked before; run's own
	again  chan struct{} // capacity 1: wait no longer for the next start
	look   chan struct{} // capacity 1: the executable may have changed

	session atomic.Pointer[session]
	tickets atomic.Uint64
	from    atomic.Pointer[Source] // where the process comes from
	next    atomic.Pointer[Source] // where it comes from after the next Apply
	image   atomic.Pointer[image]  // what it was last started from; nil: it never was

	known atomic.Pointer[Asked] // what the last process said of itself

	mu       sync.Mutex // guards the fields below, and is held while a session learns a setup
	status   Status
	setup    Setup
	previous Setup         // deliveries of the last setup may still be on their way
	turned   chan struct{} // closed when the next session begins
	setups   uint64        // how many setups there were
	alone    *spare

	trial trial // where previews run
}

func (p *Provider) source() Source { return *p.from.Load() }

// Apply makes the provider know a setup: when it returns, deliveries may name
// what is in it. What the setup before it held stays known until the next one.
// A provider that is not running learns it when it starts. An error means that
// the process could not be told; it is ended and started anew with the setup.
func (p *Provider) Apply(ctx context.Context, next Setup) ([]*pluginpb.Problem, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.previous, p.setup = p.setup, next
	p.setups++
	moved := p.next.Swap(nil)
	if p.alone != nil {
		defer func() { // after its own process took over what there is
			if moved != nil {
				p.alone.next.Store(moved)
			}
			p.alone.Apply(ctx, next) // it says itself what is wrong
		}()
	}
	if moved != nil && !moved.same(p.source()) {
		return p.move(ctx, *moved)
	}
	s := p.session.Load()
	switch {
	case s == nil:
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

// Renders reports whether the plugin has an engine. One that does not run now
// takes no deliveries either way.
func (p *Provider) Renders() bool {
	s := p.session.Load()
	return s == nil || s.description.Renders
}

// Status tells of the process.
func (p *Provider) Status() Status {
	p.mu.Lock()
	s := p.status
	p.mu.Unlock()
	s.Name, s.Origin, s.Memory = p.name, p.source().Origin, residentSize(s.PID)
	return s
}

// failure is why the process cannot be asked now.
func (p *Provider) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.New(cmp.Or(p.status.Error, "it is being started"))
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

// run keeps a process running until the provider is stopped.
func (p *Provider) run() {
	ctx := p.ctx
	defer func() {
		if s := p.session.Swap(nil); s != nil { // one that took over and was not seen yet
			p.retire(s)
		}
	}()
	var wait backoff
	said := ""
	for {
		var lived time.Duration // of a process that was ready
		s, err := p.open(ctx)
		if err == nil {
			started := time.Now()
			said = ""
			if !p.spare {
				p.host.o.OnReady(p.name)
				if !p.source().builtIn() {
					p.host.o.OnChange(p.name)
				}
			}
			select {
			case <-ctx.Done():
			case <-s.ended:
			}
			p.session.CompareAndSwap(s, nil)
			err, lived = s.reason, time.Since(started)
			p.retire(s)
		}
		if ctx.Err() != nil {
			return
		}
		if p.session.Load() != nil {
			continue // another one took over
		}
		delay, words := wait.next(lived), p.host.o.Mask(err.Error())
		p.note(func(st *Status) { st.State, st.PID, st.Error = StateBackoff, 0, words })
		level := slog.LevelError
		if words == said {
			level = slog.LevelDebug // it was said, and the status goes on saying it
		}
		said = words
		p.logger.Log(ctx, level, "plugin does not run", "error", words, "restart_in", delay)
		if !p.spare {
			p.host.o.OnDown(p.name)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.again:
		case <-time.After(delay):
		}
		p.note(func(st *Status) {
			if p.session.Load() == nil { // else another one took over meanwhile
				st.State = StateStarting
				st.Restarts++
			}
		})
	}
}

// retire ends a session that takes nothing new. A hung process drains what it
// still answers while its successor already works.
func (p *Provider) retire(s *session) {
	m := s.image
	p.host.wg.Go(func() {
		s.close(p.host.ctx)
		p.host.discard(m)
	})
}

// open is the process that runs: the one that took over, or a new one that
// knows the setup of the moment.
func (p *Provider) open(ctx context.Context) (*session, error) {
	if s := p.session.Load(); s != nil {
		return s, nil
	}
	s, m, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.session.Load(); other != nil { // it took over meanwhile
		s.end(errNotUsed)
		p.retire(s)
		return other, nil
	}
	if _, err := p.install(ctx, s, m); err != nil {
		s.end(errNotUsed)
		p.retire(s)
		return nil, err
	}
	return s, nil
}

// begin starts a process, from what it was last started from where that is
// still what was verified.
func (p *Provider) begin(ctx context.Context) (*session, *image, error) {
	if c := p.first; c != nil {
		p.first = nil
		if c.session.alive() {
			return c.session, c.image, nil
		}
		p.retire(c.session)
	}
	source, m := p.source(), p.image.Load()
	if m == nil || !m.source.same(source) || !m.intact() {
		var err error
		if m, err = p.host.prepare(source); err != nil {
			return nil, nil, err
		}
	}
	s, err := p.host.open(ctx, m)
	return s, m, err
}

// install makes a session the one that deliveries go to, once it knows the
// setup. It is called with mu held.
func (p *Provider) install(ctx context.Context, s *session, m *image) ([]*pluginpb.Problem, error) {
	problems, err := s.learn(ctx, p.setup, p.previous)
	if err != nil {
		return nil, fmt.Errorf("plugin %s did not take its settings: %w", p.name, err)
	}
	for _, problem := range problems {
		if !problem.Warning && !problem.NoChannel {
			p.logger.Error("settings refused by the plugin", "pointer", problem.Pointer, "error", p.host.o.Mask(problem.Message))
		}
	}
	s.image = m
	p.image.Store(m)
	p.known.Store(asked(m, s))
	p.status.State, p.status.PID, p.status.Version, p.status.Error = StateReady, s.proc.PID, s.description.Version, ""
	p.logger.Info("plugin started", "pid", s.proc.PID, "version", s.description.Version)
	p.session.Store(s)
	close(p.turned)
	p.turned = make(chan struct{})
	return problems, nil
}

func (p *Provider) note(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}
