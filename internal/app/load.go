package app

import (
	"crypto/sha256"
	"encoding/hex"

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
	byName := map[string]plugin.Provider{}
	var names []string
	for _, p := range providers {
		d := p.Describe()
		names = append(names, d.Name)
		byName[d.Name] = p
		known[d.Name] = config.Schemas{Provider: d.ProviderSchema, Destination: d.DestinationSchema, Concurrency: d.Limits.Concurrency}
	}
	return config.Options{
		Providers: names,
		Provider: func(name string) (config.Schemas, bool) {
			s, ok := known[name]
			return s, ok
		},
		Judge: func(d config.Destination, e config.Entry) []config.Judgement {
			var out []config.Judgement
			_, problems := open(byName[d.Use], d, e)
			for _, p := range problems {
				out = append(out, config.Judgement{Entry: p.Provider, Pointer: p.Pointer, Message: p.Message, Warning: p.Warning})
			}
			return out
		},
	}
}

// loadConfig reads relay.yaml, which the providers judge with the rest of it.
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
	for _, d := range cfg.Destinations {
		if place, _ := open(providers[d.Use], d, cfg.Entries[d.Entry]); place != nil {
			out.windows[d.Name] = windows(providers[d.Use], d, place)
		}
	}
	return out, warnings, nil
}

// open has a provider judge one destination's settings.
func open(p plugin.Provider, d config.Destination, e config.Entry) (plugin.Destination, []plugin.Problem) {
	description := p.Describe()
	masker := &relay.Masker{}
	masker.Add(relay.SecretsIn(description.ProviderSchema, e.Settings)...)
	masker.Add(relay.SecretsIn(description.DestinationSchema, d.Settings)...)
	place, problems := p.Open(plugin.Settings{
		Destination: d.Name, Entry: e.Name, Provider: e.Settings, Target: d.Settings, Masker: masker, Logger: discardLogger(),
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
