// Package pluginhost runs provider plugins: it starts each as a child process,
// watches it, starts it again when it died, hands it deliveries over one
// stream, and gives back what a dead one held.
//
// A third party's executable runs from a verified private copy. When the file
// changes, the new one is started and judged beside the old one, takes over,
// and the old one finishes what it has; a bad one is refused and nothing else
// happens. How a process is started and ended is package launch's.
//
// It leaves to others which deliveries to send and what follows from a report.
package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Options say how plugins run.
type Options struct {
	// Executable is relay's own: built-in providers and the script child are
	// children of it, started with "plugin serve NAME".
	Executable string
	// Dir is the directory of the plugins' sockets. It is made anew, 0700.
	Dir string
	// Copies is the directory of the private copies that third parties' plugins
	// run from. It is made anew, 0700.
	Copies string
	// Settle is how long a changed executable must stay the same before it is
	// taken up; 0: 2 s.
	Settle time.Duration
	// Accept reports why a third party's plugin cannot be used: its description,
	// or settings that it has to serve and that its schemas do not take. nil:
	// nothing is wrong.
	Accept func(d Description, settings []*pluginpb.Settings) error
	// OnChange is called, from any goroutine, when another process of a third
	// party's plugin answers questions: one that could not be asked before, or
	// that was swapped in.
	OnChange func(provider string)
	// Logger takes what plugins log, marked with their name.
	Logger *slog.Logger
	// Mask takes secrets out of what plugins log.
	Mask func(string) string
	// OnReady is called, from any goroutine, when a provider takes deliveries
	// again after it could not.
	OnReady func(provider string)
	// OnDown is called, from any goroutine, when a provider takes deliveries no
	// more until it is ready again.
	OnDown func(provider string)
}

// Host owns all plugin processes. Its methods may be called concurrently.
type Host struct {
	o        Options
	parent   *os.File // read end of the pipe that every child inherits
	lifeline *os.File // write end: open as long as relay lives

	ctx    context.Context // ends when the host closes
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex // guards the fields below
	providers  map[string]*Provider
	candidates map[string]*candidate
	copies     map[*image]bool // those that have a private copy
	serial     int             // makes socket directories unique
}

// maxSocketPath is what sockaddr_un takes, less the name that go-plugin gives
// the socket ("/pluginNNNNNNNNNN").
const maxSocketPath = 104 - 20

