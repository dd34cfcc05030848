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
	At       relay.Time      `json:"at"`
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
	defer a.host.Refresh() // a plugin's executable may be what has changed
	defer a.host.Forget()
	cfg, warnings, err := a.loadConfig(ctx, false)
	if restart := running.cfg.NeedsRestart(cfg.Config); len(restart) > 0 {
		var faults config.Problems
		errors.As(err, &faults) // what else is wrong
		err = faults.With(cfg.File, restart...)
	}
	a.metrics.Reloaded(err == nil)
	if err != nil {
		a.refuse(cfg.Config, err)
		// Its files are watched, so that mending one of them is noticed (after a
		// swap, which watches those of what runs); the templates are taken up all
		// the same.
		defer a.watcher.Set(slices.Concat(running.cfg.watched(), cfg.watched()))
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
	case cfg.Revision != running.cfg.Revision || cfg.catalogue.revision() != running.cfg.catalogue.revision() || set.Revision != running.templates.Revision:
		a.swap(ctx, cfg, set)
	case set != running.templates: // the same programs, other problems
		next := *running
		next.templates = set
		a.current.Store(&next)
	}
	if err != nil {
		return err
	}
	a.warn(warnings)
	if cfg.Revision != running.cfg.Revision {
		a.level.Set(logLevel(cfg.Log.Level))
		added, removed := compareDestinations(running.cfg.Config, cfg.Config)
		a.logger.Info("configuration reloaded", "revision", cfg.Revision, "destinations", len(cfg.Destinations), "added", added, "removed", removed)
	}
	a.logMissingTemplates()
	return nil
}

// warn logs the warnings of a configuration, each as long as it lasts once.
func (a *App) warn(warnings []relay.Problem) {
	for _, w := range warnings {
		if !slices.Contains(a.warned, w) {
			a.logger.Warn("configuration", "warning", w.Error())
		}
	}
	a.warned = warnings
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
	a.refused = &refusal{Revision: cfg.Revision, At: relay.Time{Time: time.Now()}, Problems: problemsOf(cfg, err)}
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

// logMissingTemplates says which destinations and sources name a script that
// there is not, each once; the library says what is wrong with those that there
// are.
func (a *App) logMissingTemplates() {
	now := a.current.Load()
	missing := missingTemplates(now.cfg.Config, now.templates)
	for _, p := range missing {
		if !slices.Contains(a.missing, p) {
			a.logger.Error("template or source script missing", "problem", p.Error())
		}
	}
	a.missing = missing
}

// watched is what a configuration is made from.
func (l loaded) watched() []string {
	all := append(slices.Clone(l.Files), l.catalogue.files()...)
	for _, dir := range []string{l.Templates, l.Plugins} {
		if dir != "" {
			all = append(all, dir)
		}
	}
	return all
}

// TemplateProblems lists what is wrong with the files of a templates directory,
// and what a configuration asks for that is not in it; it may be nil.
func TemplateProblems(cfg *config.Config, set *scripts.Set) []relay.Problem {
	if cfg == nil {
		return set.Problems()
	}
	return slices.Concat(set.Problems(), missingTemplates(cfg, set))
}

// missingTemplates are the scripts that relay.yaml asks for and that there are
// not. A file that is there and bad is among the set's own problems.
func missingTemplates(cfg *config.Config, set *scripts.Set) []relay.Problem {
	var missing []relay.Problem
	for _, s := range cfg.Scripts {
		p := cfg.Place(s.Keys...)
		switch {
		case s.Source && set.Source(s.Name) == nil:
			p.Message = fmt.Sprintf("there is no usable script %q below %s", s.File(), cfg.Templates)
		case !s.Source && set.Missing(s.Name):
			p.Message = fmt.Sprintf("there is no usable template %q below %s", s.Name, cfg.Templates)
		default:
			continue
		}
		missing = append(missing, p)
	}
	return missing
}

func guardRules(cfg *config.Config) guard.Rules {
	r := guard.Rules{Hosts: slices.Clone(cfg.Server.Hosts), Sources: map[string]guard.Source{}}
	for _, l := range cfg.Server.Listen {
		if host, _, err := net.SplitHostPort(l.Address); err == nil && l.Network != "unix" {
			r.Hosts = append(r.Hosts, host) // a name that relay listens on is its own
		}
	}
	for _, t := range cfg.Server.Tokens {
		r.Tokens = append(r.Tokens, guard.Token{Value: t.Token.Reveal(), Scope: guard.Scope(t.Scope)})
	}
	for name, s := range cfg.Sources {
		r.Sources[name] = guard.Source{Token: s.Token.Reveal(), Verifiers: verifiers(s)}
	}
	return r
}

// verifiers are the ways in which a source's sender signs.
func verifiers(s config.Source) []guard.Verifier {
	var all []guard.Verifier
	if len(s.HMAC.Secret) > 0 {
		v := guard.HMAC{Header: s.HMAC.Header, Prefix: s.HMAC.Prefix, Algorithm: s.HMAC.Algorithm, Encoding: s.HMAC.Encoding}
		for _, secret := range s.HMAC.Secret {
			v.Secrets = append(v.Secrets, secret.Reveal())
		}
		all = append(all, v)
	}
	if len(s.StandardWebhooks.Secret) > 0 {
		v := guard.StandardWebhooks{}
		for _, secret := range s.StandardWebhooks.Secret {
			if key, err := config.ParseWebhookSecret(secret.Reveal()); err == nil { // it was checked
				v.Keys = append(v.Keys, key)
			}
		}
		all = append(all, v)
	}
	return all
}
