package app

import (
	"cmp"
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
	windows map[string][]delivery.Window // of the channels, by destination
	direct  map[string]account           // by destinations that can reach people
	people  *people.Directory
}

// account is what direct messages of a destination are sent with.
type account struct {
	id      string // names the credentials; hashed
	matchBy []string
	windows []delivery.Window
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
		known[d.Name] = config.Schemas{Provider: d.ProviderSchema, Destination: d.DestinationSchema, Concurrency: d.Limits.Concurrency,
			DirectConcurrency: d.Direct.Concurrency, DirectTimeout: d.Direct.Timeout}
	}
	return config.Options{
		Providers: names,
		Sources:   templates.Sources(),
		Provider: func(name string) (config.Schemas, bool) {
			s, ok := known[name]
			return s, ok
		},
		Judge: func(d config.Destination, e config.Entry) []config.Judgement {
			var out []config.Judgement
			o := open(byName[d.Use], d, e)
			add := func(problems []plugin.Problem, direct bool) {
				for _, p := range problems {
					out = append(out, config.Judgement{
						Entry: p.Provider, Pointer: p.Pointer, Message: p.Message, Warning: p.Warning, Direct: direct,
						NoChannel: p.NoChannel && o.direct != nil, // where people cannot be reached either, it is needed
					})
				}
			}
			add(o.problems, false)
			add(o.directProblems, true)
			return out
		},
	}
}

// loadConfig reads relay.yaml, which the providers judge with the rest of it.
func (a *App) loadConfig() (loaded, []relay.Problem, error) {
	cfg, warnings, err := config.Load(a.o.Config, ConfigOptions(a.o.Providers))
	a.hide(cfg.Secrets) // also of a refused one: its faults are logged
	out := loaded{Config: cfg, windows: map[string][]delivery.Window{}, direct: map[string]account{}}
	if err != nil {
		return out, warnings, err
	}
	cfg.Log = config.Log{Level: cmp.Or(a.o.Log.Level, cfg.Log.Level), Format: cmp.Or(a.o.Log.Format, cfg.Log.Format)}
	providers := map[string]plugin.Provider{}
	for _, p := range a.o.Providers {
		providers[p.Describe().Name] = p
	}
	for _, d := range cfg.Destinations {
		p := providers[d.Use]
		o := open(p, d, cfg.Entries[d.Entry])
		if o.channel != nil {
			out.windows[d.Name] = windows(p, d, o.channel)
		}
		if o.direct != nil {
			out.direct[d.Name] = accountOf(p, d, o.direct)
		}
	}
	known := make([]people.Person, len(cfg.People))
	for i, p := range cfg.People {
		known[i] = people.Person(p)
	}
	out.people = people.New(known)
	return out, warnings, nil
}

// opened is what a provider makes of one destination's settings, and says of them.
type opened struct {
	channel                  plugin.Destination // nil: there is none
	direct                   plugin.Direct      // nil: people cannot be reached
	problems, directProblems []plugin.Problem
}

// open has a provider judge one destination's settings.
func open(p plugin.Provider, d config.Destination, e config.Entry) opened {
	description := p.Describe()
	masker := &relay.Masker{}
	masker.Add(relay.SecretsIn(description.ProviderSchema, e.Settings)...)
	masker.Add(relay.SecretsIn(description.DestinationSchema, d.Settings)...)
	s := plugin.Settings{
		Destination: d.Name, Entry: e.Name, Provider: e.Settings, Target: d.Settings, Masker: masker, Logger: discardLogger(),
	}
	var o opened
	o.channel, o.problems = p.Open(s)
	if reaching, ok := p.(plugin.DirectProvider); ok {
		o.direct, o.directProblems = reaching.OpenDirect(s)
	} else {
		o.directProblems = []plugin.Problem{{Message: "provider " + description.Name + " has no direct messages; all events go to the channel", Warning: true}}
	}
	for _, list := range [][]plugin.Problem{o.problems, o.directProblems} {
		for i := range list {
			list[i].Message = masker.Mask(list[i].Message)
		}
	}
	return o
}

// accountOf is what a destination's direct messages are sent with. Where the
// vendor documents no limit, a wait that it asks for holds them all the same.
func accountOf(p plugin.Provider, d config.Destination, direct plugin.Direct) account {
	id := hashed(d.Use + " account " + direct.Account())
	out := account{id: id, matchBy: p.Describe().Direct.MatchBy, windows: []delivery.Window{{Key: id}}}
	if paced, ok := direct.(plugin.Paced); ok {
		for _, w := range paced.Windows() {
			out.windows = append(out.windows, delivery.Window{Key: hashed(d.Use + " " + w.Key), Rate: w.Rate, PerUser: w.PerUser})
		}
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
		out = append(out, delivery.Window{Key: hashed(d.Use + " " + w.Key), Rate: w.Rate})
	}
	return out
}
