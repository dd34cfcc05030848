package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"sync"
	"time"

	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/guard"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/metrics"
	"github.com/relay-sidecar/relay/internal/problem"
)

// listen opens every address of the configuration.
func (a *App) listen(c config.Server) error {
	for _, address := range c.Listen {
		if address.Network == "unix" {
			if err := removeStaleSocket(address.Address); err != nil {
				return err
			}
		}
		l, err := net.Listen(address.Network, address.Address)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", address.Address, err)
		}
		a.listeners = append(a.listeners, l)
		if address.Network == "unix" {
			if err := os.Chmod(address.Address, c.SocketMode); err != nil {
				return fmt.Errorf("set the mode of %s: %w", address.Address, err)
			}
		}
	}
	return nil
}

// removeStaleSocket removes what a killed relay left, and nothing else.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // there is none, or listening says why not
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listen on %s: there is a file that is no socket; remove it or choose another path", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return fmt.Errorf("listen on %s: another process listens there", path)
	}
	return os.Remove(path)
}

// routes is a mux that knows what was put into it.
type routes struct {
	*http.ServeMux
	patterns []string
}

func (r *routes) Handle(pattern string, h http.Handler) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.Handle(pattern, h)
}

// Routes lists every method and path of the HTTP API, as http.ServeMux writes
// them, for tests that must not forget one.
func Routes() []string {
	a := &App{guard: guard.New(guard.Rules{}), metrics: metrics.New(metrics.Options{}), logger: discardLogger()} // none of them is called
	return a.newRoutes().patterns
}

// newRoutes puts both doors behind the guard.
func (a *App) newRoutes() *routes {
	in := &intake.Door{Backend: a, Logger: a.logger, Admit: a.admit, MaxBody: func() int64 { return a.current.Load().cfg.Server.MaxBody }}
	op := &api.Door{Log: a.store, Destinations: a, Operations: a, Status: a.status, Plugins: a.plugins, Ready: a.readiness, Logger: a.logger, MaxBody: in.MaxBody, Reload: func(ctx context.Context) (any, error) {
		if err := a.Reload(ctx); err != nil {
			return nil, err
		}
		return a.status(), nil
	}, Compare: a.compare}
	mux := &routes{ServeMux: http.NewServeMux()}
	events := func(h http.Handler) http.Handler {
		return a.guard.Require(guard.ScopeEvents, a.tracer.Accept(a.accepting(h)))
	}
	read := func(h http.HandlerFunc) http.Handler { return a.guard.Require(guard.ScopeRead, h) }
	admin := func(h http.HandlerFunc) http.Handler { return a.guard.Require(guard.ScopeAdmin, h) }
	mux.Handle("POST /v1/events", events(in.Events()))
	mux.Handle("POST /v1/sources/{name}", a.tracer.Accept(in.Sources()))
	mux.Handle("GET /v1/events", read(op.Events))
	mux.Handle("GET /v1/events/{id}", read(op.Event))
	mux.Handle("GET /v1/events/{id}/explain", read(op.Explain))
	mux.Handle("POST /v1/events/{id}/replay", admin(op.ReplayEvent))
	mux.Handle("POST /v1/events/purge", admin(op.Purge))
	mux.Handle("POST /v1/replay", admin(op.ReplayAll))
	mux.Handle("POST /v1/store/backup", admin(op.Backup))
	mux.Handle("GET /openapi.json", read(op.OpenAPI))
	mux.Handle("GET /v1/deliveries", read(op.Deliveries))
	mux.Handle("GET /v1/deliveries/{id}", read(op.Delivery))
	mux.Handle("GET /v1/destinations", read(op.ListDestinations))
	mux.Handle("GET /v1/status", read(op.ShowStatus))
	mux.Handle("GET /v1/plugins", read(op.ListPlugins))
	mux.Handle("GET /metrics", read(a.metrics.Handler().ServeHTTP))
	mux.Handle("POST /v1/destinations/{name}/pause", admin(op.Pause))
	mux.Handle("POST /v1/destinations/{name}/resume", admin(op.Resume))
	mux.Handle("POST /v1/destinations/{name}/test", admin(op.Test))
	mux.Handle("POST /v1/deliveries/{id}/replay", admin(op.Replay))
	mux.Handle("POST /v1/preview", admin(op.ShowPreview))
	mux.Handle("POST /v1/reload", admin(op.ReloadNow))
	mux.Handle("POST /v1/config/diff", admin(op.Diff))
	mux.Handle("GET /healthz", http.HandlerFunc(op.Healthz))
	mux.Handle("GET /readyz", http.HandlerFunc(op.Readyz))
	return mux
}

// handler is the whole HTTP API.
func (a *App) handler() http.Handler {
	mux := a.newRoutes()
	missing := a.guard.RequireAny(notFound(mux.ServeMux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What browsers make of an answer that was not meant for them.
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		// The mux would answer a path like //v1/status with a redirect.
		if _, pattern := mux.Handler(r); pattern == "" || path.Clean(r.URL.EscapedPath()) != r.URL.EscapedPath() {
			missing.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// tls is what HTTPS is served with.
func (a *App) tls() *tls.Config {
	// Named here, because a server that listens on a socket first offers HTTP/2
	// otherwise without speaking it.
	protocols := []string{"h2", "http/1.1"}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &a.current.Load().cfg.Server.TLS.Certificate, nil // whether there is one is not for a reload
	}}
}

// accepting answers 503 while relay shuts down.
func (a *App) accepting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := a.stopping(); p != nil {
			p.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit is both for a source's door, which words refusals itself.
func (a *App) admit(r *http.Request) (verify func([]byte) *problem.Problem, p *problem.Problem) {
	if verify, p = a.guard.Admit(r); p == nil {
		p = a.stopping()
	}
	return verify, p
}

// stopping refuses events while relay shuts down.
func (a *App) stopping() *problem.Problem {
	if a.ready.Load() {
		return nil
	}
	p := problem.New(http.StatusServiceUnavailable, "relay is shutting down; send the event again")
	p.RetryAfter = time.Second
	return p
}

// notFound answers what no route takes, worded like all other answers.
func notFound(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, _ := mux.Handler(r)
		probe := &statusOnly{header: http.Header{}}
		if h.ServeHTTP(probe, r); probe.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.header.Get("Allow"))
			problem.New(probe.status, fmt.Sprintf("%s is not taken here; allowed: %s", r.Method, probe.header.Get("Allow"))).Write(w)
			return
		}
		problem.New(http.StatusNotFound, "there is nothing at this path").Write(w)
	})
}

// statusOnly keeps the status of an answer and drops the rest.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

// serve answers requests until ctx ends, then finishes those that it has.
func (a *App) serve(ctx context.Context) error {
	a.ready.Store(true)
	failed := make(chan error, len(a.listeners))
	var serving sync.WaitGroup
	limits, cfg := a.limits(), a.current.Load().cfg
	secure := cfg.Server.TLS != nil
	a.logger.Info("starting", "version", a.o.Version, "config", cfg.File, "revision", cfg.Revision, "destinations", len(cfg.Destinations))
	for _, l := range a.listeners {
		serve := a.server.Serve
		if l.Addr().Network() != "unix" && secure {
			serve = func(l net.Listener) error { return a.server.ServeTLS(l, "", "") }
		}
		a.logger.Info("listening", "address", l.Addr().String())
		serving.Go(func() {
			if err := serve(limits.listener(l)); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.ready.Store(false)
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.current.Load().cfg.Server.Shutdown)
	defer cancel()
	if a.server.Shutdown(timeout) != nil {
		a.server.Close() // what is left is too slow
	}
	serving.Wait()
	return err
}
