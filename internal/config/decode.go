package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// decode fills the Config from an instance that passed every check.
func (l *loader) decode(cfg *Config, instance map[string]any) {
	s := core()
	providers, destinations := below(instance, "providers"), below(instance, "destinations")
	full := finish(s, s, instance).(map[string]any)
	cfg.values = l.valuesOf(full)
	l.root(full)
	delete(full, "providers")
	targets := below(full, "destinations")
	delete(full, "destinations")
	if !l.into(cfg, full) {
		return
	}
	cfg.Egress.CA = l.authorities
	if cfg.Server.TLS != nil {
		cfg.Server.TLS.Certificate = l.certificate
	}
	entryKeys, common := below(s, "$defs", "entry", "properties"), below(s, "$defs", "destination", "properties")
	cfg.Entries = map[string]Entry{}
	for name, value := range providers {
		cfg.Entries[name] = entryOf(name, value.(map[string]any), entryKeys)
	}
	for _, name := range slices.Sorted(maps.Keys(destinations)) {
		d := Destination{Name: name}
		typed := below(targets, name)
		maps.DeleteFunc(typed, func(key string, _ any) bool { return common[key] == nil })
		if !l.into(&d, typed) {
			return
		}
		d.Entry, _ = typed["provider"].(string)
		if _, written := cfg.Entries[d.Entry]; !written {
			cfg.Entries[d.Entry] = entryOf(d.Entry, map[string]any{}, entryKeys)
		}
		entry := cfg.Entries[d.Entry]
		d.Use = entry.Use
		d.Settings = owned(below(destinations, name), common)
		d.Revision = revisionOf(d.Use, entry.Settings, d.Settings)
		d.Recipients = recipientsOf(typed, cfg.People)
		schemas, _ := l.o.Provider(d.Use)
		if typed["rate"] == nil {
			d.Rate = schemas.Rate
		}
		if typed["concurrency"] == nil {
			d.Concurrency = max(1, schemas.Concurrency)
		}
		if d.Direct != nil && d.Direct.Events == nil {
			d.Direct = nil // direct_messages: false
		}
		if d.Direct != nil {
			d.Direct.Timeout, d.Direct.Concurrency = d.Timeout, d.Concurrency
			if below(destinations, name)["timeout"] == nil {
				d.Direct.Timeout = max(d.Timeout, schemas.DirectTimeout)
			}
			if typed["concurrency"] == nil {
				d.Direct.Concurrency = cmp.Or(schemas.DirectConcurrency, defaultDirectConcurrency)
			}
		}
		cfg.Destinations = append(cfg.Destinations, d)
	}
	sourceKeys := below(s, "properties", "sources", "additionalProperties", "properties")
	for name, source := range cfg.Sources {
		written := below(instance, "sources", name)
		source.Recipients, source.Settings = recipientsOf(written, cfg.People), owned(written, sourceKeys)
		cfg.Sources[name] = source
	}
}

func entryOf(name string, value map[string]any, common schema) Entry {
	use, ok := value["use"].(string)
	if !ok {
		use = name
	}
	return Entry{Name: name, Use: use, Settings: owned(value, common)}
}

// root makes the paths of directories absolute: they begin where the file is.
func (l *loader) root(full map[string]any) {
	set := func(in schema, key string) {
		path, _ := in[key].(string) // the schema has a default
		in[key] = l.absolute(path)
	}
	set(below(full, "store"), "path")
	set(full, "templates")
	if full["plugins"] != nil {
		set(full, "plugins")
	}
}

// into decodes what finish made. A failure means that schema.json and the
// types of Config differ.
func (l *loader) into(target any, value map[string]any) bool {
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, target)
	}
	if err != nil {
		l.problem(place{}, "", "cannot be taken over: %s", err)
	}
	return err == nil
}

// owned is what is left to the provider, as JSON with sorted keys.
func owned(value map[string]any, common schema) json.RawMessage {
	own := map[string]any{}
	for key, v := range value {
		if _, ours := common[key]; !ours {
			own[key] = v
		}
	}
	data, _ := json.Marshal(own) // it came from JSON values
	return data
}

func revisionOf(use string, entry, target json.RawMessage) string {
	data, _ := json.Marshal([]any{use, entry, target}) // raw JSON and a string
	sum := sha256.Sum256(data)
	return shortHash(sum[:])
}

// finish turns checked values into what they stand for, by the core schema:
// defaults are filled in, texts of a format become numbers of nanoseconds or
// bytes, and where a list is allowed a lone value becomes a list of one.
func finish(root, s schema, value any) any {
	if pointer, ok := s["$ref"].(string); ok {
		s, _ = deref(root, pointer).(schema)
	}
	switch v := value.(type) {
	case map[string]any:
		return finishObject(root, s, v)
	case []any:
		all := make([]any, len(v))
		for i, item := range v {
			all[i] = finish(root, below(s, "items"), item)
		}
		return all
	case string:
		if slices.Contains((views{s}).types(), "array") {
			return []any{finish(root, below(s, "items"), v)}
		}
		format, _ := s["format"].(string)
		return meaning(format, v)
	}
	return value
}

func finishObject(root, s schema, v map[string]any) any {
	all := map[string]any{}
	known := below(s, "properties")
	for key, field := range v {
		p, ok := known[key].(schema)
		if !ok {
			p = below(s, "additionalProperties")
		}
		all[key] = finish(root, p, field)
	}
	for key, p := range known {
		p, _ := p.(schema)
		fallback, ok := p["default"]
		if !ok && p["type"] == "object" && p["required"] == nil {
			fallback, ok = map[string]any{}, true
		}
		if _, set := all[key]; !set && ok {
			all[key] = finish(root, p, fallback)
		}
	}
	return all
}

// meaning is what a checked text of a format stands for.
func meaning(format, text string) any {
	var value any
	var err error
	switch format {
	case "relay-duration", "relay-timeout":
		value, err = ParseDuration(text)
	case "relay-size":
		value, err = ParseSize(text)
	case "relay-rate":
		value, err = parseRate(text)
	case "relay-listen":
		value, err = ParseListen(text)
	case "relay-mode":
		value, err = parseMode(text)
	case "relay-zone":
		value, err = parseZone(text)
	case "relay-network":
		value, err = parseNetwork(text)
	case "relay-template":
		value, err = parseTemplate(text)
	default:
		return text
	}
	if err != nil {
		return text // not checked, so it will not decode
	}
	return value
}

func splitPointer(pointer string) []string {
	var tokens []string
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "#"), "/")[1:] {
		tokens = append(tokens, unescapePointer(token))
	}
	return tokens
}
