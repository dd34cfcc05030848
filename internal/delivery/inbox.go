package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
)

// reported is a report with what it is about.
type reported struct {
	relay.Claimed
	relay.Report
	started, ended time.Time
	from           *isolation // where it was sent alone; else nil
}

// resolved is a recipient who was looked up.
type resolved struct {
	relay.Claimed
	Resolution
	started, ended time.Time
	from           *isolation // the same
}

// inbox collects what comes in for the goroutine of Run.
type inbox struct {
	signal chan struct{} // capacity 1

	mu     *sync.Mutex // guards the fields below
	letter *letter
	closed chan struct{}
}

type letter struct {
	commands []func(context.Context) error
	woken    map[relay.Lane]bool
	reports  []reported
	resolved []resolved
}

func newInbox() inbox {
	return inbox{signal: make(chan struct{}, 1), mu: &sync.Mutex{}, letter: &letter{}, closed: make(chan struct{})}
}

func (b *inbox) add(f func(*letter)) {
	b.mu.Lock()
	f(b.letter)
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

func (b *inbox) put(f func(context.Context) error) {
	b.add(func(l *letter) { l.commands = append(l.commands, f) })
}

func (b *inbox) report(r reported) {
	b.add(func(l *letter) { l.reports = append(l.reports, r) })
}

func (b *inbox) resolve(all []resolved) {
	b.add(func(l *letter) { l.resolved = append(l.resolved, all...) })
}

func (b *inbox) wake(lanes []relay.Lane) {
	b.add(func(l *letter) {
		if l.woken == nil {
			l.woken = map[relay.Lane]bool{}
		}
		for _, key := range lanes {
			l.woken[key] = true
		}
	})
}

// do runs f in the goroutine of Run and waits for it. Its error is the
// caller's, not the engine's.
func (b *inbox) do(ctx context.Context, f func(context.Context) error) error {
	answer := make(chan error, 1)
	b.put(func(ctx context.Context) error {
		answer <- f(ctx)
		return nil
	})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closed:
		return relay.ErrClosed
	}
}

func (b *inbox) take() *letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.letter
	b.letter = &letter{}
	return l
}

func (b *inbox) close() { close(b.closed) }
