package pluginhost

import (
	"context"
	"fmt"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/launch"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Description is who a plugin says it is.
type Description struct {
	plugin.Description
	Renders bool // it has a JavaScript engine
	Reaches bool // it has direct messages
}

// candidate is a process that is asked before anything depends on it, from its
// start on: the settings that it is judged with may still be refused, and what
// runs goes on.
type candidate struct {
	source Source
	cancel context.CancelFunc // ends it while it has not described itself
	asked  chan struct{}      // closed when it has, or has failed

	// To be read after asked.
	image   *image
	session *session // nil: it failed
	failure error
}

// ready reports whether the candidate has described itself and runs.
func (c *candidate) ready() bool {
	select {
	case <-c.asked:
		return c.session != nil && c.session.alive()
	default:
		return false
	}
}

// usable reports whether the candidate is being started, or runs.
func (c *candidate) usable() bool {
	select {
	case <-c.asked:
		return c.ready()
	default:
		return true
	}
}

// Asked is a plugin that answers questions about settings.
type Asked struct {
	Description
	// Revision names what answers: other answers may come from another one.
	Revision string
	session  *session // nil: it does not run now, and this is what it said before
	failure  error    // then: why
}

// Runs reports whether there is a process that can check settings.
func (a *Asked) Runs() bool { return a.session != nil }

// Failure is why there is none.
func (a *Asked) Failure() error { return a.failure }

// Ask finds the plugin of a source for questions about settings: the process
// that runs from it, or else a new one, which [Host.Use] takes over and
// [Host.Forget] ends. An error says why it cannot be asked. When ctx ends before
// the new one has described itself, it goes on with that, and [Options.OnChange]
// tells of it once it serves a provider.
func (h *Host) Ask(ctx context.Context, s Source) (*Asked, error) {
	h.mu.Lock()
	p := h.providers[s.Name]
	h.mu.Unlock()
	if p != nil && p.source().same(s) {
		if running := p.session.Load(); running != nil {
			return asked(p.image.Load(), running), nil
		}
		if known := p.known.Load(); known != nil {
			known := *known
			known.session, known.failure = nil, p.failure()
			return &known, nil
		}
		return nil, p.failure()
	}
	c := h.candidate(s)
	select {
	case <-c.asked:
	case <-ctx.Done():
		return nil, beingStarted(s)
	}
	if c.session == nil {
		return nil, c.failure
	}
	return asked(c.image, c.session), nil
}

// candidate is the process to ask of a source, begun where there is none.
func (h *Host) candidate(s Source) *candidate {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.candidates[s.Name]
	if old != nil && old.source.same(s) && old.usable() {
		return old
	}
	if old != nil {
		h.wg.Go(func() { h.dismiss(old) })
	}
	c := &candidate{source: s, asked: make(chan struct{})}
	ctx, cancel := context.WithCancel(h.ctx)
	c.cancel = cancel
	h.candidates[s.Name] = c
	h.wg.Go(func() {
		defer cancel()
		defer close(c.asked)
		if c.image, c.failure = h.prepare(s); c.failure != nil {
			return
		}
		if c.session, c.failure = h.open(ctx, c.image); c.failure != nil {
			h.discard(c.image)
		}
	})
	return c
}

func asked(m *image, s *session) *Asked {
	return &Asked{Description: s.description, Revision: m.digest + " " + s.description.Version, session: s}
}

func beingStarted(s Source) error {
	return &launch.Error{File: s.said(), What: "is still being started"}
}

// Check asks about settings. A plugin that has not answered when ctx ends goes
// on with that; [Options.OnChange] tells when it has, and the answer waits for
// whoever asks the same then.
func (a *Asked) Check(ctx context.Context, settings []*pluginpb.Settings) (*pluginpb.CheckResponse, error) {
	if a.session == nil {
		return nil, a.failure
	}
	return a.session.check(ctx, settings)
}

// Forget ends the processes that were started to be asked and are not used.
func (h *Host) Forget() {
	h.mu.Lock()
	all := h.candidates
	h.candidates = map[string]*candidate{}
	h.mu.Unlock()
	for _, c := range all {
		h.wg.Go(func() { h.dismiss(c) })
	}
}

// dismiss ends a candidate that nobody uses, at once while it is being started.
func (h *Host) dismiss(c *candidate) {
	c.cancel()
	<-c.asked
	if c.session != nil {
		c.session.end(errNotUsed)
		c.session.close(h.ctx)
		h.discard(c.image)
	}
}

// open starts an image and has it describe itself.
func (h *Host) open(ctx context.Context, m *image) (*session, error) {
	proc, err := h.start(ctx, m)
	if err != nil {
		return nil, err
	}
	s, err := newSession(ctx, m.source, proc, h.o.Logger.With("plugin", m.source.Name))
	if err != nil {
		proc.Abandon()
		return nil, err
	}
	s.image = m
	s.late = func() { h.o.OnChange(m.source.Name) }
	if h.o.Accept != nil && !m.source.builtIn() {
		if err := h.o.Accept(s.description, nil); err != nil {
			s.end(errNotUsed)
			s.close(h.ctx)
			return nil, fmt.Errorf("%s cannot be used: %w", m.source.said(), err)
		}
	}
	return s, nil
}
