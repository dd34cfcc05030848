package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/launch"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// catalogue is who answers for each provider during one load of relay.yaml:
// built-in ones in relay's own process, those of third parties in theirs.
type catalogue struct {
	ctx      context.Context
	builtIn  map[string]plugin.Provider
	host     *pluginhost.Host // nil: third parties are not asked, and nothing is said about that
	patience time.Duration    // how long the plugins of third parties are waited for; 0: as long as they may take
	strict   bool             // what cannot be asked is a fault, and every one that is named is asked

	sources map[string]pluginhost.Source // how the processes start, by provider; those that are missing start as built-in ones
	third   map[string]*pluginhost.Asked // third parties' plugins; nil: it cannot be asked
	failed  map[string]error             // why not

	opened map[string]opened // what was said of each destination: it is asked once
	late   map[string]bool   // providers that let a question about settings wait: nobody waits for the next one
}

func newCatalogue(ctx context.Context, providers []plugin.Provider, host *pluginhost.Host, strict bool) *catalogue {
	c := &catalogue{
		ctx: ctx, builtIn: map[string]plugin.Provider{}, host: host, strict: strict,
		sources: map[string]pluginhost.Source{}, third: map[string]*pluginhost.Asked{}, failed: map[string]error{},
		opened: map[string]opened{}, late: map[string]bool{},
	}
	for _, p := range providers {
		c.builtIn[p.Describe().Name] = p
	}
	return c
}

// describe is what a provider says of itself; unknown: nobody can say now.
func (c *catalogue) describe(name string) (d plugin.Description, unknown bool) {
	asked, third := c.third[name]
	switch {
	case third && asked == nil:
		return plugin.Description{Name: name}, true
	case third:
		return asked.Description.Description, false
	}
	return c.builtIn[name].Describe(), false
}

// source is how a provider's process starts.
func (c *catalogue) source(name string) pluginhost.Source {
	if s, ok := c.sources[name]; ok {
		return s
	}
	s := pluginhost.BuiltIn(name)
	s.Memory = config.DefaultMemory
	return s
}

// revision names who answered: another one may answer otherwise.
func (c *catalogue) revision() string {
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.third)) {
		fmt.Fprintf(&all, "%s: ", name)
		if asked := c.third[name]; asked != nil {
			fmt.Fprintf(&all, "%s %t", asked.Revision, asked.Runs())
		}
		fmt.Fprintln(&all)
	}
	for _, name := range slices.Sorted(maps.Keys(c.opened)) {
		if c.opened[name].unknown {
			fmt.Fprintf(&all, "unknown %s\n", name)
		}
	}
	return all.String()
}

// files are what a change of a plugin changes.
func (c *catalogue) files() []string {
	var all []string
	for _, s := range c.sources {
		all = append(all, s.Files()...)
	}
	return all
}

// schemas are what a configuration must know of a provider.
func schemas(d plugin.Description) config.Schemas {
	return config.Schemas{
		Provider: d.ProviderSchema, Destination: d.DestinationSchema, Concurrency: d.Limits.Concurrency,
		DirectConcurrency: d.Direct.Concurrency, DirectTimeout: d.Direct.Timeout,
	}
}

const (
	// askPatience is how long a start and a reload wait for plugins: for who they
	// are, then for what they make of settings, then for them to take these. A
	// good one needs some tenths of a second; the door stays closed meanwhile.
	askPatience  = 1500 * time.Millisecond
	pluginPrefix = "relay-plugin-"
	// heldWords end what is said of a plugin that cannot be asked.
	heldWords = "; its settings are not checked, and its destinations are held until it runs"
)

var pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// find looks for the plugins that a file names, and asks them.
func (c *catalogue) find(in config.Plugins) config.Found {
	found := config.Found{Schemas: map[string]config.Schemas{}, Absent: map[string]string{}}
	remark := func(warning bool, keys []string, format string, args ...any) {
		found.Remarks = append(found.Remarks, config.Remark{Keys: keys, Message: fmt.Sprintf(format, args...), Warning: warning})
	}
	files, strange, err := pluginFiles(in.Dir)
	if err != nil {
		remark(true, []string{"plugins"}, "%v", err)
	}
	for _, s := range strange {
		remark(true, []string{"plugins"}, "%s %s", s.Origin, s.Error)
	}
	var ask []string
	for _, p := range in.Named {
		file, inDir := files[p.Name]
		delete(files, p.Name)
		_, builtIn := c.builtIn[p.Name]
		at := func(key string) []string { return []string{"providers", p.Name, key} }
		s := pluginhost.BuiltIn(p.Name)
		switch {
		case len(p.Command) > 0:
			s = commandSource(p, in.File)
		case builtIn:
			if inDir {
				remark(true, []string{"plugins"}, "%s %s", file, builtInWords(p.Name))
			}
			if p.SHA256 != "" {
				remark(false, at("sha256"), "%s is built into relay; a checksum pins a plugin of a third party", p.Name)
			}
		case inDir:
			s = pluginhost.Source{Name: p.Name, Origin: file, File: file, Dir: filepath.Dir(in.File)}
		default:
			if in.Dir != "" && pluginName.MatchString(p.Name) {
				found.Absent[p.Name] = filepath.Join(in.Dir, pluginPrefix+p.Name)
			}
			continue // the configuration says that there is no such provider
		}
		s.SHA256, s.AutoMTLS, s.Memory = p.SHA256, p.AutoMTLS, p.Memory
		for _, name := range slices.Sorted(maps.Keys(p.Env)) {
			if launch.Reserved(name) {
				remark(false, append(at("env"), name), "the variable is the protocol's own; take it out")
			}
			s.Env = append(s.Env, name+"="+p.Env[name])
		}
		c.sources[p.Name] = s
		if s.File == "" {
			continue
		}
		c.third[p.Name] = nil
		switch {
		case p.Name == pluginhost.ScriptsName:
			remark(false, []string{"providers", p.Name}, "%q cannot be the name of a provider; relay's own plugin for scripts has it", p.Name)
		case !pluginName.MatchString(p.Name): // which is a fault of the configuration
		case c.host != nil && (p.Wanted || c.strict):
			ask = append(ask, p.Name)
		}
	}
	c.ask(ask)
	for _, name := range slices.Sorted(maps.Keys(c.third)) {
		d, unknown := c.describe(name)
		found.Schemas[name] = schemas(d)
		if unknown {
			found.Schemas[name] = config.Schemas{Unknown: true}
		}
		err, words := c.failed[name], heldWords
		if asked := c.third[name]; asked != nil && !asked.Runs() {
			err, words = asked.Failure(), "; its settings are checked by its schema only"
		}
		if err != nil {
			keys := []string{"plugins"}
			if slices.ContainsFunc(in.Named, func(p config.Plugin) bool { return p.Name == name && len(p.Command) > 0 }) {
				keys = []string{"providers", name, "command"}
			}
			if c.strict {
				words = ""
			}
			remark(!c.strict, keys, "plugin unavailable: %v%s", err, words)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, builtIn := c.builtIn[name]; !builtIn {
			found.Schemas[name] = config.Schemas{Unknown: true}
		}
	}
	return found
}

// bounded is ctx with an end after so much patience; 0: with none.
func bounded(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if patience == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

// ask asks plugins who they are, side by side: one that hangs must not make the
// others wait, nor whoever loads the configuration for longer than it has
// patience. Who answers later is taken up then.
func (c *catalogue) ask(names []string) {
	ctx, cancel := bounded(c.ctx, c.patience)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			asked, err := c.host.Ask(ctx, c.sources[name])
			mu.Lock()
			defer mu.Unlock()
			c.third[name] = asked
			if err != nil {
				c.failed[name] = err
			}
		})
	}
	all.Wait()
}

