package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// check validates the instance and puts what the validator finds into words.
func (l *loader) check(instance any, root *node) {
	compiled, err := compile(l.schema)
	if err != nil {
		l.problem(place{}, "", "the merged schema: %s", oneLine(err)) // each part compiled alone
		return
	}
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(instance); errors.As(err, &invalid) {
		l.explain(root, invalid)
		if len(l.problems) == 0 {
			l.problem(root.at, "", "does not fit its schema")
		}
	} else if err != nil {
		l.problem(root.at, "", "does not fit its schema: %s", oneLine(err))
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// locate finds the node that the validator speaks about.
func locate(root *node, location []string) *node {
	n := root
	for _, token := range location {
		var next *node
		switch n.kind {
		case objectNode:
			next = n.fields[token]
		case listNode:
			var i int
			if _, err := fmt.Sscanf(token, "%d", &i); err == nil && i < len(n.items) {
				next = n.items[i]
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// explain reports one fault, or each of the faults that it stands for.
func (l *loader) explain(root *node, e *jsonschema.ValidationError) {
	n := locate(root, e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			l.explain(root, cause)
		}
	case *kind.AnyOf:
		l.explainChoice(root, n, e)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			l.fault(n, "%s", withHint("the keys in it exclude each other", n))
			return
		}
		l.explainChoice(root, n, e)
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			l.unknown(n, key)
		}
	case *kind.Required:
		l.missing(n, k.Missing, "")
	case *kind.DependentRequired:
		l.missing(n, k.Missing, " beside "+k.Prop)
	case *kind.Dependency:
		l.missing(n, k.Missing, " beside "+k.Prop)
	case *kind.Type:
		l.mistyped(n, k.Want)
	case *kind.Enum:
		l.fault(n, "%s", l.notOneOf(n, k.Want))
	case *kind.Const:
		l.fault(n, "%s", l.notOneOf(n, []any{k.Want}))
	case *kind.Format:
		l.misformed(n, k)
	case *kind.PropertyNames:
		// names has said it, with its place.
	default:
		l.fault(n, "%s", withHint(outOfBounds(n, e.ErrorKind), n))
	}
}

func (l *loader) unknown(n *node, key string) {
	field := n.fields[key]
	if field == nil {
		return
	}
	field.bad = true
	words := "unknown key"
	provider := n.views.word("x-relay-provider")
	if provider != "" {
		words += " for provider " + provider
	}
	fix := l.home(n, key, provider)
	switch {
	case field.slip:
		fix = "; put a space after the colon" + n.meant(field.name)
	case fix == "":
		fix = suggest(key, n.views.keys())
	}
	l.problem(field.key, field.path, "%s%s", words, fix)
}

// meant suggests a key of n that a name is not.
func (n *node) meant(name string) string {
	if known := n.views.keys(); !slices.Contains(known, name) {
		return suggest(name, known)
	}
	return ""
}

// home says where else a key has its place.
func (l *loader) home(n *node, key, provider string) string {
	inEntry := strings.HasPrefix(n.path, "providers.")
	switch {
	case n.path == "":
		for name, section := range below(l.schema, "properties") {
			if p, _ := section.(schema); below(p, "properties")[key] != nil && name != "providers" {
				return "; it belongs under " + name
			}
		}
	case provider != "" && inEntry && below(l.schema, "$defs", "destination."+provider, "properties")[key] != nil:
		return "; it belongs to a destination"
	case provider != "" && !inEntry && below(l.schema, "$defs", "entry."+provider, "properties")[key] != nil:
		return "; it belongs to the entry under providers"
	}
	return ""
}

func (l *loader) missing(n *node, keys []string, beside string) {
	for _, key := range keys {
		if n.fields[key] == nil && !n.slipped(key) {
			l.problem(n.at, n.path, "%s is missing%s", key, beside)
		}
	}
}

// explainChoice reports that none of several forms fits: as a list of keys
// where each form only asks for one, else by the form that comes nearest.
func (l *loader) explainChoice(root, n *node, e *jsonschema.ValidationError) {
	var missing []string
	for _, cause := range e.Causes {
		required, ok := cause.ErrorKind.(*kind.Required)
		if !ok || len(required.Missing) != 1 || locate(root, cause.InstanceLocation) != n {
			missing = nil
			break
		}
		missing = append(missing, required.Missing[0])
	}
	if missing != nil {
		for _, key := range missing {
			if n.fields[key] != nil || n.slipped(key) { // it is there, and was at fault
				return
			}
		}
		l.problem(n.at, n.path, "one of %s is missing", strings.Join(missing, ", "))
		return
	}
	for _, cause := range e.Causes {
		if _, other := cause.ErrorKind.(*kind.Type); !other || locate(root, cause.InstanceLocation) != n {
			l.explain(root, cause)
			return
		}
	}
	l.fault(n, "%s", withHint(show(n)+" is none of the forms that are allowed here", n))
}
