package pluginhost

import (
	"cmp"
	"context"
	"errors"
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
	again  chan struct{} // capacity 1: wait no longer for the next start
	look   chan struct{} // capacity 1: the executable may have changed

	session atomic.Pointer[session]
	tickets atomic.Uint64
	from    atomic.Pointer[Source] // where the process comes from
	next    atomic.Pointer[Source] // where it comes from after the next Apply
	image   atomic.Pointer[image]  // what it was last started from; nil: it never was

	known   atomic.Pointer[Asked]   // what the last process said of itself
	refused atomic.Pointer[refusal] // the executable that lies there instead of what runs; nil: what runs

	applied atomic.Uint64 // how often Apply was called
	behind  atomic.Bool   // the process has not taken the last setup yet: it gets nothing

	turn sync.Mutex // held while a session learns a setup, which only then changes; taken before mu

	mu       sync.Mutex // guards the fields below
	status   Status
	setup    Setup
	previous Setup              // deliveries of the last setup may still be on their way
	turned   chan struct{}      // closed when the next session begins
	starting context.CancelFunc // ends the start that is under way; nil: none is
	first    *candidate         // the process that the next start takes; nil: it begins one
	setups   uint64             // how many setups there were
	alone    *spare

	trial trial // where previews run
}

func (p *Provider) source() Source { return *p.from.Load() }

// Apply makes the provider know a setup: when it returns, deliveries may name
// what is in it. What the setup before it held stays known until the next one.
// A provider that is not running learns it when it starts. An error means that
// the process could not be told; it is ended and started anew with the setup.
// ErrLate means that it is still being told as ctx ends: it goes on learning,
// and takes nothing until it has.
func (p *Provider) Apply(ctx context.Context, next Setup) ([]*pluginpb.Problem, error) {
	turn := p.applied.Add(1)
	var problems []*pluginpb.Problem
	var err error
	done := make(chan struct{})
	p.host.wg.Go(func() {
		p.turn.Lock()
		defer p.turn.Unlock()
		if turn == p.applied.Load() { // else a newer one is on its way
			problems, err = p.apply(p.ctx, next)
		}
		close(done)
		if turn == p.applied.Load() && p.behind.CompareAndSwap(true, false) && p.Ready() {
			p.host.o.OnReady(p.name)
		}
	})
	select {
	case <-done:
		return problems, err
	case <-ctx.Done():
	}
	p.behind.Store(true)
	select {
	case <-done: // just now
		p.behind.Store(false)
		return problems, err
	default:
		return nil, ErrLate
	}
}

// ErrLate reports that a plugin is slow to take its settings.
var ErrLate = errors.New("it has not taken its settings yet, and gets nothing until it has")

// apply is called with turn held.
func (p *Provider) apply(ctx context.Context, next Setup) ([]*pluginpb.Problem, error) {
	p.mu.Lock()
	p.previous, p.setup = p.setup, next
	p.setups++
	alone := p.alone
	p.mu.Unlock()
	moved := p.next.Swap(nil)
	if alone != nil {
		defer func() { // after its own process took over what there is
			if moved != nil {
				alone.next.Store(moved)
			}
			alone.turn.Lock()
			defer alone.turn.Unlock()
			alone.apply(ctx, next) // it says itself what is wrong
		}()
	}
	if moved != nil && !moved.same(p.source()) {
		return p.move(ctx, *moved)
	}
	s := p.session.Load()
	if s == nil {
		return nil, nil
	}
	problems, err := s.learn(ctx, next, p.previous)
	if err != nil {
		s.end(err)
	}
	return problems, err
}

// Ready reports whether deliveries are taken now.
func (p *Provider) Ready() bool { return p.current() != nil }

