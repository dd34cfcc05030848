package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/plugin"
)

// loaded is a configuration with what the providers say of its destinations.
type loaded struct {
	*config.Config
	windows map[string][]delivery.Window // by destination
}

// ConfigOptions let a configuration be judged by what these providers say of
// their settings.
func ConfigOptions(providers []plugin.Provider) config.Options {
	known := map[string]config.Schemas{}
	var names []string
	for _, p := range providers {
		d := p.Describe()
		names = append(names, d.Name)
		known[d.Name] = config.Schemas{Provider: d.ProviderSchema, Destination: d.DestinationSchema, Concurrency: d.Limits.Concurrency}
	}
	return config.Options{Providers: names, Provider: func(name string) (config.Schemas, bool) {
		s, ok := known[name]
		return s, ok
	}}
}

// loadConfig reads relay.yaml and has every provider judge its settings.
func (a *App) loadConfig() (loaded, []relay.Problem, error) {
	cfg, warnings, err := config.Load(a.o.Config, ConfigOptions(a.o.Providers))
	a.masker.Add(cfg.Secrets...) // also of a refused one: its faults are logged
	out := loaded{Config: cfg, windows: map[string][]delivery.Window{}}
	if err != nil {
		return out, warnings, err
	}
	providers := map[string]plugin.Provider{}
	for _, p := range a.o.Providers {
		providers[p.Describe().Name] = p
	}
	var faults config.Problems
	for _, d := range cfg.Destinations {
		place, problems := open(providers[d.Use], cfg, d)
		for _, p := range problems {
			problem := cfg.Problem(d.Name, p.Provider, p.Pointer, p.Message)
			if p.Warning {
				warnings = append(warnings, problem)
			} else {
				faults = append(faults, problem)
			}
		}
		if place != nil {
			out.windows[d.Name] = windows(providers[d.Use], d, place)
		}
	}
	inOrder(warnings)
	inOrder(faults)
	if len(faults) > 0 {
		return out, warnings, faults
	}
	return out, warnings, nil
}

// inOrder sorts problems as they stand in the file.
func inOrder(problems []relay.Problem) {
	slices.SortStableFunc(problems, func(a, b relay.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// open has a provider judge one destination's settings.
func open(p plugin.Provider, cfg *config.Config, d config.Destination) (plugin.Destination, []plugin.Problem) {
	description, entry := p.Describe(), cfg.Entries[d.Entry].Settings
	masker := &relay.Masker{}
	masker.Add(relay.SecretsIn(description.ProviderSchema, entry)...)
	masker.Add(relay.SecretsIn(description.DestinationSchema, d.Settings)...)
	place, problems := p.Open(plugin.Settings{
		Destination: d.Name, Entry: d.Entry, Provider: entry, Target: d.Settings, Masker: masker, Logger: discardLogger(),
	})
	for i := range problems {
		problems[i].Message = masker.Mask(problems[i].Message)
	}
	return place, problems
}

// windows are the limits on a destination's starts: those that its vendor
// documents, or the operator's own rate, counted by what the vendor counts.
func windows(p plugin.Provider, d config.Destination, place plugin.Destination) []delivery.Window {
	documented := []plugin.Window{{Key: "destination " + d.Name, Rate: p.Describe().Limits.Rate}}
	if paced, ok := place.(plugin.Paced); ok && len(paced.Windows()) > 0 {
		documented = paced.Windows()
	}
	if d.Rate.Count > 0 {
		documented = []plugin.Window{{Key: documented[0].Key, Rate: d.Rate}}
	}
	var out []delivery.Window
	for _, w := range documented {
		key := sha256.Sum256([]byte(d.Use + " " + w.Key)) // keys may be tokens
		out = append(out, delivery.Window{Key: hex.EncodeToString(key[:8]), Rate: w.Rate})
	}
	return out
}
