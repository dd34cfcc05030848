package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// A page of the sent log has defaultLimit rows unless asked otherwise.
const (
	defaultLimit = 50
	maxLimit     = 500
)

// filters are what GET /v1/deliveries takes, and eventFilters what GET
// /v1/events does. A page and its cursor belong to the same filters.
var (
	filters      = []string{"destination", "state", "type", "event", "recipient", "q", "since", "until", "cursor", "limit"}
	eventFilters = []string{"key", "source", "type", "level", "since", "until", "cursor", "limit"}
)

// reading is a filter that is being read: its values, and every fault so far.
type reading struct {
	values url.Values
	known  []string
	prefix string // of the place of a fault: ? in a query, $. in a body
	faults []problem.Fault
}

// readQuery reads the query of a list.
func readQuery(query string, known []string) (*reading, *problem.Problem) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, problem.New(http.StatusBadRequest, fmt.Sprintf("the query cannot be read: %v", err))
	}
	return &reading{values: q, known: known, prefix: "?"}, nil
}

// badQuery is the answer to the faults of a query.
func badQuery(faults []problem.Fault) *problem.Problem {
	return problem.New(http.StatusBadRequest, "the query has faults", faults...)
}

func (r *reading) fault(key, format string, args ...any) {
	r.faults = append(r.faults, problem.Fault{Path: r.prefix + key, Message: fmt.Sprintf(format, args...)})
}

// each calls take for every filter that has a value, in order. A key without a
// value filters nothing.
func (r *reading) each(take func(key, value string)) {
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		switch v := r.values.Get(key); {
		case len(r.values[key]) > 1:
			r.fault(key, "is given %d times", len(r.values[key]))
		case !slices.Contains(r.known, key):
			r.fault(key, "is not known; filter by %s", strings.Join(r.known, ", "))
		case v != "":
			take(key, v)
		}
	}
}

// note notes what is wrong with the value of a key, if anything is.
func (r *reading) note(key string, err error) {
	if err != nil {
		r.fault(key, "%v", err)
	}
}

// CheckFilter says what is wrong with the value of a filter, or nil. A cursor is
// judged only where the list is asked for.
func CheckFilter(key, value string) (err error) {
	switch key {
	case "state":
		_, err = parseState(value)
	case "level":
		_, err = parseLevel(value)
	case "since", "until":
		_, err = parseTime(value)
	case "limit":
		_, err = parseLimit(value)
	}
	return err
}

func parseState(v string) (relay.State, error) {
	s := relay.State(v)
	if !slices.Contains(relay.States(), s) {
		return s, fmt.Errorf("%q is no state; write one of %s", v, join(relay.States()))
	}
	return s, nil
}

func parseLevel(v string) (relay.Level, error) {
	level, ok := relay.ParseLevel(v)
	if !ok {
		return level, fmt.Errorf("%q is no level; write info, success, warn or error", v)
	}
	return level, nil
}

func parseTime(v string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return at, fmt.Errorf("%q is not RFC 3339, such as 2026-11-21T08:00:00Z", v)
	}
	return at, nil
}

func parseLimit(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		return n, fmt.Errorf("%q is not a number from 1 to %d", v, maxLimit)
	}
	return n, nil
}

// cursor is where a page begins. It names the filters that it was made with,
// since it means nothing with others.
func (r *reading) cursor(key, v string) int64 {
	place, scope, _ := strings.Cut(v, "-")
	seq, err := strconv.ParseInt(place, 36, 64)
	switch {
	case err != nil || seq < 1 || scope == "":
		r.fault(key, "%q is no cursor; pass next_cursor of the page before", v)
	case scope != r.scope():
		r.fault(key, "%q belongs to another filter; go on with the same filters, or begin without a cursor", v)
	}
	return seq
}

// next is the cursor of the following page, or null.
func (r *reading) next(seq int64) *string {
	if seq == 0 {
		return nil
	}
	cursor := strconv.FormatInt(seq, 36) + "-" + r.scope()
	return &cursor
}

// scope names a list and its filters.
func (r *reading) scope() string {
	all := url.Values{}
	for key, values := range r.values {
		if key != "cursor" && key != "limit" && values[0] != "" {
			all[key] = values
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(r.known, " ") + "?" + all.Encode()))
	return hex.EncodeToString(sum[:4])
}

// deliveries is the filter of the sent log.
func (r *reading) deliveries() (relay.DeliveryFilter, []problem.Fault) {
	f := relay.DeliveryFilter{Limit: defaultLimit}
	r.each(func(key, v string) {
		var err error
		switch key {
		case "destination":
			f.Destination = v
		case "type":
			f.Type = v
		case "event":
			f.EventID = v
		case "recipient":
			f.Recipient = v
		case "q":
			f.Query = v
		case "state":
			f.State, err = parseState(v)
		case "since":
			f.Since, err = parseTime(v)
		case "until":
			f.Until, err = parseTime(v)
		case "cursor":
			f.Before = r.cursor(key, v)
		case "limit":
			f.Limit, err = parseLimit(v)
		}
		r.note(key, err)
	})
	return f, r.faults
}

// events is the filter of the list of events.
func (r *reading) events() (relay.EventFilter, []problem.Fault) {
	f := relay.EventFilter{Limit: defaultLimit}
	r.each(func(key, v string) {
		var err error
		switch key {
		case "key":
			f.Key = v
		case "source":
			f.Source = v
		case "type":
			f.Type = v
		case "level":
			f.Level, err = parseLevel(v)
		case "since":
			f.Since, err = parseTime(v)
		case "until":
			f.Until, err = parseTime(v)
		case "cursor":
			f.Before = r.cursor(key, v)
		case "limit":
			f.Limit, err = parseLimit(v)
		}
		r.note(key, err)
	})
	return f, r.faults
}

func join(states []relay.State) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