// current is the session that takes what is handed over now; nil: there is none.
func (p *Provider) current() *session {
	if p.behind.Load() {
		return nil
	}
	return p.session.Load()
}

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
	if refused := p.refused.Load(); s.Error == "" && refused != nil {
		s.Error = refused.words
	}
	if p.behind.Load() && s.State == StateReady {
		s.State, s.Error = StateStarting, ErrLate.Error()
	}
	s.Name, s.Origin, s.Memory = p.name, p.source().Origin, residentSize(s.PID)
	return s
}

// failure is why the process cannot be asked now.
func (p *Provider) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.New(cmp.Or(p.status.Error, beingStarted(p.source()).Error()))
}

// Deliver hands over one delivery; its ticket is given here. done is called
// exactly once, from another goroutine, also when the process dies: then the
// report is ambiguous and lost. ErrUnavailable means that there is no process
// now, and done is never called.
func (p *Provider) Deliver(d *pluginpb.Delivery, done func(relay.Report)) error {
	d.Ticket = p.tickets.Add(1)
	s := p.current()
	if s == nil || !s.deliver(d, done) {
		return relay.ErrUnavailable
	}
	return nil
}

// Resolve looks people up. ErrUnavailable means that there is no process now;
// any other error that it ended or hung meanwhile. alone reports that it had
// nothing else to do then.
func (p *Provider) Resolve(ctx context.Context, in *pluginpb.ResolveRequest) (out *pluginpb.ResolveResponse, alone bool, err error) {
	s := p.current()
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
		p.mu.Lock()
		first := p.first
		p.first = nil
		p.mu.Unlock()
		if first != nil {
			p.host.dismiss(first)
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
		if errors.Is(err, errMoved) || errors.Is(err, errReplaced) { // another one shall
			if !p.spare {
				p.host.o.OnDown(p.name)
			}
			continue
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	if s := p.session.Load(); s != nil {
		p.mu.Unlock()
		return s, nil
	}
	source, first := p.source(), p.first
	p.first, p.starting = nil, cancel
	p.mu.Unlock()
	s, m, err := p.begin(ctx, source, first)
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	p.starting = nil
	p.mu.Unlock()
	other, moved := p.session.Load(), !p.source().same(source) // meanwhile
	switch {
	case other != nil:
	case moved:
		err = errMoved
	case err == nil:
		if _, err = p.install(ctx, s, m); err == nil {
			return s, nil
		}
	}
	if s != nil {
		s.end(errNotUsed)
		p.retire(s)
	}
	if other != nil {
		return other, nil
	}
	return nil, err
}

// begin starts a process from a source: the candidate where there is one, else
// a new one, from what it was last started from where that is still what was
// verified.
func (p *Provider) begin(ctx context.Context, source Source, first *candidate) (*session, *image, error) {
	if first != nil {
		select {
		case <-first.asked:
		case <-ctx.Done():
			p.host.dismiss(first)
			return nil, nil, ctx.Err()
		}
		switch {
		case first.session == nil:
			return nil, nil, first.failure
		case first.session.alive():
			return first.session, first.image, nil
		}
		p.retire(first.session)
	}
	m := p.image.Load()
	if m == nil || !m.source.same(source) || !m.intact() {
		var err error
		if m, err = p.host.prepare(source); err != nil {
			return nil, nil, err
		}
	}
	s, err := p.host.open(ctx, m)
	if err != nil {
		p.host.discard(m)
		return nil, nil, err
	}
	return s, m, nil
}

// install makes a session the one that deliveries go to, once it knows the
// setup. It is called with turn held.
func (p *Provider) install(ctx context.Context, s *session, m *image) ([]*pluginpb.Problem, error) {
	problems, err := s.learn(ctx, p.setup, p.previous)
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		if !problem.Warning && !problem.NoChannel {
			p.logger.Error("settings refused by the plugin", "pointer", problem.Pointer, "error", p.host.o.Mask(problem.Message))
		}
	}
	if p.image.Swap(m) != m {
		p.refused.Store(nil) // it was started from what lies there
	}
	p.known.Store(asked(m, s))
	p.mu.Lock()
	defer p.mu.Unlock()
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
