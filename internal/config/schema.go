package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed schema.json
var coreSchema []byte

// providerName is a name that can stand in a schema's pointers as it is.
var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func decodeSchema(data []byte) (schema, error) {
	var s schema
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&s); err != nil {
		return nil, err
	}
	return s, nil
}

// core is relay's own schema.
func core() schema {
	s, err := decodeSchema(coreSchema)
	if err != nil {
		panic("config: schema.json: " + err.Error()) // the program itself is wrong
	}
	return s
}

// below goes down a schema by keys; nil: there is no such place.
func below(s schema, keys ...string) schema {
	for _, key := range keys {
		s, _ = s[key].(schema)
	}
	return s
}

// merge makes the one schema that the file has to fit: relay's own, with what
// the providers say about the keys that they own. Which keys a destination may
// have depends on its provider, so the entries of the file are part of it.
func (l *loader) merge(root *node) schema {
	s := core()
	defs, properties := below(s, "$defs"), below(s, "properties")
	uses := entriesOf(root)
	known := slices.Clone(l.o.Providers)
	for _, use := range uses {
		if _, ok := l.o.Provider(use); ok && providerName.MatchString(use) {
			known = append(known, use)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	before := len(l.problems)
	entries, targets := []any{ref("entry")}, []any{ref("destination")}
	named := schema{}
	for _, name := range known {
		schemas, ok := l.o.Provider(name)
		if !ok {
			continue
		}
		var served []any // the entries that are this provider
		for entry, use := range uses {
			if use == name {
				served = append(served, entry)
				named[entry] = schema{"allOf": []any{ref("entry"), ref("entry." + name)}}
			}
		}
		if _, taken := uses[name]; !taken {
			served = append(served, name)
			named[name] = schema{"allOf": []any{ref("entry"), ref("entry." + name)}}
		}
		defs["entry."+name] = l.owned(name, schemas.Provider, schemas.Unknown, "entry."+name, below(defs, "entry", "properties"))
		defs["destination."+name] = l.owned(name, schemas.Destination, schemas.Unknown, "destination."+name, below(defs, "destination", "properties"))
		entries = append(entries, when("use", []any{name}, "entry."+name))
		targets = append(targets, when("provider", served, "destination."+name))
	}
	if len(l.problems) > before {
		return nil
	}
	below(defs, "entry", "properties", "use")["enum"] = anys(known)
	below(defs, "destination", "properties", "provider")["enum"] = anys(slices.Sorted(maps.Keys(serving(uses, known))))
	below(properties, "providers")["properties"] = named
	below(properties, "providers")["additionalProperties"] = schema{"allOf": entries}
	below(properties, "destinations")["additionalProperties"] = schema{"allOf": targets}
	return s
}

// entriesOf is what `providers` names: entry → provider.
func entriesOf(root *node) map[string]string {
	uses := map[string]string{}
	if providers := root.fields["providers"]; providers != nil {
		for _, name := range providers.keys {
			uses[name] = name
			if use := providers.fields[name].fields["use"]; use != nil && !use.bad && use.kind == scalarNode {
				uses[name] = use.text
			}
		}
	}
	return uses
}

// serving is every name that a destination may give as its provider.
func serving(uses map[string]string, known []string) map[string]string {
	all := maps.Clone(uses)
	for _, name := range known {
		if all[name] == "" {
			all[name] = name
		}
	}
	return all
}

func ref(def string) schema { return schema{"$ref": "#/$defs/" + def} }

// when applies a definition to what has one of the values under key.
func when(key string, values []any, def string) schema {
	return schema{
		"if":   schema{"required": []any{key}, "properties": schema{key: schema{"enum": values}}},
		"then": ref(def),
	}
}

func anys(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}
	return all
}

// owned makes a definition of a provider's schema: it lets relay's own keys
// pass, and nothing that neither side knows.
func (l *loader) owned(provider string, data json.RawMessage, unknown bool, def string, common schema) schema {
	s := schema{}
	wrong := func(format string, args ...any) schema {
		l.problem(place{}, "", "the schema of provider %s: %s", provider, fmt.Sprintf(format, args...))
		return s
	}
	if !providerName.MatchString(provider) {
		return wrong("a provider's name is made of lower case letters, digits and -")
	}
	switch {
	case unknown:
		s = unknownSchema()
	case data != nil:
		var err error
		if s, err = decodeSchema(data); err != nil {
			return wrong("%s", err)
		}
		if err := compiles(s); err != nil {
			return wrong("%s", err)
		}
		rebase(s, "#/$defs/"+def)
	}
	delete(s, "$id")
	delete(s, "$schema")
	s["type"], s["x-relay-provider"] = "object", provider
	own := below(s, "properties")
	all := schema{}
	maps.Copy(all, own)
	for key := range common {
		if own[key] != nil {
			return wrong("the key %s is relay's own", key)
		}
		all[key] = true
	}
	s["properties"] = all
	if _, said := s["additionalProperties"]; !said {
		s["additionalProperties"] = false
	}
	return s
}

// rebase makes a schema's pointers into itself work at another place.
func rebase(value any, base string) {
	switch v := value.(type) {
	case schema:
		for key, inner := range v {
			if pointer, ok := inner.(string); ok && key == "$ref" && strings.HasPrefix(pointer, "#") {
				v[key] = base + pointer[1:]
				continue
			}
			rebase(inner, base)
		}
	case []any:
		for _, inner := range v {
			rebase(inner, base)
		}
	}
}

// refuse loads nothing: a schema cannot make relay read files or call hosts.
type refuse struct{}

var _ jsonschema.URLLoader = refuse{}

func (refuse) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema stands alone; it cannot name %s", url)
}

const schemaURL = "relay:///relay.yaml"

func compile(s schema) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuse{})
	c.AssertFormat()
	for name, check := range formats() {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if text, ok := v.(string); ok {
				if f := check(text); f != nil {
					return f
				}
			}
			return nil
		}})
	}
	if err := c.AddResource(schemaURL, s); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

func compiles(s schema) error {
	_, err := compile(s)
	return err
}
