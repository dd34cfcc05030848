// Package app builds one relay out of its parts and runs it. It is the only
// package that knows all the others, and only cmd/relay knows it.
//
// New does everything that can fail; Run runs until its context ends. What can
// change while relay runs — destinations, templates, tokens — stands in one
// snapshot behind an atomic pointer: a reload builds a whole new one beside it,
// and after the swap nothing can fail.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/guard"
	"github.com/relay-sidecar/relay/internal/identity"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/metrics"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/internal/tracing"
	"github.com/relay-sidecar/relay/internal/watch"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/templates"
)

// Options say which relay to build.
type Options struct {
	Config     string            // the path of relay.yaml
	Executable string            // relay's own; plugins are children of it
	Providers  []plugin.Provider // the built-in ones
	Version    string
	Stderr     io.Writer  // where the log goes
	Log        config.Log // what is set in it wins over relay.yaml's
	// At is called when relay comes to a Point, from any goroutine. It is for
	// tests that end the process there; nil otherwise.
	At func(Point)
}

// Point is a moment between two things that a crash must not tear apart.
type Point string

// The points.
const (
	PointAccepted Point = "accepted" // events are on disk, and nobody was told
	PointClaimed  Point = "claimed"  // a delivery is claimed, and not sent
	PointSent     Point = "sent"     // it is sent and answered, and that is not recorded
	PointReload   Point = "reload"   // the plugins know a new configuration, and relay runs the old one
)

// at tells a test that relay has come to a point.
func (a *App) at(p Point) {
	if a.o.At != nil {
		a.o.At(p)
	}
}

// App is one relay. Its methods may be called concurrently.
type App struct {
	o       Options
	logger  *slog.Logger
	level   slog.LevelVar
	masker  *relay.Masker
	started time.Time

	store      *store.Store
	storeDir   string
	host       *pluginhost.Host
	child      *pluginhost.Scripts
	scripts    *scripts.Client
	trials     *trials
	library    *scripts.Library
	faults     *templateFaults
	engine     *delivery.Engine
	identities *identity.Directory
	work       sync.WaitGroup // look-ups that are under way
	guard      *guard.Guard
	metrics    *metrics.Metrics
	tracer     *tracing.Tracer // nil: nothing is traced
	watcher    *watch.Watcher
	listeners  []net.Listener
	server     *http.Server

	// patience is how long a start and a reload wait for a plugin; 0: as long as
	// it may take.
	patience time.Duration

	current atomic.Pointer[snapshot]
	ready   atomic.Bool // events are accepted
	// diskFull is when an event was last refused for want of room, in Unix
	// nanoseconds; 0: the last one was stored.
	diskFull atomic.Int64

	held atomic.Pointer[[]held] // for longer than alerts.after

	mu      sync.Mutex // held by a reload; guards the fields below
	refused *refusal
	said    string          // the last refusal that was logged
	missing []relay.Problem // the templates whose lack was logged
	warned  []relay.Problem // the warnings of the configuration that runs
}

