package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/templates"
)

// Check judges a configuration and its templates as New would, without opening
// the store or listening. With asked it asks the vendors about the credentials
// for direct messages, too, and calls it with each answer as it comes. An error
// that is a config.Problems names every fault, and what was read is answered all
// the same.
func Check(ctx context.Context, o Options, asked func(Asked)) (checked *Checked, warnings []relay.Problem, err error) {
	a, done, err := newJudge(o)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	cfg, warnings, err := a.loadConfig(ctx, true)
	var faults config.Problems
	if err != nil && !errors.As(err, &faults) {
		return nil, warnings, err
	}
	revision, more, err := a.judgeTemplates(ctx, cfg)
	if err != nil {
		return nil, warnings, err
	}
	good := len(faults) == 0
	faults = faults.With(cfg.File, more...)
	if asked != nil && good {
		more, refused := a.probe(ctx, cfg, asked)
		warnings, faults = append(warnings, more...), faults.With(cfg.File, refused...)
	}
	checked = &Checked{cfg.Config, revision}
	if len(faults) > 0 {
		return checked, warnings, faults
	}
	return checked, warnings, nil
}

// newJudge is a relay that only judges: it has no store, and a directory of its
// own for plugins until done.
func newJudge(o Options) (a *App, done func(), err error) {
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for plugins: %w", err)
	}
	a = &App{o: o, masker: &relay.Masker{}}
	a.host, err = pluginhost.New(pluginhost.Options{
		Executable: o.Executable, Dir: filepath.Join(dir, "run"), Copies: filepath.Join(dir, "plugins"), Accept: acceptable, Logger: discardLogger(), Mask: a.masker.Mask,
	})
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return a, func() {
		a.host.Close()
		os.RemoveAll(dir)
	}, nil
}

// judgeTemplates finds the faults of the templates, and of what a configuration
// says of them, also of a refused one.
func (a *App) judgeTemplates(ctx context.Context, cfg loaded) (revision string, faults []relay.Problem, err error) {
	if cfg.Templates == "" {
		return "", nil, nil // a fault says why
	}
	child := a.host.Scripts()
	defer child.Close()
	library := scripts.NewLibrary(scripts.Options{
		BuiltIn: templates.FS(), Dir: cfg.Templates, Compiler: scripts.NewClient(child), Logger: discardLogger(),
	})
	set, err := library.Load(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("load templates: %w", err)
	}
	for _, p := range TemplateProblems(cfg.Config, set) {
		if p.File == cfg.Templates { // the directory itself
			words := p.Message
			p = cfg.Place("templates")
			p.Message = words
		}
		faults = append(faults, p)
	}
	return set.Revision, faults, nil
}

// everyFault is a refusal with what third parties' plugins find, too.
func everyFault(ctx context.Context, o Options, err error) error {
	a, done, failed := newJudge(o)
	if failed != nil {
		return err
	}
	defer done()
	if _, _, more := a.loadConfig(ctx, true); more != nil && errors.As(more, new(config.Problems)) {
		return more
	}
	return err
}

// probeTimeout bounds what one vendor is asked.
const probeTimeout = 30 * time.Second

// What came of asking a vendor whether credentials work.
const (
	AskedGood    = "good"
	AskedRefused = "refused"
	AskedUnknown = "not known" // the vendor could not be reached, or does not say
	AskedNobody  = "not asked" // the provider has no way to ask
)

// Asked is what a vendor says about credentials.
type Asked struct {
	Entry    string `json:"entry"`
	Provider string `json:"provider"`
	Outcome  string `json:"outcome"`
	Detail   string `json:"detail"` // why it is not good; no secret is in it
}

// probe asks the vendors about the credentials that direct messages use, each
// of them once.
func (a *App) probe(ctx context.Context, cfg loaded, say func(Asked)) (warnings, faults []relay.Problem) {
	providers := map[string]plugin.Provider{}
	for _, p := range a.o.Providers {
		providers[p.Describe().Name] = p
	}
	for _, p := range providers {
		if networked, ok := p.(plugin.Networked); ok {
			networked.SetEgress(plugin.Egress{Authorities: cfg.Egress.CA, Allow: cfg.Egress.Allow})
		}
	}
	asked := map[string]bool{}
	for _, d := range cfg.Destinations {
		account, reaches := cfg.direct[d.Name]
		if d.Direct == nil || !reaches || asked[account.id] {
			continue
		}
		asked[account.id] = true
		answer := Asked{Entry: d.Entry, Provider: d.Use, Outcome: AskedGood}
		prober := cfg.catalogue.open(d, cfg.Entries[d.Entry]).prober
		if prober == nil {
			answer.Outcome, answer.Detail = AskedNobody, "its provider has no way to ask"
			say(answer)
			continue
		}
		var words []string
		bounded, cancel := context.WithTimeout(ctx, probeTimeout)
		for _, p := range prober.Probe(bounded) {
			problem := cfg.Problem(d.Name, p.Provider, p.Pointer, strings.Join(strings.Fields(p.Message), " ")) // a vendor's words may have lines
			words = append(words, problem.Message)
			switch {
			case !p.Warning:
				answer.Outcome = AskedRefused
				faults = append(faults, problem)
			case answer.Outcome == AskedGood:
				answer.Outcome = AskedUnknown
				fallthrough
			default:
				warnings = append(warnings, problem)
			}
		}
		cancel()
		answer.Detail = strings.Join(words, "; ")
		say(answer)
	}
	return warnings, faults
}
