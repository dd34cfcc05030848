// Package pluginhost runs provider plugins: it starts each as a child process,
// watches it, starts it again when it died, hands it deliveries over one
// stream, and gives back what a dead one held.
//
// hashicorp/go-plugin gives the handshake, the connection and the log pipe.
// What it leaves open is done here: kill and ping are bounded, sockets stand in
// a directory of relay's own, children end with relay (a pipe on fd 3 closes),
// and the environment that they see is an allow-list.
//
// It leaves to others which deliveries to send and what follows from a report.
package pluginhost

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say how plugins run.
type Options struct {
	// Executable is relay's own: built-in providers and the script child are
	// children of it, started with "plugin serve NAME".
	Executable string
	// Dir is the directory of the plugins' sockets. It is made anew, 0700.
	Dir string
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

	mu        sync.Mutex // guards the fields below
	providers map[string]*Provider
	serial    int // makes socket directories unique
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
	h := &Host{o: o, parent: r, lifeline: w, providers: map[string]*Provider{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Provider is the provider of this name. Its process starts when it has a setup.
func (h *Host) Provider(name string) *Provider {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.providers[name]
	if p == nil {
		p = h.newProvider(h.ctx, name, h.o.Logger.With("plugin", name))
		h.providers[name] = p
		h.wg.Go(p.run)
	}
	return p
}

func (h *Host) newProvider(ctx context.Context, name string, logger *slog.Logger) *Provider {
	p := &Provider{name: name, host: h, logger: logger, begun: make(chan struct{}), turned: make(chan struct{})}
	p.status.State = StateStarting
	p.ctx, p.stop = context.WithCancel(ctx)
	return p
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
	defer h.mu.Unlock()
	var all []Status
	for _, p := range h.providers {
		all = append(all, p.Status())
		if spare, ok := p.spareStatus(); ok {
			all = append(all, spare)
		}
	}
	return all
}

// Close ends every plugin, each within a bounded time, and returns when all
// have ended. Deliveries still in flight are given back as lost.
func (h *Host) Close() error {
	h.cancel()
	h.wg.Wait()
	h.lifeline.Close()
	h.parent.Close()
	return os.RemoveAll(h.o.Dir)
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
)

// Status is what operators see of a plugin.
type Status struct {
	Name     string `json:"name"`
	Origin   string `json:"origin"` // built-in
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	State    State  `json:"state"`
	Restarts int    `json:"restarts"`
	Error    string `json:"error,omitempty"` // why it does not run
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
