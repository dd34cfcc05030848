package config

import (
	"regexp"
	"slices"
	"strings"
)

// What stands where a key should can be a secret: a forgotten space makes
// `token:abc` one key, and braces make one of a lone value. So a fault shows a
// key only when it is a name, and where secrets have their place only when it
// is, or nearly is, a name that the place knows.

// hiddenKey stands in a path for a key that is not shown. Line and column say
// which one it is.
const hiddenKey = "…"

const slipWords = "the value is a part of the key; put a space after the colon"

var (
	// plainName is what the names of keys, destinations, headers and variables
	// look like, and a variable that was meant to be one of them.
	plainName = regexp.MustCompile(`^([\p{L}\p{N}_.-]{1,64}|\$\{[A-Za-z_][A-Za-z0-9_]{0,60}\})$`)
	// plainWord is what keys of settings look like, and generated secrets do not.
	plainWord = regexp.MustCompile(`^[a-z][a-z_-]{0,30}[0-9]{0,3}$`)
)

// nameOf is a key as a path may hold it, as far as the key alone can tell; slip:
// it is what stands before a colon without a space.
func nameOf(key string) (name string, slip bool) {
	if plainName.MatchString(key) {
		return key, false
	}
	head, rest, colon := strings.Cut(key, ":")
	if colon && plainName.MatchString(head) && !strings.HasPrefix(rest, "//") { // a URL is no key
		return head, true
	}
	return hiddenKey, false
}

// below is the path of what stands under a key.
func (n *node) below(name string) string {
	if n.path == "" {
		return name
	}
	return n.path + "." + name
}

// tell decides, once the schema's views are known, whether the name of a key of
// n may be shown; secret tells whether its value is one.
func (l *loader) tell(n *node, key string, field *node, secret bool) {
	name, slip := nameOf(key)
	field.name, field.slip = name, slip
	if name != hiddenKey && !n.tellable(l.schema, name, field.null && secret && !slip) {
		field.name, field.slip = hiddenKey, false
		l.hidden[n.below(name)] = n.path
	}
	if field.name != key && len(l.keys) < maxProblems {
		_, rest, _ := strings.Cut(key, ":")
		l.keys = append(l.keys, key, strings.TrimSpace(rest))
	}
}

// tellable tells whether a name that stands as a key in n is one; lone: it has
// no value, where values are secret, and may be such a value itself.
func (n *node) tellable(root schema, name string, lone bool) bool {
	known := n.views.keys()
	if slices.Contains(known, name) {
		return true
	}
	if n.views.open(name) {
		return !lone
	}
	if suggest(name, known) != "" {
		return true
	}
	secret := n.secret || n.views.item(root, 0, n).secret(false)
	return !secret && plainWord.MatchString(name)
}

// open tells whether users choose the keys of a mapping.
func (v views) open(key string) bool {
	for _, s := range v {
		_, more := s["additionalProperties"].(schema)
		if more || s["propertyNames"] != nil {
			return true
		}
		for pattern := range below(s, "patternProperties") {
			if matches(pattern, key) {
				return true
			}
		}
	}
	return false
}

// slipped tells whether a key of n and its value run together.
func (n *node) slipped(key string) bool {
	for k, field := range n.fields {
		if field.slip && strings.HasPrefix(k, key+":") {
			return true
		}
	}
	return false
}

// shownPath is a path without the keys that are hidden.
func (l *loader) shownPath(path string) string {
	if len(l.hidden) == 0 {
		return path
	}
	for end := len(path); end > 0; end-- {
		if end < len(path) && path[end] != '.' && path[end] != '[' {
			continue
		}
		if around, ok := l.hidden[path[:end]]; ok {
			return strings.TrimPrefix(l.shownPath(around)+"."+hiddenKey, ".") + path[end:]
		}
	}
	return path
}

// knownPath is a path up to the first key that is not relay's own, for a file
// that was not read far enough to tell names from secrets.
func knownPath(path string) string {
	own := ownKeys(core(), map[string]bool{})
	end := 0
	for end < len(path) {
		next := strings.IndexByte(path[end:], '.')
		if next < 0 {
			next = len(path) - end
		}
		key, _, _ := strings.Cut(path[end:end+next], "[")
		if !own[key] {
			return path[:end] + hiddenKey
		}
		end = min(end+next+1, len(path))
		if end > maxSuggested {
			return strings.ToValidUTF8(path[:maxSuggested], "") + "…"
		}
	}
	return path
}

// ownKeys are all the keys that a schema names, wherever they stand.
func ownKeys(s schema, all map[string]bool) map[string]bool {
	for key := range below(s, "properties") {
		all[key] = true
	}
	for _, inner := range s {
		if p, ok := inner.(schema); ok {
			ownKeys(p, all)
		}
	}
	return all
}
