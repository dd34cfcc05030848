// Package intake is the HTTP door for events: it reads what a sender posts,
// names every fault in it, and answers 202 only when the events and their
// deliveries are on disk.
//
// An event comes as relay's own JSON, as a CloudEvent in any of its three modes,
// or through a source's door in the sender's own words, of which a script makes
// events.
//
// It leaves to others who may post (guard), which destinations an event goes
// to (route), and how anything is kept (store).
package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

const (
	// maxDeliveries bounds what one request may ask for.
	maxDeliveries = 10_000
	// retryAfter is what a sender is told while too much waits.
	retryAfter = 5 * time.Second
	// defaultSource is the door's name, for events that name no source.
	defaultSource = "events"
)

// Backend is what the door needs of the rest of relay.
type Backend interface {
	// Route is the deliveries that an event asks for.
	Route(eventType string, body []byte) []relay.NewDelivery
	// Append makes events durable, all or none.
	Append(ctx context.Context, events []relay.Accepted) ([]relay.Appended, error)
	// Source is what serves a source; false: there is no such source.
	Source(name string) (Source, bool)
	// Convert runs a source script: a JSON array of events, or why there is none.
	Convert(ctx context.Context, p *relay.Program, request []byte, now time.Time) (events []byte, reason string, err error)
	// Answer asks a source script how to answer; custom false leaves it to relay.
	Answer(ctx context.Context, p *relay.Program, result []byte) (status int, contentType string, body []byte, custom bool, err error)
}

// Source is a door of its own for a sender that has its own words.
type Source struct {
	Script     *relay.Program  // nil: there is none that can be used, which is no fault of the sender's
	Settings   json.RawMessage // a JSON object for the script; nil: none
	Recipients json.RawMessage // a JSON array of persons who are added to every event; nil: none
}

// Door serves POST /v1/events and POST /v1/sources/{name}.
type Door struct {
	Backend Backend
	// Admit says whether a request may come through a source's door, before its
	// body is read. Where verify is not nil, the body as it came over the wire
	// must pass it as well. Admit nil lets everybody in.
	Admit   func(r *http.Request) (verify func(wire []byte) *problem.Problem, p *problem.Problem)
	MaxBody func() int64 // in bytes; asked for every request, since it may be reloaded
	Logger  *slog.Logger
}

// Events is the handler of POST /v1/events.
func (d *Door) Events() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		appended, array, p := d.events(w, r)
		if p != nil {
			p.Write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		w.Write(answer(appended, array))
	})
}

// events accepts what a request holds, and says whether that was an array.
func (d *Door) events(w http.ResponseWriter, r *http.Request) (appended []relay.Appended, array bool, p *problem.Problem) {
	m, p := modeOf(r.Header)
	if p != nil {
		return nil, false, p
	}
	_, body, p := d.read(w, r)
	if p != nil {
		return nil, false, p
	}
	var events []relay.Accepted
	if m == plain {
		events, array, p = decode(body, options{source: defaultSource, key: r.Header.Get("Idempotency-Key"), now: time.Now()})
	} else {
		events, array, p = decodeCloudEvents(m, r.Header, body, options{source: defaultSource, now: time.Now()})
	}
	if p != nil || len(events) == 0 {
		return nil, array, p
	}
	appended, p = d.accept(r.Context(), events, array)
	return appended, array, p
}

// answer is the body of a 202: an object for an object, an array for an array.
func answer(appended []relay.Appended, array bool) []byte {
	var b []byte
	if array {
		b = append(b, '[')
	}
	for i, a := range appended {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, a.ID...) // a UUID
		b = append(b, `","deliveries":`...)
		b = strconv.AppendInt(b, int64(a.Deliveries), 10)
		b = append(b, `,"duplicate":`...)
		b = strconv.AppendBool(b, a.Duplicate)
		b = append(b, '}')
	}
	if array {
		b = append(b, ']')
	}
	return append(b, '\n')
}

// accept routes events and makes them durable.
func (d *Door) accept(ctx context.Context, events []relay.Accepted, array bool) ([]relay.Appended, *problem.Problem) {
	total := 0
	for i := range events {
		e := &events[i]
		e.Deliveries = d.Backend.Route(e.Type, e.Body)
		if total += len(e.Deliveries); total > maxDeliveries {
			return nil, refuse([]problem.Fault{{Path: place(array, i), Message: fmt.Sprintf(
				"brings the request to more than %d deliveries; send fewer events at once", maxDeliveries)}})
		}
	}
	appended, err := d.Backend.Append(ctx, events)
	switch {
	case errors.Is(err, relay.ErrBacklogFull):
		p := problem.New(http.StatusTooManyRequests, "too many deliveries wait (store.max_pending); send the event again later")
		p.RetryAfter = retryAfter
		return nil, p
	case errors.Is(err, relay.ErrDiskFull):
		return nil, problem.New(http.StatusServiceUnavailable, "the disk is full; nothing was stored, send the event again later")
	case errors.Is(err, relay.ErrClosed):
		return nil, problem.New(http.StatusServiceUnavailable, "relay is shutting down; send the event again")
	case errors.Is(err, context.Canceled): // nobody reads this
		return nil, problem.New(http.StatusServiceUnavailable, "the sender left before the event was stored")
	case err != nil:
		d.Logger.Error("events could not be stored", "error", err)
		return nil, problem.New(http.StatusInternalServerError, "the event could not be stored; it may or may not be kept, so send it again with the same id")
	}
	for i, a := range appended {
		if a.Conflict {
			e := events[i]
			return nil, problem.New(http.StatusConflict,
				fmt.Sprintf("nothing was accepted: another event with id %q and source %q was accepted before; a new event needs a new id", e.Key, e.Source),
				problem.Fault{Path: place(array, i) + ".id", Message: "stands for another event"})
		}
	}
	return appended, nil
}
