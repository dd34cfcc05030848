// Package route says which destinations an event goes to. It is a pure
// function of the event and of a table made from the configuration.
//
// It leaves to others what a destination is beyond its wishes, and how events
// are kept.
package route

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// Destination is what one destination wants.
type Destination struct {
	Name     string
	Provider string
	Disabled bool
	Events   []string            // globs; none means every type but relay's own
	Match    map[string][]string // path into the event → any of these globs; all paths must match
	Direct   *Direct             // nil: everything goes to the channel
	// PeopleOnly: there is no channel, so that only direct messages go anywhere.
	PeopleOnly bool

	Recipients []relay.Person // added to those of every event
}

// Direct is which events a destination wants to go straight to people.
type Direct struct {
	Events   []string // globs
	Fallback relay.Fallback
}

// Complete adds to a person what is known of them; source is the event's.
type Complete func(p relay.Person, source string) relay.Person

// Table is an immutable set of destinations.
type Table struct {
	destinations []Destination
	complete     Complete
}

// New makes a table. Events go to destinations in the order given.
func New(destinations []Destination, complete Complete) *Table {
	return &Table{destinations: slices.Clone(destinations), complete: complete}
}

// Route is the deliveries that an event asks for. body is the event's
// canonical JSON, into which match paths reach.
func (t *Table) Route(eventType string, body []byte) []relay.NewDelivery {
	var out []relay.NewDelivery
	var fields map[string]any // decoded once, and only where a match asks
	var people *recipients    // the same
	for _, d := range t.destinations {
		if d.Disabled || !wantsType(d.Events, eventType) {
			continue
		}
		if len(d.Match) > 0 && fields == nil {
			decoder := json.NewDecoder(bytes.NewReader(body))
			decoder.UseNumber() // numbers compare as the text that was sent
			if decoder.Decode(&fields) != nil {
				return nil // canonical JSON always decodes
			}
		}
		if !matches(d.Match, fields) {
			continue
		}
		channel := relay.NewDelivery{Destination: d.Name, Provider: d.Provider}
		if d.Direct == nil || !wantsType(d.Direct.Events, eventType) {
			if !d.PeopleOnly {
				out = append(out, channel)
			}
			continue
		}
		if people == nil {
			people = recipientsOf(body)
		}
		all := t.persons(people, d.Recipients)
		for _, p := range all {
			out = append(out, relay.NewDelivery{Destination: d.Name, Provider: d.Provider, Recipient: p, Fallback: d.Direct.Fallback})
		}
		if len(all) == 0 && !d.PeopleOnly {
			out = append(out, channel)
		}
	}
	return out
}

func wantsType(globs []string, eventType string) bool {
	if len(globs) == 0 {
		return !strings.HasPrefix(eventType, relay.ReservedTypes)
	}
	return slices.ContainsFunc(globs, func(g string) bool { return Glob(g, eventType) })
}

func matches(match map[string][]string, fields map[string]any) bool {
	return mismatch(match, fields) == ""
}

// mismatch is a path that does not match, or empty.
func mismatch(match map[string][]string, fields map[string]any) string {
	for path, globs := range match {
		if !anyMatches(globs, lookUp(fields, path)) {
			return path
		}
	}
	return ""
}

// lookUp follows a dotted path. A key that itself holds dots is found where
// it stands as a whole.
func lookUp(v any, path string) any {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if found, ok := object[path]; ok {
		return found
	}
	for i := range path {
		if path[i] == '.' {
			if sub, ok := object[path[:i]]; ok {
				if found := lookUp(sub, path[i+1:]); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// anyMatches compares as text; an array matches if any of its elements does.
func anyMatches(globs []string, v any) bool {
	text := ""
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return anyMatches(globs, item) })
	case string:
		text = v
	case json.Number:
		text = v.String()
	case bool:
		text = "false"
		if v {
			text = "true"
		}
	default:
		return false
	}
	return slices.ContainsFunc(globs, func(g string) bool { return Glob(g, text) })
}

// Glob reports whether text matches a pattern in which * stands for any run of
// characters, dots included, and everything else for itself.
func Glob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}
