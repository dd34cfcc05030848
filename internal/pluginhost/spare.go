package pluginhost

import (
	"context"
	"errors"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// spare is a second process of a provider, for deliveries that are suspected of
// having ended the first: one that ends this process ends nothing else, and
// says by it who it was. It runs while there are such deliveries and a little
// longer.
type spare struct {
	*Provider
	// Guarded by mu of the provider that it belongs to.
	uses   int // under way
	served int // how often it had nothing more to do
}

// spareIdle is how long a spare process stays without anything to do.
const spareIdle = 10 * time.Second

// DeliverAlone hands a delivery to a process that holds nothing else, which is
// for the caller to see to: it hands over one at a time. The process may have to
// be started first. done is called as by Deliver.
func (p *Provider) DeliverAlone(d *pluginpb.Delivery, done func(relay.Report)) error {
	s, err := p.useSpare()
	if err != nil {
		return err
	}
	p.host.wg.Go(func() {
		for s.await() {
			if s.Deliver(d, func(r relay.Report) {
				p.leaveSpare()
				done(r)
			}) == nil {
				return
			}
		}
		p.leaveSpare()
		done(relay.Report{Verdict: relay.Temporary, Lost: true, Error: "plugin " + p.name + " was not started again"})
	})
	return nil
}

// ResolveAlone is Resolve in that process.
func (p *Provider) ResolveAlone(ctx context.Context, in *pluginpb.ResolveRequest) (out *pluginpb.ResolveResponse, alone bool, err error) {
	s, err := p.useSpare()
	if err != nil {
		return nil, false, err
	}
	defer p.leaveSpare()
	for s.await() {
		out, alone, err = s.Resolve(ctx, in)
		if !errors.Is(err, relay.ErrUnavailable) {
			return out, alone, err
		}
	}
	return nil, false, relay.ErrUnavailable
}

// useSpare is the spare process, begun if there is none.
func (p *Provider) useSpare() (*spare, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil, relay.ErrUnavailable
	}
	if p.alone == nil {
		p.alone = &spare{Provider: p.host.newProvider(p.ctx, p.source(), p.logger.With("process", "suspects"))}
		p.alone.spare = true
		p.alone.setup, p.alone.previous = p.setup, p.previous
		p.host.wg.Go(p.alone.run)
	}
	p.alone.uses++
	return p.alone, nil
}

// leaveSpare is called when a delivery or look-up in the spare process is over.
func (p *Provider) leaveSpare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.alone
	if s.uses--; s.uses > 0 {
		return
	}
	s.served++
	served := s.served
	time.AfterFunc(spareIdle, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.alone == s && s.uses == 0 && s.served == served {
			s.stop()
			p.alone = nil
		}
	})
}

// spareStatus tells of the spare process, if there is one.
func (p *Provider) spareStatus() (Status, bool) {
	p.mu.Lock()
	s := p.alone
	p.mu.Unlock()
	if s == nil {
		return Status{}, false
	}
	status := s.Status()
	status.Name += " (suspects)"
	status.Beside = true
	return status, true
}

// await waits until there is a process; false means that there will be none.
func (p *Provider) await() bool {
	for {
		p.mu.Lock()
		turned := p.turned
		p.mu.Unlock()
		if p.Ready() {
			return true
		}
		select {
		case <-turned:
		case <-p.ctx.Done():
			return false
		}
	}
}
