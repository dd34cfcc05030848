package pluginhost

import (
	"context"
	"fmt"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Description is who a plugin says it is.
type Description struct {
	plugin.Description
	Renders bool // it has a JavaScript engine
	Reaches bool // it has direct messages
}

// candidate is a process that has described itself and waits for its settings:
// those that it is judged with may still be refused, and what runs goes on.
type candidate struct {
	image   *image
	session *session
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
// [Host.Forget] ends. An error says why it cannot be asked.
func (h *Host) Ask(ctx context.Context, s Source) (*Asked, error) {
	h.mu.Lock()
	p, c := h.providers[s.Name], h.candidates[s.Name]
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
	if c != nil && c.image.source.same(s) && c.session.alive() {
		return asked(c.image, c.session), nil
	}
	m, err := h.prepare(s)
	if err != nil {
		return nil, err
	}
	running, err := h.open(ctx, m)
	if err != nil {
		h.discard(m)
		return nil, err
	}
	h.mu.Lock()
	old := h.candidates[s.Name]
	h.candidates[s.Name] = &candidate{m, running}
	h.mu.Unlock()
	h.dismiss(old)
	return asked(m, running), nil
}

func asked(m *image, s *session) *Asked {
	return &Asked{Description: s.description, Revision: m.digest + " " + s.description.Version, session: s}
}

// Check asks about settings.
func (a *Asked) Check(ctx context.Context, settings []*pluginpb.Settings) (*pluginpb.CheckResponse, error) {
	if a.session == nil {
		return nil, a.failure
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := a.session.client.Check(ctx, &pluginpb.CheckRequest{Settings: settings})
	if err != nil {
		return nil, fmt.Errorf("plugin %s does not check its settings: %w", a.Name, err)
	}
	return resp, nil
}

// Forget ends the processes that were started to be asked and are not used.
func (h *Host) Forget() {
	h.mu.Lock()
	all := h.candidates
	h.candidates = map[string]*candidate{}
	h.mu.Unlock()
	for _, c := range all {
		h.dismiss(c)
	}
}

func (h *Host) dismiss(c *candidate) {
	if c == nil {
		return
	}
	c.session.end(errNotUsed)
	h.wg.Go(func() {
		c.session.close(h.ctx)
		h.discard(c.image)
	})
}

// open starts an image and has it describe itself.
func (h *Host) open(ctx context.Context, m *image) (*session, error) {
	proc, err := h.start(m)
	if err != nil {
		return nil, err
	}
	s, err := newSession(ctx, m.source, proc, h.o.Logger.With("plugin", m.source.Name))
	if err != nil {
		proc.Kill()
		return nil, err
	}
	if h.o.Accept != nil && !m.source.builtIn() {
		if err := h.o.Accept(s.description, nil); err != nil {
			s.end(errNotUsed)
			s.close(h.ctx)
			return nil, fmt.Errorf("%s cannot be used: %w", m.source.said(), err)
		}
	}
	return s, nil
}
