package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Schema is one JSON Schema for editors: relay.yaml with the keys of every
// provider that the options name, and with the entries of providers that the
// file at path has, where it can be read. It lets everything pass that Load
// takes, references and unquoted numbers in texts among them; what only Load
// finds (a bad duration, say) it does not know.
func Schema(path string, o Options) (json.RawMessage, error) {
	l := newLoader(path, o)
	root := l.tree()
	if root == nil {
		root = &node{kind: objectNode}
	}
	l.plugins(root)
	l.problems, l.warnings = nil, nil // the file's own do not matter here
	merged := l.merge(root)
	if _, faults := l.report(); len(faults) > 0 {
		return nil, faults
	}
	for _, section := range below(merged, "properties") {
		if p, ok := section.(schema); ok && p["type"] == "object" {
			p["type"] = []any{"object", "null"} // everything in it may be commented out
		}
	}
	// An entry that the file does not have yet is no mistake of its user.
	provider := below(merged, "$defs", "destination", "properties", "provider")
	provider["anyOf"] = []any{schema{"enum": provider["enum"]}, schema{"type": "string"}}
	delete(provider, "enum")
	edit(merged)
	return json.MarshalIndent(merged, "", "  ")
}

// edit makes a schema, and all in it, one for editors.
func edit(s schema) {
	for _, keyword := range []string{"properties", "patternProperties", "$defs"} {
		for _, inner := range below(s, keyword) {
			editAny(inner)
		}
	}
	for _, keyword := range []string{"additionalProperties", "propertyNames", "items", "then", "else"} {
		editAny(s[keyword])
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		list, _ := s[keyword].([]any)
		for _, inner := range list {
			editAny(inner)
		}
	}
	if restart := s["x-relay-restart"]; restart == true {
		description, _ := s["description"].(string)
		s["description"] = strings.TrimSpace(description + " A change needs a restart.")
	}
	maps.DeleteFunc(s, func(key string, _ any) bool { return strings.HasPrefix(key, "x-") })
	if format, _ := s["format"].(string); strings.HasPrefix(format, "relay-") {
		delete(s, "format")
	}
	loosen(s)
}

func editAny(value any) {
	if s, ok := value.(schema); ok {
		edit(s)
	}
}

// loosen lets a reference stand for any value that is no list or mapping, and
// numbers and the like where text is wanted.
func loosen(s schema) {
	types := (views{s}).types()
	mixed := slices.Contains(types, "array") || slices.Contains(types, "object")
	text := slices.Contains(types, "string")
	if text {
		types = append(types, "number", "boolean")
	}
	switch {
	case len(types) == 0 || mixed && !text:
		return
	case mixed || text && s["enum"] == nil && s["pattern"] == nil && s["const"] == nil:
		s["type"] = anys(types)
		return
	}
	strict := schema{"type": anys(types)}
	for _, keyword := range []string{"enum", "pattern", "const", "minimum", "maximum", "minLength", "maxLength"} {
		if value, ok := s[keyword]; ok {
			strict[keyword] = value
			delete(s, keyword)
		}
	}
	delete(s, "type")
	s["anyOf"] = []any{strict, schema{"type": "string", "pattern": `\$\{`}}
}
