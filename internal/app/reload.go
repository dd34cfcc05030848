package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/guard"
	"github.com/relay-sidecar/relay/internal/scripts"
)

// refusal is the last configuration that was not taken.
type refusal struct {
	Revision string          `json:"revision"`
	At       time.Time       `json:"at"`
	Problems []relay.Problem `json:"problems"`
}

// reloadOnChange reloads when something that relay watches has changed.
func (a *App) reloadOnChange(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.watcher.C():
			a.Reload(ctx) // says itself what came of it
		}
	}
}

// Kick makes relay look at its files now, as on SIGHUP.
func (a *App) Kick() { a.watcher.Kick() }

// Reload takes up the configuration and the templates that are on disk now. A
// configuration is taken whole or refused whole; every template stands for
// itself. An error is the refusal, and what ran keeps running.
func (a *App) Reload(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	running := a.current.Load()
	cfg, warnings, err := a.loadConfig()
	if err == nil {
		err = needsRestart(running.cfg.Config, cfg.Config)
	}
	a.metrics.Reloaded(err == nil)
	if err != nil {
		a.refuse(cfg.Config, err)
		// Its files are watched, so that mending one of them is noticed (after a
		// swap, which watches those of what runs); the templates are taken up all
		// the same.
		defer a.watcher.Set(slices.Concat(running.cfg.Files, cfg.Files, []string{running.cfg.Templates}))
		cfg = running.cfg
	} else {
		a.refused, a.said = nil, ""
	}
	set, loadErr := a.library.Load(ctx)
	if loadErr != nil {
		a.logger.Error("templates were not reloaded; the last ones go on", "error", loadErr)
		set = running.templates
	}
	switch {
	case cfg.Revision != running.cfg.Revision || set.Revision != running.templates.Revision:
		a.swap(ctx, cfg, set)
	case set != running.templates: // the same programs, other problems
		next := *running
		next.templates = set
		a.current.Store(&next)
	}
	if err != nil {
		return err
	}
	if cfg.Revision != running.cfg.Revision {
		for _, w := range warnings {
			a.logger.Warn("configuration", "warning", w.Error())
		}
		a.level.Set(logLevel(cfg.Log.Level))
		added, removed := compareDestinations(running.cfg.Config, cfg.Config)
		a.logger.Info("configuration reloaded", "revision", cfg.Revision, "destinations", len(cfg.Destinations), "added", added, "removed", removed)
	}
	a.logMissingTemplates()
	return nil
}

// compareDestinations names those that come and those that go.
func compareDestinations(running, next *config.Config) (added, removed []string) {
	missing := func(from, in []config.Destination) (names []string) {
		for _, d := range from {
			if !slices.ContainsFunc(in, func(other config.Destination) bool { return other.Name == d.Name }) {
				names = append(names, d.Name)
			}
		}
		return names
	}
	return missing(next.Destinations, running.Destinations), missing(running.Destinations, next.Destinations)
}

// refuse remembers and logs a refusal, each once.
func (a *App) refuse(cfg *config.Config, err error) {
	a.refused = &refusal{Revision: cfg.Revision, At: time.Now(), Problems: problemsOf(cfg, err)}
	if words := err.Error(); words != a.said {
		a.said = words
		for _, p := range a.refused.Problems {
			a.logger.Error("configuration refused; what ran keeps running", "problem", p.Error())
		}
	}
}

func problemsOf(cfg *config.Config, err error) []relay.Problem {
	var list config.Problems
	if errors.As(err, &list) {
		return list
	}
	return []relay.Problem{{File: cfg.File, Message: err.Error()}}
}

// needsRestart names what cannot change while relay runs.
func needsRestart(running, next *config.Config) error {
	var faults config.Problems
	fault := func(differs bool, keys ...string) {
		if differs {
			p := next.Place(keys...)
			p.Message = "a change of it needs a restart; nothing of the file was taken"
			faults = append(faults, p)
		}
	}
	fault(!slices.Equal(running.Server.Listen, next.Server.Listen), "server", "listen")
	fault(running.Server.SocketMode != next.Server.SocketMode, "server", "socket_mode")
	fault(running.Server.MaxConnections != next.Server.MaxConnections, "server", "max_connections")
	fault(running.Server.Shutdown != next.Server.Shutdown, "server", "shutdown")
	fault(running.Store.Path != next.Store.Path, "store", "path")
	fault(running.Store.MaxPending != next.Store.MaxPending, "store", "max_pending")
	fault(running.Store.MaxPendingPerDestination != next.Store.MaxPendingPerDestination, "store", "max_pending_per_destination")
	fault(running.Templates != next.Templates, "templates")
	fault(running.Watch != next.Watch, "watch", "poll")
	fault(running.Log.Format != next.Log.Format, "log", "format")
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// logMissingTemplates says which destinations name a template that there is
// not; the library says what is wrong with those that there are.
func (a *App) logMissingTemplates() {
	now := a.current.Load()
	for _, p := range missingTemplates(now.cfg.Config, now.templates) {
		a.logger.Error("template missing; one is found by the event's type instead", "problem", p.Error())
	}
}

func missingTemplates(cfg *config.Config, set *scripts.Set) []relay.Problem {
	var missing []relay.Problem
	for _, d := range cfg.Destinations {
		if d.Template != "" && set.Named(d.Template) == nil {
			p := cfg.Place("destinations", d.Name, "template")
			p.Message = fmt.Sprintf("there is no usable template %q below %s", d.Template, cfg.Templates)
			missing = append(missing, p)
		}
	}
	return missing
}

func guardRules(cfg *config.Config) guard.Rules {
	r := guard.Rules{Hosts: slices.Clone(cfg.Server.Hosts), Sources: map[string]string{}}
	for _, l := range cfg.Server.Listen {
		if host, _, err := net.SplitHostPort(l.Address); err == nil && l.Network != "unix" {
			r.Hosts = append(r.Hosts, host) // a name that relay listens on is its own
		}
	}
	for _, t := range cfg.Server.Tokens {
		r.Tokens = append(r.Tokens, guard.Token{Value: t.Token.Reveal(), Scope: guard.Scope(t.Scope)})
	}
	for name, s := range cfg.Sources {
		r.Sources[name] = s.Token.Reveal()
	}
	return r
}
