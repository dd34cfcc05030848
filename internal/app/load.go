package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/people"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/templates"
)

// loaded is a configuration with what the providers say of its destinations.
type loaded struct {
	*config.Config
	catalogue *catalogue
	windows   map[string][]delivery.Window // of the channels, by destination
	direct    map[string]account           // by destinations that can reach people
	unknown   map[string]bool              // destinations of which their plugin could not say yet what they are
	people    *people.Directory
}

// account is what direct messages of a destination are sent with.
type account struct {
	id      string // names the credentials; hashed
	matchBy []string
	windows []delivery.Window
}

// ConfigOptions let a configuration be judged by what these providers say of
// their settings. Third parties' plugins are found, and not asked.
func ConfigOptions(providers []plugin.Provider) config.Options {
	return newCatalogue(context.Background(), providers, nil, false).options()
}

func (c *catalogue) options() config.Options {
	o := config.Options{
		Sources: templates.Sources(),
		Plugins: c.find,
		Provider: func(name string) (config.Schemas, bool) {
			p, ok := c.builtIn[name]
			if !ok {
				return config.Schemas{}, false
			}
			return schemas(p.Describe()), true
		},
		Judge: func(d config.Destination, e config.Entry) []config.Judgement {
			var out []config.Judgement
			o := c.open(d, e)
			add := func(problems []plugin.Problem, direct bool) {
				for _, p := range problems {
					out = append(out, config.Judgement{
						Entry: p.Provider, Pointer: p.Pointer, Message: p.Message, Warning: p.Warning, Direct: direct,
						NoChannel: p.NoChannel && o.reaches, // where people cannot be reached either, it is needed
					})
				}
			}
			add(o.problems, false)
			add(o.directProblems, true)
			return out
		},
	}
	for name := range c.builtIn {
		o.Providers = append(o.Providers, name)
	}
	return o
}

// loadConfig reads relay.yaml, which the providers judge with the rest of it.
func (a *App) loadConfig(ctx context.Context, strict bool) (loaded, []relay.Problem, error) {
	c := newCatalogue(ctx, a.o.Providers, a.host, strict)
	c.patience = a.patience
	cfg, warnings, err := config.Load(a.o.Config, c.options())
	a.hide(cfg.Secrets) // also of a refused one: its faults are logged
	out := loaded{Config: cfg, catalogue: c, windows: map[string][]delivery.Window{}, direct: map[string]account{}, unknown: map[string]bool{}}
	if err != nil {
		return out, warnings, err
	}
	cfg.Log = config.Log{Level: cmp.Or(a.o.Log.Level, cfg.Log.Level), Format: cmp.Or(a.o.Log.Format, cfg.Log.Format)}
	for _, d := range cfg.Destinations {
		o := c.open(d, cfg.Entries[d.Entry])
		if o.unknown && a.recall(d, &out) {
			continue
		}
		out.unknown[d.Name] = o.unknown
		if o.channel {
			out.windows[d.Name] = c.windows(d, o)
		}
		if o.reaches {
			out.direct[d.Name] = c.accountOf(d, o)
		}
	}
	known := make([]people.Person, len(cfg.People))
	for i, p := range cfg.People {
		known[i] = people.Person(p)
	}
	out.people = people.New(known)
	return out, warnings, nil
}

// recall takes over what a plugin that does not run now said of the same
// settings before.
func (a *App) recall(d config.Destination, out *loaded) bool {
	now := a.current.Load()
	if now == nil {
		return false
	}
	for _, before := range now.cfg.Destinations {
		if before.Name != d.Name || before.Revision != d.Revision || now.cfg.unknown[d.Name] {
			continue
		}
		if w, ok := now.cfg.windows[d.Name]; ok {
			out.windows[d.Name] = w
		}
		if account, ok := now.cfg.direct[d.Name]; ok {
			out.direct[d.Name] = account
		}
		return true
	}
	return false
}

// accountOf is what a destination's direct messages are sent with. Where the
// vendor documents no limit, a wait that it asks for holds them all the same.
func (c *catalogue) accountOf(d config.Destination, o opened) account {
	description, _ := c.describe(d.Use)
	id := hashed(d.Use + " account " + o.account)
	out := account{id: id, matchBy: description.Direct.MatchBy, windows: []delivery.Window{{Key: id}}}
	for _, w := range o.directWindows {
		out.windows = append(out.windows, delivery.Window{Key: hashed(d.Use + " " + w.Key), Rate: w.Rate, PerUser: w.PerUser})
	}
	return out
}

// hashed is a name for what may hold secrets.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// windows are the limits on a destination's starts: those that its vendor
// documents, or the operator's own rate, counted by what the vendor counts.
func (c *catalogue) windows(d config.Destination, o opened) []delivery.Window {
	description, _ := c.describe(d.Use)
	documented := o.windows
	if len(documented) == 0 {
		documented = []plugin.Window{{Key: "destination " + d.Name, Rate: description.Limits.Rate}}
	}
	if d.Rate.Count > 0 {
		documented = []plugin.Window{{Key: documented[0].Key, Rate: d.Rate}}
	}
	var out []delivery.Window
	for _, w := range documented {
		out = append(out, delivery.Window{Key: hashed(d.Use + " " + w.Key), Rate: w.Rate})
	}
	return out
}
