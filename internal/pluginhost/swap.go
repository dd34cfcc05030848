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

// move goes over to another source, with the process that was asked before
// where there is one. It is called with mu held.
func (p *Provider) move(ctx context.Context, to Source) ([]*pluginpb.Problem, error) {
	p.from.Store(&to)
	p.known.Store(nil)
	p.host.mu.Lock()
	c := p.host.candidates[p.name]
	delete(p.host.candidates, p.name)
	p.host.mu.Unlock()
	old := p.session.Load()
	if c == nil || !c.image.source.same(to) || !c.session.alive() {
		p.host.dismiss(c)
		p.session.Store(nil)
		if old != nil {
			old.end(errReplaced)
		}
		signal(p.again)
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
	signal(p.again)
	return problems, nil
}

// follow takes up a changed executable, each time that somebody says it may
// have changed.
func (p *Provider) follow() {
	ctx := p.ctx
	refused := "" // the digest of the last one that was not taken up
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
		m := p.image.Load()
		if err != nil || digest == refused || m != nil && m.source.same(source) && digest == m.digest {
			continue // as it was, or not there now: what runs goes on
		}
		if !p.settled(ctx, source) {
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
			refused = next.digest
			err = p.replace(ctx, next)
		} else if digest, digestErr := source.digest(); digestErr == nil {
			refused = digest
		}
		if err == nil {
			refused = ""
			continue
		}
		if ctx.Err() != nil {
			return
		}
		said := p.host.o.Mask(err.Error())
		p.logger.Error("the changed executable is refused; the last good one goes on", "error", said)
		p.note(func(st *Status) { st.Error = "a changed executable was refused: " + said })
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
	s.image = m
	refuse := func(err error) error {
		s.end(errNotUsed)
		p.retire(s)
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
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
		return refuse(errors.New("relay.yaml says meanwhile that it comes from elsewhere"))
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
