package config

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
)

// instance makes the JSON value that the schema judges: scalars become what the
// schema wants them to be, not what YAML guesses, so that `on`, 0123 and dates
// stay text where text is wanted. What has a fault already is left out.
func (l *loader) instance(root *node) any {
	return l.value(root, look(l.schema, l.schema, root), false)
}

func (l *loader) value(n *node, v views, secret bool) any {
	n.views, n.secret = v, v.secret(secret)
	if n.kind == scalarNode {
		// A token that stands where a list of tokens should is one, too.
		n.secret = n.secret || v.item(l.schema, 0, n).secret(false)
	}
	switch n.kind {
	case objectNode:
		return l.object(n)
	case listNode:
		return l.list(n)
	}
	if n.secret {
		l.keep(n)
	}
	return l.scalar(n, v.types())
}

// keep remembers a secret: the whole, and what came from outside as a part of it.
func (l *loader) keep(n *node) {
	for _, part := range n.parts {
		l.secrets[part] = true
	}
	if !n.bad {
		l.secrets[n.text] = true
	}
	delete(l.secrets, "")
}

func (l *loader) object(n *node) any {
	object := map[string]any{}
	for _, key := range n.keys {
		field := n.fields[key]
		v := n.views.field(l.schema, key, field)
		l.tell(n, key, field, v.secret(n.secret))
		if field.slip && field.null && !field.bad {
			field.bad = true
			l.problem(field.key, field.path, "%s%s", slipWords, n.meant(field.name))
		}
		value := l.value(field, v, n.secret)
		if !field.bad {
			object[key] = value
		}
	}
	l.names(n)
	return object
}

// names checks the keys that users choose. The validator cannot say where they stand.
func (l *loader) names(n *node) {
	for _, view := range n.views {
		rules := look(l.schema, view["propertyNames"], n)
		for _, rule := range rules {
			pattern, ok := rule["pattern"].(string)
			if !ok {
				continue
			}
			for _, key := range n.keys {
				field := n.fields[key]
				if matches(pattern, key) || field.slip && field.bad {
					continue
				}
				what := rules.word("x-relay-hint")
				if what == "" {
					what = "a name matches " + pattern
				}
				subject := "the key"
				if field.name == key {
					subject = strconv.Quote(key)
				}
				l.problem(field.key, field.path, "%s cannot be a name here; %s", subject, what)
			}
		}
	}
}

func (l *loader) list(n *node) any {
	list, kept := []any{}, []*node{}
	for i, item := range n.items {
		value := l.value(item, n.views.item(l.schema, i, item), n.secret)
		if !item.bad {
			list, kept = append(list, value), append(kept, item)
		}
	}
	// The validator counts what is left, so the nodes have to be the same ones.
	if len(kept) == 0 && len(n.items) > 0 {
		n.bad = true
	}
	n.items = kept
	return list
}

// scalar is the text as what the schema wants it to be.
func (l *loader) scalar(n *node, types []string) any {
	if n.bad {
		return nil
	}
	if n.null {
		switch {
		case len(types) == 0, slices.Contains(types, "null"):
			return nil
		case slices.Equal(types, []string{"object"}):
			// A section of which everything is commented out.
			n.kind, n.null = objectNode, false
			return map[string]any{}
		}
		fix := "give it one or take the key out"
		if n.anchor {
			fix = "quote a value that begins with &"
		}
		l.fault(n, "has no value; %s", fix)
		return nil
	}
	if !n.plain {
		return n.text
	}
	wants := func(name string) bool { return len(types) == 0 || slices.Contains(types, name) }
	switch plain := plainType(n.text); {
	case plain == "boolean" && wants("boolean"):
		return n.text[0] == 't' || n.text[0] == 'T'
	case plain == "integer" && (wants("integer") || wants("number")), plain == "number" && wants("number"):
		return number(n.text)
	}
	return n.text
}

var (
	booleans = []string{"true", "True", "TRUE", "false", "False", "FALSE"}
	integer  = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)
	decimal  = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,32})?([eE][-+]?[0-9]{1,3})?$`)
)

// plainType is what an unquoted scalar looks like. Leading zeros, underscores
// and the like make it text: what they mean differs between readers of YAML.
func plainType(text string) string {
	switch {
	case slices.Contains(booleans, text):
		return "boolean"
	case integer.MatchString(text):
		return "integer"
	case decimal.MatchString(text):
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return "number"
		}
	}
	return "string"
}

// number keeps an integer as it is written, and rounds anything else to what
// a float holds, so that no exponent can blow up the validator's arithmetic.
func number(text string) json.Number {
	if integer.MatchString(text) {
		return json.Number(text)
	}
	f, _ := strconv.ParseFloat(text, 64) // plainType has parsed it
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