// New builds a relay: it checks the configuration, opens the store, starts the
// plugins and listens. An error that is a config.Problems names every fault of
// relay.yaml.
func New(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{o: o, masker: &relay.Masker{}, started: time.Now(), patience: askPatience}
	// Third parties are asked once it is known that this relay owns the store:
	// their processes run from its directory.
	cfg, warnings, err := a.loadConfig(ctx, false)
	if err != nil {
		return nil, everyFault(ctx, o, err)
	}
	a.logger = a.newLogger(cfg.Log)
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	a.metrics = a.newMetrics()
	a.masker.Add(tracing.Secrets()...)
	a.tracer = tracing.New(ctx, tracing.Options{Version: o.Version, Logger: a.logger})
	clock := &relay.Clock{}
	a.store, err = store.Open(ctx, cfg.Store.Path, store.Options{
		Logger: a.logger, MaxPending: cfg.Store.MaxPending, MaxPendingPerDestination: cfg.Store.MaxPendingPerDestination,
		Reserve: cfg.Store.Reserve, Version: o.Version, Now: clock.Now, Ended: a.metrics.Ended,
	})
	if err != nil {
		return nil, err
	}
	a.storeDir = cfg.Store.Path
	a.removeCopies()
	a.watcher = watch.New(watch.Options{Poll: cfg.Watch.Poll, Logger: a.logger})
	a.host, err = pluginhost.New(pluginhost.Options{
		Executable: o.Executable, Dir: socketDir(cfg.Store.Path), Logger: a.logger, Mask: a.masker.Mask,
		Copies: filepath.Join(cfg.Store.Path, "plugins"), Accept: acceptable,
		OnReady:  func(string) { a.engine.WakeAll() },
		OnDown:   func(string) { a.engine.WakeAll() },
		OnChange: func(string) { a.watcher.Kick() }, // what it says of its settings may be new
	})
	if err != nil {
		return nil, err
	}
	a.faults = newTemplateFaults(a.logger, a.masker.Mask)
	if len(cfg.catalogue.third) > 0 {
		if cfg, warnings, err = a.loadConfig(ctx, false); err != nil {
			return nil, err
		}
	}
	a.warn(warnings)
	a.child = a.host.Scripts()
	a.scripts = scripts.NewClient(a.child)
	a.trials = newTrials(a.host)
	a.library = scripts.NewLibrary(scripts.Options{
		BuiltIn: templates.FS(), Dir: cfg.Templates, Compiler: a.scripts, Logger: a.logger,
	})
	set, err := a.library.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	before, err := a.store.Identities(ctx)
	if err != nil {
		return nil, fmt.Errorf("read who is who: %w", err)
	}
	a.identities = identity.New(before, a.store, a.logger, compared)
	a.engine = delivery.New(delivery.Options{
		Store: a.store, Sender: a, Logger: a.logger, Drain: cfg.Server.Shutdown, Now: clock.Now, Waited: a.metrics.Waited,
	})
	a.guard = guard.New(guardRules(cfg.Config))
	if err := a.listen(cfg.Server); err != nil {
		return nil, err
	}
	a.swap(ctx, cfg, set)
	a.server = a.limits().server(a.handler(), a.logger)
	a.server.TLSConfig = a.tls()
	a.metrics.Reloaded(true)
	a.logMissingTemplates()
	return a, nil
}

// Run serves until ctx ends, then stops in order: it accepts nothing more,
// finishes what is in flight, records every verdict and ends the plugins. Any
// error is final; what was promised is on disk.
func (a *App) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	var once sync.Once
	var failure error // the first of a loop, also while relay stops
	run := func(f func(context.Context) error) {
		loops.Go(func() {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				once.Do(func() { failure = err })
				stop()
			}
		})
	}
	run(a.engine.Run)
	run(a.watcher.Run)
	run(a.reloadOnChange)
	run(a.prune)
	run(a.watchHeld)
	run(a.serve)
	var broken error // why the store works no more; the loops' errors only follow from it
	select {
	case <-ctx.Done():
	case broken = <-a.store.Failed():
		stop()
	}
	a.ready.Store(false)
	a.logger.Info("stopping")
	loops.Wait()
	a.close()
	if broken == nil {
		select {
		case broken = <-a.store.Failed():
		default:
		}
	}
	if broken != nil {
		return fmt.Errorf("the store failed and relay ends, so that a restart recovers it: %w", broken)
	}
	if failure == nil {
		a.logger.Info("stopped")
	}
	return failure
}

// Addresses are what relay listens on.
func (a *App) Addresses() []net.Addr {
	var all []net.Addr
	for _, l := range a.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Logger is the relay's own log.
func (a *App) Logger() *slog.Logger { return a.logger }

// close gives everything back that New took, in reverse order.
func (a *App) close() {
	for _, l := range a.listeners {
		l.Close() // again, where the server has closed it
	}
	if a.child != nil {
		a.child.Close()
		a.trials.close()
	}
	if a.host != nil {
		if err := a.host.Close(); err != nil {
			a.logger.Warn("plugin sockets stay behind", "error", err)
		}
	}
	a.work.Wait() // nobody answers them any more
	if err := a.tracer.Close(); err != nil {
		a.logger.Warn("the last traces are lost", "error", err)
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.logger.Error("store did not close", "error", err)
		}
	}
}

// socketDir is where plugin sockets live: the runtime directory of a service
// manager where there is one, else the store.
func socketDir(storePath string) string {
	if dir := os.Getenv("RUNTIME_DIRECTORY"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "plugins")
	}
	return filepath.Join(storePath, "run")
}

// The parts see the app through the interfaces that they declare.
var (
	_ delivery.Sender  = (*App)(nil)
	_ intake.Backend   = (*App)(nil)
	_ api.Destinations = (*App)(nil)
	_ api.Operations   = (*App)(nil)
)