// builtInWords are about a file of the plugins directory that has the name of a
// built-in provider.
func builtInWords(name string) string {
	return fmt.Sprintf("is not used: %s is a built-in provider; to replace it, set providers.%[1]s.command", name)
}

// pluginFiles lists the executables of the plugins directory by provider, and
// those that can be none. Names come from the directory itself: what relay.yaml
// calls a provider never becomes a path.
func pluginFiles(dir string) (files map[string]string, strange []pluginhost.Status, err error) {
	files = map[string]string{}
	if dir == "" {
		return files, nil, nil
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return files, nil, fmt.Errorf("there is no directory %s", dir)
	case err != nil:
		return files, nil, fmt.Errorf("%s cannot be read: %w", dir, errors.Unwrap(err))
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), pluginPrefix)
		if !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if !pluginName.MatchString(name) {
			strange = append(strange, pluginhost.Status{
				Name: name, Origin: path, State: pluginhost.StateUnused,
				Error: "is not used: a provider's name is made of lower case letters, digits and -; rename the file",
			})
			continue
		}
		files[name] = path
	}
	return files, strange, nil
}

// commandSource is what a command of relay.yaml starts.
func commandSource(p config.Plugin, file string) pluginhost.Source {
	s := pluginhost.Source{Name: p.Name, Args: p.Command[1:], Dir: filepath.Dir(file)}
	s.File = p.Command[0]
	switch {
	case filepath.IsAbs(s.File):
	case strings.ContainsRune(s.File, filepath.Separator):
		s.File = filepath.Join(s.Dir, s.File)
	default: // an interpreter of the system
		s.InPlace = true
		if path, err := exec.LookPath(s.File); err == nil {
			s.File, _ = filepath.Abs(path)
		}
	}
	for _, arg := range s.Args {
		path := arg
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			s.Scripts = append(s.Scripts, path)
		}
	}
	s.Origin = s.File
	if s.InPlace && len(s.Scripts) > 0 {
		s.Origin = s.Scripts[0]
	}
	return s
}

// acceptable reports why a third party's plugin cannot serve.
func acceptable(d pluginhost.Description, settings []*pluginpb.Settings) error {
	s := schemas(d.Description)
	if err := config.Usable(d.Name, s); err != nil {
		return err
	}
	for _, one := range settings {
		if err := config.Fits(d.Name, s, one.Provider, one.Target); err != nil {
			return fmt.Errorf("its schema refuses the settings of destination %s: %w", one.Destination, err)
		}
	}
	return nil
}

// plugins lists every plugin that there is: those that run, and those that
// nothing needs, as the directory holds them now.
func (a *App) plugins() any {
	all := a.pluginStatus()
	running := slices.Clone(all)
	runs := func(name, origin string) bool {
		return slices.ContainsFunc(running, func(s pluginhost.Status) bool { return s.Name == name && (origin == "" || s.Origin == origin) })
	}
	builtIn := map[string]bool{}
	for _, p := range a.o.Providers {
		d := p.Describe()
		builtIn[d.Name] = true
		if !runs(d.Name, "") { // from wherever: a command may replace it
			all = append(all, pluginhost.Status{Name: d.Name, Origin: pluginhost.BuiltIn("").Origin, Version: d.Version, State: pluginhost.StateUnused})
		}
	}
	files, strange, err := pluginFiles(a.current.Load().cfg.Plugins)
	if err != nil {
		a.logger.Debug("plugins cannot be listed", "error", err) // a warning of each load
	}
	all = append(all, strange...)
	for name, path := range files {
		if runs(name, path) {
			continue
		}
		s := pluginhost.Status{Name: name, Origin: path, State: pluginhost.StateUnused}
		if builtIn[name] {
			s.Error = builtInWords(name)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y pluginhost.Status) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Origin, y.Origin))
	})
	return struct {
		Plugins []pluginhost.Status `json:"plugins"`
	}{all}
}