// New prepares the socket directory and starts nothing.
func New(o Options) (*Host, error) {
	if len(o.Dir)+len("/00000") > maxSocketPath {
		return nil, fmt.Errorf("the socket directory %s is too long for a Unix socket (%d bytes, at most %d): set store.path or XDG_RUNTIME_DIR to a shorter path",
			o.Dir, len(o.Dir), maxSocketPath-len("/00000"))
	}
	if err := os.RemoveAll(o.Dir); err != nil { // what a killed relay left
		return nil, fmt.Errorf("clear plugin sockets: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the plugin socket directory: %w", err)
	}
	if o.Copies != "" {
		if err := os.RemoveAll(o.Copies); err != nil {
			return nil, fmt.Errorf("clear the copies of plugins: %w", err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the plugins' lifeline: %w", err)
	}
	if o.Mask == nil {
		o.Mask = func(s string) string { return s }
	}
	if o.OnReady == nil {
		o.OnReady = func(string) {}
	}
	if o.OnDown == nil {
		o.OnDown = func(string) {}
	}
	if o.OnChange == nil {
		o.OnChange = func(string) {}
	}
	if o.Settle == 0 {
		o.Settle = settle
	}
	h := &Host{o: o, parent: r, lifeline: w, providers: map[string]*Provider{}, candidates: map[string]*candidate{}, copies: map[*image]bool{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Provider is the built-in provider of this name, which is started on first use.
func (h *Host) Provider(name string) *Provider { return h.Use(BuiltIn(name)) }

// Use is the provider of this source, which is started on first use. One that
// ran from another source goes over to this one with the next [Provider.Apply].
func (h *Host) Use(s Source) *Provider {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.providers[s.Name]
	if p == nil {
		p = h.newProvider(h.ctx, s, h.o.Logger.With("plugin", s.Name))
		h.providers[s.Name] = p
		p.first = h.take(s)
		h.wg.Go(p.run)
		h.wg.Go(p.follow)
	} else {
		p.next.Store(&s)
	}
	return p
}

// take is the candidate of a source, for the provider that it is to serve; nil:
// there is none. It is called with mu held.
func (h *Host) take(s Source) *candidate {
	c := h.candidates[s.Name]
	if c == nil || !c.source.same(s) || !c.usable() {
		return nil
	}
	delete(h.candidates, s.Name)
	return c
}

func (h *Host) newProvider(ctx context.Context, s Source, logger *slog.Logger) *Provider {
	p := &Provider{name: s.Name, host: h, logger: logger, again: make(chan struct{}, 1), look: make(chan struct{}, 1), turned: make(chan struct{})}
	p.trial.turn = make(chan struct{}, 1)
	p.from.Store(&s)
	p.status.State = StateStarting
	p.ctx, p.stop = context.WithCancel(ctx)
	return p
}

// Refresh makes the host look at the executables of its plugins now.
func (h *Host) Refresh() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.providers {
		signal(p.look)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

// Keep ends the providers that are not needed any more, each after a bounded
// wait for what it has in flight.
func (h *Host) Keep(needed func(name string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.providers {
		if !needed(name) {
			h.o.Logger.Info("plugin is not needed any more", "plugin", name)
			p.stop()
			delete(h.providers, name)
		}
	}
}

// Status tells of every process, by name.
func (h *Host) Status() []Status {
	h.mu.Lock()
	providers := slices.Collect(maps.Values(h.providers))
	h.mu.Unlock() // a provider's own lock is never taken within
	var all []Status
	for _, p := range providers {
		all = append(all, p.Status())
		if spare, ok := p.spareStatus(); ok {
			all = append(all, spare)
		}
		if trial, ok := p.trialStatus(); ok {
			all = append(all, trial)
		}
	}
	return all
}

// Close ends every plugin, each within a bounded time, and returns when all
// have ended. Deliveries still in flight are given back as lost.
func (h *Host) Close() error {
	h.cancel()
	h.Forget()
	h.wg.Wait()
	h.lifeline.Close()
	h.parent.Close()
	err := os.RemoveAll(h.o.Dir)
	if h.o.Copies != "" {
		err = errors.Join(err, os.RemoveAll(h.o.Copies))
	}
	return err
}

// socketDir makes a directory for one process.
func (h *Host) socketDir() (string, error) {
	h.mu.Lock()
	h.serial++
	dir := filepath.Join(h.o.Dir, fmt.Sprint(h.serial))
	h.mu.Unlock()
	return dir, os.Mkdir(dir, 0o700)
}

// State is where a plugin process stands.
type State string

// The states of a plugin process.
const (
	StateStarting State = "starting"
	StateReady    State = "ready"
	StateBackoff  State = "restarting" // it ended or did not start; waiting before the next try
	StateUnused   State = "unused"     // no enabled destination names it
)

// Status is what operators see of a plugin.
type Status struct {
	Name     string `json:"name"`
	Origin   string `json:"origin"` // built-in, or the file that it comes from
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	State    State  `json:"state"`
	Restarts int    `json:"restarts"`
	Memory   int64  `json:"memory"` // resident bytes; 0: unknown
	// Error is why it does not run, or why a changed executable was not taken up.
	Error string `json:"error,omitempty"`
	// Beside says that it is a second process, beside the one that delivers.
	Beside bool `json:"-"`
}

// backoff is the wait before a plugin is started again: none after a good
// while, then doubling. It never gives up.
type backoff struct {
	failures int
}

const (
	firstWait  = 100 * time.Millisecond
	longestGap = 30 * time.Second
	// healthyAfter is how long a process must have lived for its end to be the
	// first of a new row.
	healthyAfter = 10 * time.Second
)

// next is the wait after a process that lived for so long.
func (b *backoff) next(lived time.Duration) time.Duration {
	if lived >= healthyAfter {
		b.failures = 0
	}
	wait := longestGap
	if b.failures < 10 {
		wait = min(longestGap, firstWait<<b.failures)
	}
	b.failures++
	return wait
}
