// Package api is the HTTP door for operators: the sent log, destinations,
// status and health. It reads; what changes something is passed on to those who
// own it.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// Log is the sent log.
type Log interface {
	Deliveries(ctx context.Context, f relay.DeliveryFilter) (rows []relay.Delivery, next int64, err error)
	Delivery(ctx context.Context, id string) (relay.Delivery, error)
	Event(ctx context.Context, id string) (relay.StoredEvent, error)
	EventByKey(ctx context.Context, key, source string) (relay.StoredEvent, error)
	Events(ctx context.Context, f relay.EventFilter) (rows []relay.EventRow, next int64, err error)
}

// Destinations are what can be paused and resumed.
type Destinations interface {
	// Destinations lists what is configured, with what waits for it.
	Destinations(ctx context.Context) ([]Destination, error)
	// Pause and Resume fail with relay.ErrNotFound for a name that is not
	// configured. Without a part they are about the channel, or about the direct
	// messages of a destination that has no channel.
	Pause(ctx context.Context, name string, part relay.Part, reason string) error
	Resume(ctx context.Context, name string, part relay.Part) error
	// Test sends a test event and waits for what comes of the first attempt. It
	// fails with relay.ErrNotFound, a Refusal, or a *problem.Problem.
	Test(ctx context.Context, name string, t Test) (relay.Delivery, error)
	// Replay makes a new delivery of what a finished one was about. It fails with
	// relay.ErrNotFound, or relay.ErrUnfinished.
	Replay(ctx context.Context, delivery string) (relay.Delivery, error)
	// Preview renders and sends nothing. It fails with a Refusal, or with a
	// *problem.Problem.
	Preview(ctx context.Context, p Preview) (Previewed, error)
}

// Test is the body of POST /v1/destinations/{name}/test.
type Test struct {
	Type string `json:"type"` // of the catalogue, whose sample is sent; empty: relay.test
	To   string `json:"to"`   // an email, a phone (E.164) or the provider's id of a person; empty: the channel
}

// Refusal is why something is not done, in words for whoever asked.
type Refusal struct{ Path, Reason string }

func (r *Refusal) Error() string { return r.Reason }

// Problem is the answer.
func (r *Refusal) Problem() *problem.Problem {
	p := problem.New(http.StatusBadRequest, r.Reason)
	if r.Path != "" {
		p.Errors = []problem.Fault{{Path: r.Path, Message: r.Reason}}
	}
	return p
}

// Destination is a row of GET /v1/destinations. State and Reason are those of
// the channel, or of the direct messages where there is no channel.
type Destination struct {
	Name          string      `json:"name"`
	Provider      string      `json:"provider"`
	State         string      `json:"state"` // active, paused, disabled or removed
	Reason        string      `json:"reason"`
	Channel       *Part       `json:"channel"` // null: it has none
	Direct        *Part       `json:"direct"`  // null: it cannot reach people
	Pending       int         `json:"pending"`
	OldestPending *relay.Time `json:"oldest_pending"`
	// Until is when what waits for a removed one is dead.
	Until *relay.Time `json:"until,omitempty"`
}

// Part is how a part of a destination stands.
type Part struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// Door serves the operators' part of the API.
type Door struct {
	Log          Log
	Destinations Destinations
	Operations   Operations
	Status       func() any                         // the body of GET /v1/status
	Plugins      func() any                         // the body of GET /v1/plugins
	Ready        func() (ok bool, details any)      // the body of GET /readyz; ok: events can be accepted
	Reload       func(context.Context) (any, error) // the body of POST /v1/reload; an error is a refusal
	Compare      func(Comparison) any               // the body of POST /v1/config/diff
	Logger       *slog.Logger
	MaxBody      func() int64 // the largest event, in bytes; asked for every preview
}

// Deliveries is the handler of GET /v1/deliveries.
func (d *Door) Deliveries(w http.ResponseWriter, r *http.Request) {
	query, p := readQuery(r.URL.RawQuery, filters)
	if p != nil {
		p.Write(w)
		return
	}
	f, faults := query.deliveries()
	if len(faults) > 0 {
		badQuery(faults).Write(w)
		return
	}
	rows, next, err := d.Log.Deliveries(r.Context(), f)
	if err != nil {
		d.fail(w, err, "")
		return
	}
	write(w, struct {
		Deliveries []relay.Delivery `json:"deliveries"`
		NextCursor *string          `json:"next_cursor"`
	}{orEmpty(rows), query.next(next)})
}

// orEmpty is a list that JSON shows as one, also without anything in it.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Delivery is the handler of GET /v1/deliveries/{id}.
func (d *Door) Delivery(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	row, err := d.Log.Delivery(r.Context(), id)
	d.answerDelivery(w, row, err, fmt.Sprintf("there is no delivery %q", id))
}

