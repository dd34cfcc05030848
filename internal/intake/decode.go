package intake

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

const (
	// maxEvents bounds an array.
	maxEvents = 1_000
	// maxOriginals bounds what the events of one body keep of it together, so
	// that a small request cannot make a large store.
	maxOriginals = 4 << 20
)

// options are what decode knows of a request beside its body.
type options struct {
	source   string // for events that name none
	key      string // Idempotency-Key; for events that have no id
	now      time.Time
	original []byte // what the sender really sent, where a script made the events from it
	id       string // relay's own for the event; empty: a new one
	empty    bool   // an array may be empty
	// A JSON array of persons who are added to the recipients; nil: none.
	recipients []byte
}

// decode reads one event or an array of them, and says whether it was an array.
func decode(body []byte, o options) (events []relay.Accepted, array bool, p *problem.Problem) {
	if err := problem.CheckJSON(body); err != nil {
		return nil, false, problem.New(http.StatusBadRequest, err.Error())
	}
	body = bytes.TrimSpace(body)
	switch body[0] {
	case '{':
		e, faults := decodeEvent(body, place(false, 0), o)
		return []relay.Accepted{e}, false, refuse(faults)
	case '[':
		events, faults := decodeArray(body, o)
		return events, true, refuse(faults)
	}
	return nil, false, refuse([]problem.Fault{{Path: "$", Message: "is neither an event nor an array of events"}})
}

func tooMany(n int) problem.Fault {
	return problem.Fault{Path: "$", Message: fmt.Sprintf("has %d events; send at most %d at once", n, maxEvents)}
}

// Decode reads one event as the door would, without accepting it: for previews.
// path is where it stands in a larger body, such as "$.event"; empty: "$". id is
// relay's own for it, empty: a new one. The error is a *problem.Problem.
func Decode(body []byte, path, id string, now time.Time) (relay.Accepted, error) {
	if path == "" {
		path = place(false, 0)
	}
	if err := problem.CheckJSON(body); err != nil {
		return relay.Accepted{}, problem.New(http.StatusBadRequest, noEvent+": "+err.Error())
	}
	e, faults := decodeEvent(bytes.TrimSpace(body), path, options{source: defaultSource, now: now, id: id})
	if p := problem.Refuse(noEvent, faults); p != nil {
		return relay.Accepted{}, p
	}
	return e, nil
}

const noEvent = "this is no event"

func decodeArray(body []byte, o options) ([]relay.Accepted, []problem.Fault) {
	raw := elements(body)
	switch {
	case len(raw) == 0 && !o.empty:
		return nil, []problem.Fault{{Path: "$", Message: "is empty; send at least one event"}}
	case len(raw) > maxEvents:
		return nil, []problem.Fault{tooMany(len(raw))}
	}
	events := make([]relay.Accepted, 0, len(raw))
	var faults []problem.Fault
	for i, element := range raw {
		one := o
		if o.key != "" && (o.original == nil || len(raw) > 1) { // a script's only event has the key to itself
			one.key = fmt.Sprintf("%s/%d", o.key, i)
		}
		e, more := decodeEvent(element, place(true, i), one)
		faults = append(faults, more...)
		events = append(events, e)
	}
	if o.original != nil && len(faults) == 0 {
		keepOriginal(events, o.original)
	}
	return events, faults
}

// keepOriginal hangs on to what a script made events from. Who sends it again
// sends the same, even if the script or the clock would make something else of
// it now: so the original, and not the event, tells a duplicate from a conflict.
func keepOriginal(events []relay.Accepted, original []byte) {
	digest := sha256.Sum256(original)
	for i := range events {
		events[i].Digest = sha256.Sum256(fmt.Appendf(digest[:], "/%d", i))
		if i == 0 || len(events)*len(original) <= maxOriginals {
			events[i].Original = original
		}
	}
}
