package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

const (
	// settle is how long a changed executable must stay the same: whoever copies
	// it there writes for a while.
	settle = 2 * time.Second
	// settleLook is how often it is looked at meanwhile.
	settleLook = 100 * time.Millisecond
)

// errReplaced ends a process that another one takes over from.
var errReplaced = errors.New("another process took over")

// errMoved ends a start from a source that is not wanted any more.
var errMoved = errors.New("relay.yaml says meanwhile that it comes from elsewhere")

// move goes over to another source, with the process that was asked before
// where there is one. It is called with turn held.
func (p *Provider) move(ctx context.Context, to Source) ([]*pluginpb.Problem, error) {
	p.mu.Lock()
	p.from.Store(&to)
	p.known.Store(nil)
	p.refused.Store(nil)
	if p.starting != nil {
		p.starting()
	}
	p.mu.Unlock()
	p.host.mu.Lock()
	c := p.host.take(to)
	p.host.mu.Unlock()
	defer signal(p.again)
	old := p.session.Load()
	if c == nil || !c.ready() {
		// What is being started takes over when it can; nothing is sent until then.
		p.session.Store(nil)
		p.mu.Lock()
		if before := p.first; before != nil {
			p.host.wg.Go(func() { p.host.dismiss(before) })
		}
		p.first = c
		p.status.State, p.status.PID, p.status.Error = StateStarting, 0, ""
		p.mu.Unlock()
		if old != nil {
			old.end(errReplaced)
		}
		return nil, nil
	}
	problems, err := p.install(ctx, c.session, c.image)
	if err != nil {
		c.session.end(errNotUsed)
		p.retire(c.session)
		return nil, err
	}
	if old != nil {
		old.end(errReplaced)
	}
	return problems, nil
}

// refusal is of an executable that was not taken up, as long as it lies there:
// disk and memory differ.
type refusal struct {
	digest string
	words  string
}

// follow takes up a changed executable, each time that somebody says it may
// have changed.
func (p *Provider) follow() {
	ctx := p.ctx
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.look:
		}
		source := p.source()
		if source.builtIn() {
			continue
		}
		digest, err := source.digest()
		if err != nil {
			continue // not there now: what runs goes on
		}
		m := p.image.Load()
		if m != nil && m.source.same(source) && digest == m.digest {
			if p.refused.Swap(nil) != nil {
				p.logger.Info("the executable is the one that runs again")
			}
			continue
		}
		if refused := p.refused.Load(); refused != nil && digest == refused.digest || !p.settled(ctx, source) {
			continue
		}
		if m == nil {
			signal(p.again) // there is nothing that could go on
			continue
		}
		next, err := p.host.prepare(source)
		if err == nil {
			if next.digest == m.digest {
				p.host.discard(next)
				continue // changed back
			}
			digest = next.digest
			err = p.replace(ctx, next)
		} else if now, digestErr := source.digest(); digestErr == nil {
			digest = now
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errMoved) {
			continue
		}
		said := p.host.o.Mask(err.Error())
		p.logger.Error("the changed executable is refused; the last good one goes on", "error", said)
		p.refused.Store(&refusal{digest, "a changed executable was refused: " + said})
	}
}

// settled waits until the files have not changed for a while; false: it is not
// worth waiting any more.
func (p *Provider) settled(ctx context.Context, source Source) bool {
	const patience = time.Minute
	tick := time.NewTicker(settleLook)
	defer tick.Stop()
	seen, since, began := glance(source), time.Now(), time.Now()
	for time.Since(since) < p.host.o.Settle {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if now := glance(source); now != seen {
			seen, since = now, time.Now()
		}
		if time.Since(began) > patience {
			return false // the next notice looks again
		}
	}
	return true
}

// glance tells files apart without reading them.
func glance(source Source) string {
	var all strings.Builder
	for _, path := range source.Files() {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintln(&all, path, err)
			continue
		}
		fmt.Fprintln(&all, path, info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	return all.String()
}

// replace starts another executable beside the running one, judges it with the
// settings that it will serve, and lets it take over.
func (p *Provider) replace(ctx context.Context, m *image) error {
	s, err := p.host.open(ctx, m)
	if err != nil {
		p.host.discard(m)
		return err
	}
	refuse := func(err error) error {
		s.end(errNotUsed)
		p.retire(s)
		return err
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	settings := p.setup.Settings
	if p.host.o.Accept != nil {
		if err := p.host.o.Accept(s.description, settings); err != nil {
			return refuse(err)
		}
	}
	checked, err := asked(m, s).Check(ctx, settings)
	if err != nil {
		return refuse(err)
	}
	for _, problem := range checked.Problems {
		if problem.Warning || problem.NoChannel {
			continue
		}
		return refuse(fmt.Errorf("it refuses the settings of destination %s: %s: %s", nameOf(settings, problem.Revision), problem.Pointer, problem.Message))
	}
	if !p.source().same(m.source) {
		return refuse(errMoved)
	}
	old := p.session.Load()
	if _, err := p.install(ctx, s, m); err != nil {
		return refuse(err)
	}
	p.logger.Info("a changed executable took over", "version", s.description.Version)
	if old != nil {
		old.end(errReplaced)
	}
	signal(p.again)
	return nil
}

func nameOf(settings []*pluginpb.Settings, revision string) string {
	for _, s := range settings {
		if s.Revision == revision {
			return s.Destination
		}
	}
	return "?"
}