// event is the answer of GET /v1/events/{id}.
type event struct {
	ID         string           `json:"id"`
	Key        string           `json:"key"`
	Source     string           `json:"source"`
	Created    relay.Time       `json:"created"`
	Event      json.RawMessage  `json:"event"`
	Original   *string          `json:"original,omitempty"` // what a source's sender sent
	Deliveries []relay.Delivery `json:"deliveries"`
}

// Event is the handler of GET /v1/events/{id}.
func (d *Door) Event(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	stored, err := d.Log.Event(r.Context(), id)
	d.writeEvent(w, stored, err, fmt.Sprintf("there is no event %q", id))
}

// Events is the handler of GET /v1/events. A key with its source names one
// event, which is answered as GET /v1/events/{id} does.
func (d *Door) Events(w http.ResponseWriter, r *http.Request) {
	query, p := readQuery(r.URL.RawQuery, eventFilters)
	if p != nil {
		p.Write(w)
		return
	}
	f, faults := query.events()
	if len(faults) > 0 {
		badQuery(faults).Write(w)
		return
	}
	if f.Key != "" && f.Source != "" {
		stored, err := d.Log.EventByKey(r.Context(), f.Key, f.Source)
		d.writeEvent(w, stored, err, fmt.Sprintf("there is no event with key %q of source %q", f.Key, f.Source))
		return
	}
	rows, next, err := d.Log.Events(r.Context(), f)
	if err != nil {
		d.fail(w, err, "")
		return
	}
	write(w, struct {
		Events     []relay.EventRow `json:"events"`
		NextCursor *string          `json:"next_cursor"`
	}{orEmpty(rows), query.next(next)})
}

func (d *Door) writeEvent(w http.ResponseWriter, e relay.StoredEvent, err error, missing string) {
	if err != nil {
		d.fail(w, err, missing)
		return
	}
	out := event{ID: e.ID, Key: e.Key, Source: e.Source, Created: relay.Time{Time: e.Created}, Event: e.Body, Deliveries: orEmpty(e.Deliveries)}
	if e.Original != nil {
		text := string(e.Original)
		out.Original = &text
	}
	write(w, out)
}

// ListDestinations is the handler of GET /v1/destinations.
func (d *Door) ListDestinations(w http.ResponseWriter, r *http.Request) {
	all, err := d.Destinations.Destinations(r.Context())
	if err != nil {
		d.fail(w, err, "")
		return
	}
	write(w, map[string]any{"destinations": orEmpty(all)})
}

// Pause is the handler of POST /v1/destinations/{name}/pause.
func (d *Door) Pause(w http.ResponseWriter, r *http.Request) {
	var which relay.Part
	if readBody(w, r, maxBody, fields{"part": part(&which)}) {
		name := r.PathValue("name")
		d.change(w, r, name, d.Destinations.Pause(r.Context(), name, which, "paused by an operator"))
	}
}

// Resume is the handler of POST /v1/destinations/{name}/resume.
func (d *Door) Resume(w http.ResponseWriter, r *http.Request) {
	var which relay.Part
	if readBody(w, r, maxBody, fields{"part": part(&which)}) {
		name := r.PathValue("name")
		d.change(w, r, name, d.Destinations.Resume(r.Context(), name, which))
	}
}

// retryAfter is what somebody is told while too much waits.
const retryAfter = 5 * time.Second

// Test is the handler of POST /v1/destinations/{name}/test.
func (d *Door) Test(w http.ResponseWriter, r *http.Request) {
	var t Test
	if !readBody(w, r, maxBody, fields{"type": text(&t.Type), "to": text(&t.To)}) {
		return
	}
	name := r.PathValue("name")
	row, err := d.Destinations.Test(r.Context(), name, t)
	d.answerDelivery(w, row, err, fmt.Sprintf("there is no destination %q", name))
}

// Replay is the handler of POST /v1/deliveries/{id}/replay.
func (d *Door) Replay(w http.ResponseWriter, r *http.Request) {
	if !readBody(w, r, maxBody, nil) {
		return
	}
	id := r.PathValue("id")
	row, err := d.Destinations.Replay(r.Context(), id)
	if errors.Is(err, relay.ErrUnfinished) {
		problem.New(http.StatusConflict, fmt.Sprintf("delivery %s is not over yet; only what is over can be replayed", id)).Write(w)
		return
	}
	d.answerDelivery(w, row, err, fmt.Sprintf("there is no delivery %q", id))
}

// answerDelivery answers with a delivery and its log.
func (d *Door) answerDelivery(w http.ResponseWriter, row relay.Delivery, err error, missing string) {
	if err != nil {
		d.fail(w, err, missing)
		return
	}
	if row.Log == nil { // part of this answer even where nothing was tried yet
		row.Log = []relay.Attempt{}
	}
	write(w, struct {
		relay.Delivery
		Log []relay.Attempt `json:"log"`
	}{row, row.Log})
}

