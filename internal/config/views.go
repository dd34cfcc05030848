package config

import (
	"maps"
	"regexp"
	"slices"
)

// schema is a JSON Schema as plain data, an alias so that libraries take it.
type schema = map[string]any

// maxViews bounds what one value can be looked at with: schemas of third
// parties may refer to themselves.
const maxViews = 200

// views are all the schemas that speak about one value. They say what a scalar
// is meant to be, which keys an object may have and what is secret; whether the
// value fits is the validator's to say.
type views []schema

// look collects what a schema says about n, through references and conditions.
func look(root schema, s any, n *node) views {
	var all views
	var add func(s any)
	add = func(s any) {
		v, ok := s.(schema)
		if !ok || len(all) >= maxViews {
			return
		}
		all = append(all, v)
		if pointer, ok := v["$ref"].(string); ok {
			add(deref(root, pointer))
		}
		for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
			branches, _ := v[keyword].([]any)
			for _, branch := range branches {
				add(branch)
			}
		}
		if condition, ok := v["if"]; ok {
			holds, known := holds(condition, n)
			if holds || !known {
				add(v["then"])
			}
			if !holds || !known {
				add(v["else"])
			}
		}
	}
	add(s)
	return all
}

// deref follows a pointer such as #/$defs/entry/properties/use.
func deref(root schema, pointer string) any {
	var at any = root
	for _, token := range splitPointer(pointer) {
		switch v := at.(type) {
		case schema:
			at = v[token]
		default:
			return nil
		}
	}
	return at
}

// holds tells whether a condition holds for n. Conditions other than on the
// presence and the value of keys are not known here.
func holds(condition any, n *node) (yes, known bool) {
	c, ok := condition.(schema)
	if !ok {
		return false, false
	}
	yes, known = true, true
	for keyword, value := range c {
		switch keyword {
		case "required":
			for _, key := range value.([]any) {
				if name, _ := key.(string); n.fields[name] == nil {
					yes = false
				}
			}
		case "properties":
			for key, s := range value.(schema) {
				p, _ := s.(schema)
				field := n.fields[key]
				allowed, isEnum := p["enum"].([]any)
				if constant, isConst := p["const"]; isConst {
					allowed, isEnum = []any{constant}, true
				}
				switch {
				case !isEnum:
					known = false
				case field != nil && !slices.Contains(allowed, any(field.text)):
					yes = false
				}
			}
		default:
			known = false
		}
	}
	return yes, known
}

// field are the views of what stands under a key.
func (v views) field(root schema, key string, n *node) views {
	var all views
	for _, s := range v {
		known := false
		if p, ok := below(s, "properties")[key]; ok {
			all, known = append(all, look(root, p, n)...), true
		}
		for pattern, p := range below(s, "patternProperties") {
			if matches(pattern, key) {
				all, known = append(all, look(root, p, n)...), true
			}
		}
		if !known {
			all = append(all, look(root, s["additionalProperties"], n)...)
		}
	}
	return all
}

// item are the views of what stands at an index of a list.
func (v views) item(root schema, i int, n *node) views {
	var all views
	for _, s := range v {
		if prefix, _ := s["prefixItems"].([]any); i < len(prefix) {
			all = append(all, look(root, prefix[i], n)...)
			continue
		}
		all = append(all, look(root, s["items"], n)...)
	}
	return all
}

// types are the JSON types that a value may have; none: any.
func (v views) types() []string {
	var all []string
	for _, s := range v {
		switch t := s["type"].(type) {
		case string:
			all = append(all, t)
		case []any:
			for _, name := range t {
				text, _ := name.(string)
				all = append(all, text)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// keys are the keys that an object may have.
func (v views) keys() []string {
	all := map[string]bool{}
	for _, s := range v {
		for key := range below(s, "properties") {
			all[key] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// word is the first text that the schemas have under a keyword of ours.
func (v views) word(keyword string) string {
	for _, s := range v {
		if text, ok := s[keyword].(string); ok {
			return text
		}
	}
	return ""
}

// flag tells whether one of the schemas has a keyword of ours set to true.
func (v views) flag(keyword string) bool {
	return slices.ContainsFunc(v, func(s schema) bool { return s[keyword] == true })
}

// secret tells whether a value is one. What says nothing is what it is part of.
func (v views) secret(around bool) bool {
	said := around
	for _, s := range v {
		if w, ok := s["writeOnly"].(bool); ok {
			if w {
				return true
			}
			said = false
		}
	}
	return said
}

// matches is for patterns of schemas that compiled, so they are good ones.
func matches(pattern, text string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(text)
}
