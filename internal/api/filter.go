package api

import (
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

// filters are what GET /v1/deliveries takes.
var filters = []string{"destination", "state", "type", "event", "recipient", "since", "until", "cursor", "limit"}

// filter reads the query of GET /v1/deliveries and names every fault in it. A
// key without a value filters nothing.
func filter(query string) (relay.DeliveryFilter, *problem.Problem) {
	f := relay.DeliveryFilter{Limit: defaultLimit}
	q, err := url.ParseQuery(query)
	if err != nil {
		return f, problem.New(http.StatusBadRequest, fmt.Sprintf("the query cannot be read: %v", err))
	}
	var faults []problem.Fault
	fault := func(key, format string, args ...any) {
		faults = append(faults, problem.Fault{Path: "?" + key, Message: fmt.Sprintf(format, args...)})
	}
	for _, key := range slices.Sorted(maps.Keys(q)) {
		v := q.Get(key)
		switch {
		case len(q[key]) > 1:
			fault(key, "is given %d times", len(q[key]))
			continue
		case v == "" && slices.Contains(filters, key):
			continue
		}
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
		case "state":
			if f.State = relay.State(v); !slices.Contains(relay.States(), f.State) {
				fault(key, "%q is no state; write one of %s", v, join(relay.States()))
			}
		case "since", "until":
			var at time.Time
			if at, err = time.Parse(time.RFC3339, v); err != nil {
				fault(key, "%q is not RFC 3339, such as 2026-11-21T08:00:00Z", v)
			} else if key == "since" {
				f.Since = at
			} else {
				f.Until = at
			}
		case "cursor":
			if f.Before, err = strconv.ParseInt(v, 36, 64); err != nil || f.Before < 1 {
				fault(key, "%q is no cursor; pass next_cursor of the page before", v)
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 || f.Limit > maxLimit {
				fault(key, "%q is not a number from 1 to %d", v, maxLimit)
			}
		default:
			fault(key, "is not known; filter by %s", strings.Join(filters, ", "))
		}
	}
	if len(faults) > 0 {
		return f, problem.New(http.StatusBadRequest, "the query has faults", faults...)
	}
	return f, nil
}

func join(states []relay.State) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
