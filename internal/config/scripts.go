package config

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// Script is a script that the file asks for, below the templates directory.
type Script struct {
	Name   string   // such as issue/approval.ts, or the name of a source
	Source bool     // it makes events, and no messages
	Keys   []string // where the file asks for it, from the top down
}

// File is its path below the templates directory.
func (s Script) File() string {
	if s.Source && !strings.Contains(s.Name, "/") {
		return "sources/" + s.Name + ".ts"
	}
	return s.Name
}

// templates is the directory of templates; empty: a fault keeps it from being
// known.
func (l *loader) templates(root *node) string {
	n := root.fields["templates"]
	if n == nil {
		fallback, _ := below(core(), "properties", "templates")["default"].(string)
		return l.absolute(fallback)
	}
	if n.bad || n.kind != scalarNode || n.text == "" {
		return ""
	}
	return l.absolute(n.text)
}

// scripts are those that the file asks for, as far as they have no fault.
func (l *loader) scripts(root *node) []Script {
	var all []Script
	for _, name := range names(root, "destinations") {
		n := root.fields["destinations"].fields[name].fields["template"]
		if n != nil && !n.bad && n.kind == scalarNode {
			all = append(all, Script{Name: path.Clean(n.text), Keys: []string{"destinations", name, "template"}})
		}
	}
	for _, name := range names(root, "sources") {
		source := root.fields["sources"].fields[name]
		script := source.fields["script"]
		switch {
		case source.bad || source.name != name:
		case script == nil:
			all = append(all, Script{Name: name, Source: true, Keys: []string{"sources", name}})
		case !script.bad && script.kind == scalarNode:
			all = append(all, Script{Name: script.text, Source: true, Keys: []string{"sources", name, "script"}})
		}
	}
	return all
}

// names are what a section has, sorted.
func names(root *node, section string) []string {
	n := root.fields[section]
	if n == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.fields))
}
