package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Plugin is a provider that the file names, as far as it may be a third
// party's: how its process is started, where the file says it.
type Plugin struct {
	Name     string
	Command  []string          // empty: the file says none
	SHA256   string            // lower case; empty: not pinned
	Env      map[string]string // further variables of its environment
	AutoMTLS bool
	Memory   int64 // bytes that its process may use
	Wanted   bool  // an enabled destination needs it
}

// Plugins is what a file says about the plugins of third parties.
type Plugins struct {
	File  string   // absolute path of relay.yaml: relative paths begin beside it
	Dir   string   // absolute path of the plugins directory; empty: there is none
	Named []Plugin // every provider that the file names, sorted by name
}

// Found is what Options.Plugins answers.
type Found struct {
	// Schemas are those of third parties' providers, by name. They stand before
	// Options.Provider: a plugin may replace a built-in provider.
	Schemas map[string]Schemas
	Remarks []Remark
	// Absent are the executables that would be providers which the file names and
	// which there are not, by name.
	Absent map[string]string
}

// Remark is a fault or a warning about a plugin, at a key of the file.
type Remark struct {
	Keys    []string // from the top down, such as providers, pagerduty, command
	Message string
	Warning bool
}

// launchKeys say how a plugin is started. They belong to the entry that names
// the provider itself: entries that use it share its process.
var launchKeys = []string{"command", "sha256", "env", "automtls"}

// plugins asks about the plugins of third parties, and knows their providers
// from then on.
func (l *loader) plugins(root *node) {
	if l.o.Plugins == nil {
		return
	}
	in := Plugins{File: l.mainFile(), Named: named(root)}
	if n := root.fields["plugins"]; n != nil && n.kind == scalarNode && !n.bad && n.text != "" {
		in.Dir = l.absolute(n.text)
	}
	found := l.o.Plugins(in)
	l.absent = found.Absent
	l.o.Providers = slices.Clone(l.o.Providers)
	builtIn := l.o.Provider
	l.o.Provider = func(name string) (Schemas, bool) {
		if s, ok := found.Schemas[name]; ok {
			return s, true
		}
		return builtIn(name)
	}
	for name := range found.Schemas {
		if providerName.MatchString(name) { // else the rules say that it is no name
			l.o.Providers = append(l.o.Providers, name)
		}
	}
	slices.Sort(l.o.Providers)
	l.o.Providers = slices.Compact(l.o.Providers)
	places := &Config{File: l.path, index: positions(root)}
	for _, r := range found.Remarks {
		p := places.Place(r.Keys...)
		p.Message = r.Message
		if r.Warning {
			l.warnings = append(l.warnings, p)
		} else {
			l.problems = append(l.problems, p)
		}
	}
}

// lacking says which executable would make a provider of a name; empty: none would.
func (l *loader) lacking(provider string) string {
	if path := l.absent[provider]; path != "" {
		return ", and there is no executable " + path
	}
	return ""
}

// named reads what has to be known before the file can be judged, and leaves
// what is not as it should be to the schema.
func named(root *node) []Plugin {
	all := map[string]*Plugin{}
	of := func(name string) *Plugin {
		if all[name] == nil {
			all[name] = &Plugin{Name: name, Memory: DefaultMemory}
		}
		return all[name]
	}
	uses := entriesOf(root)
	if providers := root.fields["providers"]; providers != nil {
		for _, name := range providers.keys {
			p, entry := of(uses[name]), providers.fields[name]
			if uses[name] != name {
				continue
			}
			if n := entry.fields["command"]; n != nil && n.kind == listNode {
				for _, word := range n.items {
					p.Command = append(p.Command, word.text)
				}
			}
			if n := entry.fields["sha256"]; n != nil {
				p.SHA256 = strings.ToLower(n.text)
			}
			if n := entry.fields["memory"]; n != nil {
				if size, err := ParseSize(n.text); err == nil {
					p.Memory = size
				}
			}
			if n := entry.fields["automtls"]; n != nil {
				p.AutoMTLS = truth(n)
			}
			if n := entry.fields["env"]; n != nil && n.kind == objectNode {
				p.Env = map[string]string{}
				for _, key := range n.keys {
					p.Env[key] = n.fields[key].text
				}
			}
		}
	}
	if destinations := root.fields["destinations"]; destinations != nil {
		for _, name := range destinations.keys {
			d := destinations.fields[name]
			entry := d.fields["provider"]
			if entry == nil || entry.kind != scalarNode || entry.bad || entry.text == "" {
				continue
			}
			use := entry.text
			if uses[use] != "" {
				use = uses[use]
			}
			p := of(use)
			p.Wanted = p.Wanted || !truth(d.fields["disabled"])
		}
	}
	var list []Plugin
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[name])
	}
	return list
}

func truth(n *node) bool {
	return n != nil && n.plain && plainType(n.text) == "boolean" && strings.EqualFold(n.text, "true")
}

// launching checks that the keys about a process stand where a process is.
func (l *loader) launching(root *node) {
	providers := root.fields["providers"]
	if providers == nil {
		return
	}
	uses := entriesOf(root)
	for _, name := range providers.keys {
		for _, key := range launchKeys {
			if n := providers.fields[name].fields[key]; n != nil && uses[name] != name {
				l.problem(n.key, n.path, "entries that use a provider share its process; set %s at providers.%s", key, uses[name])
			}
		}
	}
}

// unknownSchema is that of a provider of which nobody knows the schema now:
// everything passes, and everything is secret.
func unknownSchema() schema {
	return schema{"additionalProperties": schema{"writeOnly": true, "x-relay-guess": "nobody can say what it is"}}
}

// Usable reports why the schemas of a provider cannot be used, if they cannot.
func Usable(name string, s Schemas) error {
	l := newLoader("", Options{})
	defs := below(core(), "$defs")
	l.owned(name, s.Provider, false, "entry."+name, below(defs, "entry", "properties"))
	l.owned(name, s.Destination, false, "destination."+name, below(defs, "destination", "properties"))
	for _, p := range l.problems {
		return errors.New(p.Message)
	}
	return nil
}

// Fits reports what in an entry's and a destination's own settings the schemas
// of their provider do not take.
func Fits(name string, s Schemas, entry, target json.RawMessage) error {
	return errors.Join(fits(name, s.Provider, entry), fits(name, s.Destination, target))
}

func fits(name string, data, settings json.RawMessage) error {
	l := newLoader("", Options{})
	own := l.owned(name, data, false, "own", nil)
	for _, p := range l.problems {
		return errors.New(p.Message)
	}
	compiled, err := compile(schema{"$defs": schema{"own": own}, "$ref": "#/$defs/own"})
	if err != nil {
		return err
	}
	value, err := decodeSchema(settings)
	if err != nil {
		return err
	}
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(value); errors.As(err, &invalid) {
		for len(invalid.Causes) > 0 {
			invalid = invalid.Causes[0]
		}
		// The validator's own words repeat values, which may be secret.
		return fmt.Errorf("/%s does not fit its schema (%s)", strings.Join(invalid.InstanceLocation, "/"), strings.Join(invalid.ErrorKind.KeywordPath(), "/"))
	} else if err != nil {
		return err
	}
	return nil
}
