package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// judge asks the providers about the destinations that have no fault so far.
func (l *loader) judge(instance map[string]any, root *node) {
	if l.o.Judge == nil {
		return
	}
	s := core()
	entryKeys, common := below(s, "$defs", "entry", "properties"), below(s, "$defs", "destination", "properties")
	providers, destinations := below(instance, "providers"), below(instance, "destinations")
	faulty := func(section, name string) bool {
		n := root.fields[section]
		return n != nil && n.fields[name] != nil && l.faulty(n.fields[name].path)
	}
	places := &Config{File: l.path, index: positions(root)}
	for _, name := range slices.Sorted(maps.Keys(destinations)) {
		d := Destination{Name: name}
		target := below(destinations, name)
		d.Entry, _ = target["provider"].(string)
		entry := entryOf(d.Entry, below(providers, d.Entry), entryKeys)
		if _, known := l.o.Provider(entry.Use); !known || faulty("destinations", name) || faulty("providers", d.Entry) {
			continue
		}
		d.Use, d.Settings = entry.Use, owned(target, common)
		places.Destinations = []Destination{d}
		wants := directOf(target["direct_messages"])
		for _, j := range l.o.Judge(d, entry) {
			if j.Direct && j.Warning && wants == nil {
				continue
			}
			if j.NoChannel && wants != nil {
				if wants.Fallback == relay.FallbackNever {
					continue
				}
				j.Message += "; a destination without a channel needs direct_messages: {fallback: never}, since there is nothing to fall back to"
			}
			problem := places.Problem(name, j.Entry, j.Pointer, j.Message)
			if j.Warning {
				l.warnings = append(l.warnings, problem)
			} else {
				l.problems = append(l.problems, problem)
			}
		}
	}
}

// directOf reads what a destination says of direct messages; nil: it wants none.
func directOf(value any) *DirectMessages {
	data, err := json.Marshal(value) // it came from JSON values
	var d DirectMessages
	if value == nil || err != nil || json.Unmarshal(data, &d) != nil || d.Events == nil {
		return nil
	}
	if d.Fallback == "" {
		d.Fallback = relay.FallbackNoneMatched
	}
	return &d
}

// faulty reports whether something at or below a path is at fault.
func (l *loader) faulty(path string) bool {
	for _, p := range l.problems {
		if p.Path == path || strings.HasPrefix(p.Path, path+".") || strings.HasPrefix(p.Path, path+"[") {
			return true
		}
	}
	return false
}