// change answers a pause or resume with the destination as it is now.
func (d *Door) change(w http.ResponseWriter, r *http.Request, name string, err error) {
	var all []Destination
	if err == nil {
		all, err = d.Destinations.Destinations(r.Context())
	}
	if err != nil {
		d.fail(w, err, fmt.Sprintf("there is no destination %q", name))
		return
	}
	i := slices.IndexFunc(all, func(d Destination) bool { return d.Name == name })
	if i < 0 {
		d.fail(w, relay.ErrNotFound, fmt.Sprintf("there is no destination %q", name))
		return
	}
	write(w, all[i])
}

// ShowStatus is the handler of GET /v1/status.
func (d *Door) ShowStatus(w http.ResponseWriter, _ *http.Request) { write(w, d.Status()) }

// Comparison is the body of POST /v1/config/diff: another configuration by its
// digests, which show nothing of it.
type Comparison struct {
	Salt      []byte                       `json:"salt"`
	Parts     map[string]map[string]string `json:"parts"`     // part → key → digest
	Templates string                       `json:"templates"` // the revision; empty: not compared
}

// maxComparison has room for the digests of the largest configuration.
const maxComparison = 8 << 20

// Diff is the handler of POST /v1/config/diff.
func (d *Door) Diff(w http.ResponseWriter, r *http.Request) {
	var q Comparison
	faults, p := readFields(w, r, maxComparison, fields{"salt": octets(&q.Salt), "parts": digests(&q.Parts), "templates": text(&q.Templates)})
	faults = unless(q.Salt != nil, faults, "$.salt", "is required")
	faults = unless(q.Parts != nil, faults, "$.parts", "is required")
	if p == nil {
		p = refuse(faults)
	}
	if p != nil {
		p.Write(w)
		return
	}
	write(w, d.Compare(q))
}

// ListPlugins is the handler of GET /v1/plugins.
func (d *Door) ListPlugins(w http.ResponseWriter, _ *http.Request) { write(w, d.Plugins()) }

// Healthz is the handler of GET /healthz: the process answers.
func (d *Door) Healthz(w http.ResponseWriter, _ *http.Request) {
	write(w, map[string]string{"status": "ok"})
}

// Readyz is the handler of GET /readyz: events can be accepted.
func (d *Door) Readyz(w http.ResponseWriter, _ *http.Request) {
	ok, details := d.Ready()
	if ok {
		write(w, details)
	} else {
		writeStatus(w, http.StatusServiceUnavailable, details)
	}
}

// ReloadNow is the handler of POST /v1/reload.
func (d *Door) ReloadNow(w http.ResponseWriter, r *http.Request) {
	if !readBody(w, r, maxBody, nil) {
		return
	}
	state, err := d.Reload(r.Context())
	if err != nil {
		p := problem.New(http.StatusUnprocessableEntity, "the new configuration is refused; what ran keeps running")
		p.Errors = faults(err)
		p.Write(w)
		return
	}
	write(w, state)
}

// faults takes an error apart where it is a list of problems.
func faults(err error) []problem.Fault {
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) {
		return []problem.Fault{{Message: err.Error()}}
	}
	var out []problem.Fault
	for _, one := range list.Unwrap() {
		out = append(out, problem.Fault{Message: one.Error()})
	}
	return out
}

func (d *Door) fail(w http.ResponseWriter, err error, missing string) {
	var no *Refusal
	var p *problem.Problem
	switch {
	case errors.As(err, &no):
		no.Problem().Write(w)
	case errors.As(err, &p):
		p.Write(w)
	case errors.Is(err, relay.ErrNotFound):
		problem.New(http.StatusNotFound, missing).Write(w)
	case errors.Is(err, relay.ErrBacklogFull):
		p := problem.New(http.StatusTooManyRequests, "too many deliveries are unfinished (store.max_pending); nothing was changed")
		p.RetryAfter = retryAfter
		p.Write(w)
	case errors.Is(err, relay.ErrDiskFull):
		problem.New(http.StatusServiceUnavailable, "the disk is full; nothing was changed").Write(w)
	case errors.Is(err, context.Canceled): // nobody reads this
		problem.New(http.StatusServiceUnavailable, "the request was given up").Write(w)
	case errors.Is(err, relay.ErrClosed):
		problem.New(http.StatusServiceUnavailable, "relay is shutting down").Write(w)
	default:
		d.Logger.Error("request failed", "error", err)
		problem.New(http.StatusInternalServerError, "the request failed; relay's log says why").Write(w)
	}
}

func write(w http.ResponseWriter, v any) { writeStatus(w, http.StatusOK, v) }

func writeStatus(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // masked URLs hold <secret>
	if err := encoder.Encode(v); err != nil {
		problem.New(http.StatusInternalServerError, fmt.Sprintf("what is kept is no JSON: %v", err)).Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body.Bytes()) // a client that left needs no answer
}
