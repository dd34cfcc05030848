package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// show is a value as a problem may show it: not at all when it is a secret or
// came from outside.
func show(n *node) string {
	switch {
	case n.kind == objectNode:
		return "a mapping"
	case n.kind == listNode:
		return "a list"
	case n.outside != "":
		return "the value of " + n.outside
	case n.secret:
		return "the value"
	}
	return fmt.Sprintf("%q", cut(n.text))
}

// shown tells whether show repeats the value.
func shown(n *node) bool { return n.kind == scalarNode && n.outside == "" && !n.secret }

func withHint(words string, n *node) string {
	if hint := n.views.word("x-relay-hint"); hint != "" {
		return words + "; " + hint
	}
	return words
}

// mistyped says what is wanted, and for the usual slips what to write.
func (l *loader) mistyped(n *node, want []string) {
	names := map[string]string{"string": "text", "boolean": "true or false", "integer": "a whole number", "number": "a number", "array": "a list", "object": "a mapping", "null": "nothing"}
	words := make([]string, len(want))
	for i, w := range want {
		words[i] = names[w]
	}
	slices.Sort(words)
	fix := ""
	switch lower := strings.ToLower(n.text); {
	case n.kind == scalarNode && n.outside != "" && !n.plain && !slices.Contains(want, "object"):
		fix = "; write it on a line of its own, without quotes"
	case n.kind != scalarNode || !shown(n):
	case slices.Contains(want, "boolean") && slices.Contains([]string{"yes", "y", "on", "1"}, lower):
		fix = "; write true"
	case slices.Contains(want, "boolean") && slices.Contains([]string{"no", "n", "off", "0"}, lower):
		fix = "; write false"
	case slices.Contains(want, "boolean") && slices.Contains(booleans, n.text),
		slices.Contains(want, "integer") && integer.MatchString(n.text):
		fix = "; take the quotes off"
	case slices.Contains(want, "integer") && integer.MatchString(strings.TrimLeft(strings.ReplaceAll(n.text, "_", ""), "0")):
		fix = "; write " + strings.TrimLeft(strings.ReplaceAll(n.text, "_", ""), "0")
	case slices.Contains(want, "array") && !slices.Contains(want, "object"):
		fix = "; write [" + n.text + "]"
	}
	if hint := n.views.word("x-relay-hint"); fix == "" && hint != "" {
		fix = "; " + hint
	}
	wanted := strings.Join(words, " or ")
	switch {
	case n.kind != scalarNode:
		l.fault(n, "is %s, not %s%s", show(n), wanted, fix)
	case shown(n) && !slices.ContainsFunc(want, func(w string) bool { return w != "object" }):
		// Perhaps a secret, without the keys that would say so.
		l.fault(n, "is text, not %s%s", wanted, fix)
	default:
		l.fault(n, "%s is not %s%s", show(n), wanted, fix)
	}
}

// notOneOf is for a value that is none of those allowed.
func (l *loader) notOneOf(n *node, want []any) string {
	var allowed []string
	for _, w := range want {
		allowed = append(allowed, fmt.Sprint(w))
	}
	list := strings.Join(allowed, ", ")
	what := n.views.word("x-relay-what")
	if what != "" {
		what += l.lacking(n.text)
	}
	nearest := ""
	if shown(n) {
		nearest = suggest(n.text, allowed)
	}
	switch {
	case what != "" && nearest == "":
		return show(n) + " " + what + "; there is " + list
	case what != "":
		return show(n) + " " + what + nearest
	case len(allowed) == 1:
		return show(n) + " is not " + list
	}
	return show(n) + " is not one of " + list + nearest
}

func (l *loader) misformed(n *node, k *kind.Format) {
	var m *misfit
	if !errors.As(k.Err, &m) {
		l.fault(n, "%s", withHint(show(n)+" is not a valid "+k.Want, n))
		return
	}
	fix := m.fix
	if m.quoting != "" && shown(n) {
		fix = m.quoting
	}
	l.fault(n, "%s %s; %s", show(n), m.what, fix)
}

// outOfBounds is for the keywords that limit a value.
func outOfBounds(n *node, e jsonschema.ErrorKind) string {
	switch k := e.(type) {
	case *kind.Pattern:
		if n.views.word("x-relay-hint") == "" {
			return show(n) + " does not match " + k.Want
		}
		return show(n) + " has not the right form"
	case *kind.MinLength:
		if k.Want == 1 {
			return emptyWords(n)
		}
		return fmt.Sprintf("%s is shorter than %d characters", show(n), k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("%s is longer than %d characters", show(n), k.Want)
	case *kind.MinProperties:
		return "the mapping is empty"
	case *kind.MinItems:
		if k.Want == 1 {
			return "the list is empty"
		}
		return fmt.Sprintf("the list has fewer than %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("the list has more than %d items", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("items %d and %d of the list are the same", k.Duplicates[0], k.Duplicates[1])
	case *kind.Minimum:
		return show(n) + " is less than " + k.Want.RatString()
	case *kind.Maximum:
		return show(n) + " is more than " + k.Want.RatString()
	case *kind.Not:
		if n.kind == objectNode {
			return "some of its keys exclude each other"
		}
		return show(n) + " is not allowed here"
	case *kind.FalseSchema:
		return "is not allowed here"
	}
	// A keyword that only schemas of third parties use.
	return show(n) + " does not satisfy " + strings.Join(e.KeywordPath(), "/") + " of its schema"
}

func emptyWords(n *node) string {
	if n.outside != "" {
		return show(n) + " is empty"
	}
	return "is empty"
}
