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
// takes, references and unquoted numbers in texts among them; what Load finds
// beyond the form of a single value it does not know.
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
		shape(s, forms[format])
		return
	}
	loosen(s)
}

// reference is what stands for any value.
const reference = `\$\{`

// form is how texts of one of relay's formats look to an editor. It lets pass
// what the format takes, and stops the usual mistakes.
type form struct {
	pattern string
	words   string // why it does not match, for editors that show it
	// What is written without quotes may be a number for editors.
	integers, least, most any // integers: true where they are taken, with bounds or nil
}

const (
	durationForm = `^(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d))+)$`
	timeoutForm  = `^([0-9.]+(ms|s|m|h|d))*[0-9.]*[1-9][0-9.]*(ms|s|m|h|d)([0-9.]+(ms|s|m|h|d))*$`
	portForm     = `([0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`
	scriptForm   = `^[^/\\][^\\]*\.[jt]s$`
)

var forms = map[string]form{
	"relay-duration": {durationForm, durationFix, true, json.Number("0"), json.Number("0")},
	"relay-timeout":  {timeoutForm, durationFix, nil, nil, nil},
	"relay-size":     {`^0*[1-9][0-9]*(B|KiB|MiB|GiB|TiB)?$`, sizeFix, true, json.Number("1"), nil},
	"relay-rate":     {`^[+]?0*[1-9][0-9]*/(s|m|h)$`, rateFix, nil, nil, nil},
	"relay-listen":   {`^(unix:///.+|(\[[^\]/@ ]*\]|[^\[\]:/@ ]*):` + portForm + `)$`, listenFix, nil, nil, nil},
	"relay-mode":     {`^(0o)?[0-7]{1,4}$`, modeFix, true, json.Number("0"), json.Number("777")},
	"relay-zone":     {`^[A-Z][A-Za-z0-9_+/-]*$`, zoneFix, nil, nil, nil},
	"relay-template": {scriptForm, templateFix, nil, nil, nil},
	"relay-source":   {`^(\./)*sources/[^\\]+\.[jt]s$`, sourceFix, nil, nil, nil},
	"relay-whsec":    {`^whsec_[A-Za-z0-9+/=]+$`, whsecFix, nil, nil, nil},
	"relay-url":      {`^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#:][^\s]*$`, urlFix, nil, nil, nil},
	"relay-network":  {`^([0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?|[0-9A-Fa-f]*(:[0-9A-Fa-f.]*){2,7}(/[0-9]{1,3})?)$`, networkFix, nil, nil, nil},
}

// shape puts a form in place of a format. Lists keep their own.
func shape(s schema, f form) {
	s["pattern"], s["patternErrorMessage"] = f.pattern+"|"+reference, f.words
	types := (views{s}).types()
	if f.integers == true {
		types = append(types, "integer")
		if f.least != nil {
			s["minimum"] = f.least
		}
		if f.most != nil {
			s["maximum"] = f.most
		}
	}
	delete(s, "minLength")
	if len(types) > 0 {
		s["type"] = anys(types)
	}
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
	case len(types) == 0:
		return
	case mixed && !text:
		if slices.ContainsFunc(types, func(t string) bool { return t != "array" && t != "object" }) {
			s["type"], s["pattern"] = anys(append(types, "string")), reference
		}
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
	s["anyOf"] = []any{strict, schema{"type": "string", "pattern": reference}}
}
