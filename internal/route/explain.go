package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// Reason says whether a destination takes an event, and why.
type Reason struct {
	Destination string
	Provider    string
	Takes       bool
	Why         string
}

// Explain says of every destination what Route does with an event, in words.
func (t *Table) Explain(eventType string, body []byte) []Reason {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	_ = decoder.Decode(&fields) // canonical JSON always decodes
	out := make([]Reason, 0, len(t.destinations))
	for _, d := range t.destinations {
		one := Table{destinations: []Destination{d}, complete: t.complete}
		takes := one.Route(eventType, body)
		r := Reason{Destination: d.Name, Provider: d.Provider, Takes: len(takes) > 0}
		if r.Takes {
			r.Why = why(d, eventType) + ", " + whom(d, eventType, takes)
		} else {
			r.Why = d.refuses(eventType, fields)
		}
		out = append(out, r)
	}
	return out
}

// refuses is why a destination takes no part in an event.
func (d Destination) refuses(eventType string, fields map[string]any) string {
	if d.Disabled {
		return "it is disabled"
	}
	if !wantsType(d.Events, eventType) {
		if len(d.Events) == 0 {
			return fmt.Sprintf("%s is relay's own type, which goes only where events names it", eventType)
		}
		return fmt.Sprintf("events %s does not hold %s", list(d.Events), eventType)
	}
	for _, path := range slices.Sorted(maps.Keys(d.Match)) {
		found := lookUp(fields, path)
		switch {
		case anyMatches(d.Match[path], found):
		case found == nil:
			return fmt.Sprintf("match %s wants %s, and the event has no such field", path, list(d.Match[path]))
		default:
			text, _ := json.Marshal(found) // it came from JSON
			return fmt.Sprintf("match %s wants %s, and the event has %s", path, list(d.Match[path]), text)
		}
	}
	if d.Direct == nil || !wantsType(d.Direct.Events, eventType) {
		return fmt.Sprintf("it is for people only, and direct_messages does not hold %s", eventType)
	}
	return "it is for people only, and the event names no recipient"
}

// why is how a destination came to want an event.
func why(d Destination, eventType string) string {
	out := "it takes all events"
	for _, glob := range d.Events {
		if Glob(glob, eventType) {
			out = fmt.Sprintf("events has %q", glob)
			break
		}
	}
	for _, path := range slices.Sorted(maps.Keys(d.Match)) {
		out += fmt.Sprintf(", match %s fits", path)
	}
	return out
}

// whom is where its deliveries go.
func whom(d Destination, eventType string, deliveries []relay.NewDelivery) string {
	direct := d.Direct != nil && wantsType(d.Direct.Events, eventType)
	switch {
	case deliveries[0].Recipient != "":
		return fmt.Sprintf("direct_messages holds the type: to %s, fallback %s", count(len(deliveries), "person", "people"), d.Direct.Fallback)
	case direct:
		return "direct_messages holds the type, and the event names no recipient: to the channel"
	}
	return "to the channel"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

func list(globs []string) string { return "[" + strings.Join(globs, ", ") + "]" }
