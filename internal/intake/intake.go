// Package intake is the HTTP door for events: it reads what a sender posts,
// names every fault in it, and answers 202 only when the events and their
// deliveries are on disk.
//
// It leaves to others who may post (guard), which destinations an event goes
// to (route), and how anything is kept (store).
package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

const (
	// maxEvents bounds an array, and maxDeliveries what one request may ask for.
	maxEvents     = 1_000
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
	// Source is the script of a source; nil: there is no such source.
	Source(name string) *relay.Program
	// Convert runs a source script: a JSON array of events, or why there is none.
	Convert(ctx context.Context, p *relay.Program, request []byte, now time.Time) (events []byte, reason string, err error)
	// Answer asks a source script how to answer; custom false leaves it to relay.
	Answer(ctx context.Context, p *relay.Program, result []byte) (status int, contentType string, body []byte, custom bool, err error)
}

// Door serves POST /v1/events and POST /v1/sources/{name}.
type Door struct {
	Backend Backend
	MaxBody func() int64 // in bytes; asked for every request, since it may be reloaded
	Logger  *slog.Logger
}

// Events is the handler of POST /v1/events.
func (d *Door) Events() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := checkContentType(r.Header); p != nil {
			p.Write(w)
			return
		}
		body, p := d.read(w, r)
		if p != nil {
			p.Write(w)
			return
		}
		events, array, p := decode(body, options{
			source: defaultSource, key: r.Header.Get("Idempotency-Key"), now: time.Now(),
		})
		var appended []relay.Appended
		if p == nil {
			appended, p = d.accept(r.Context(), events)
		}
		if p != nil {
			p.Write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		w.Write(answer(appended, array))
	})
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

// checkContentType refuses what is not JSON in UTF-8.
func checkContentType(h http.Header) *problem.Problem {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding %q is not taken; send the body as it is", enc))
	}
	given := h.Get("Content-Type")
	if given == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(given)
	if err != nil || kind != "application/json" {
		return problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type %q is not taken; send application/json", given))
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("charset %q is not taken; JSON is UTF-8", charset))
	}
	return nil
}

// read takes the whole body, within the limit.
func (d *Door) read(w http.ResponseWriter, r *http.Request) ([]byte, *problem.Problem) {
	limit := d.MaxBody()
	tooLarge := problem.New(http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body is larger than %d bytes (server.max_body); send fewer events at once, or less data", limit))
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, limit)
	var body []byte
	var err error
	if r.ContentLength >= 0 { // no growing, no copying
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case err != nil:
		return nil, problem.New(http.StatusBadRequest, "the body could not be read to its end")
	}
	return body, nil
}

// accept routes events and makes them durable.
func (d *Door) accept(ctx context.Context, events []relay.Accepted) ([]relay.Appended, *problem.Problem) {
	total := 0
	for i := range events {
		e := &events[i]
		e.Deliveries = d.Backend.Route(e.Type, e.Body)
		if total += len(e.Deliveries); total > maxDeliveries {
			return nil, problem.New(http.StatusBadRequest,
				fmt.Sprintf("the request asks for more than %d deliveries, reached at event %d; send fewer events at once", maxDeliveries, i))
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
	case err != nil:
		d.Logger.Error("events could not be stored", "error", err)
		return nil, problem.New(http.StatusInternalServerError, "the event could not be stored; it may or may not be kept, so send it again with the same id")
	}
	for i, a := range appended {
		if a.Conflict {
			return nil, problem.New(http.StatusConflict,
				fmt.Sprintf("event %d: another event with id %q and source %q was accepted before; a new event needs a new id", i, events[i].Key, events[i].Source))
		}
	}
	return appended, nil
}

// newID is relay's own id of an event.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

// Sources is the handler of POST /v1/sources/{name}.
func (d *Door) Sources() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		script := d.Backend.Source(name)
		if script == nil {
			problem.New(http.StatusNotFound, fmt.Sprintf("there is no source %q", name)).Write(w)
			return
		}
		appended, reason, p := d.convert(w, r, name, script)
		d.answerSource(w, r, script, appended, reason, p)
	})
}

// convert turns a sender's request into events and accepts them.
func (d *Door) convert(w http.ResponseWriter, r *http.Request, name string, script *relay.Program) ([]relay.Appended, string, *problem.Problem) {
	body, p := d.read(w, r)
	if p != nil {
		return nil, "", p
	}
	now := time.Now()
	converted, reason, err := d.Backend.Convert(r.Context(), script, sourceRequest(r, body), now)
	var fault *relay.TemplateError
	switch {
	case errors.As(err, &fault):
		d.Logger.Error("source script failed", "source", name, "error", fault)
		return nil, "", problem.New(http.StatusBadRequest, fmt.Sprintf("source %s cannot read this body: %s", name, fault))
	case err != nil:
		d.Logger.Error("source script did not run", "source", name, "error", err)
		return nil, "", problem.New(http.StatusServiceUnavailable, fmt.Sprintf("source %s cannot run now; send it again later", name))
	}
	events, _, p := decode(converted, options{source: name, now: now, original: body, empty: true})
	if p != nil {
		return nil, "", p
	}
	if len(events) == 0 {
		return nil, reason, nil
	}
	appended, p := d.accept(r.Context(), events)
	return appended, reason, p
}

// sourceRequest is what a source script gets. Tokens are not for scripts.
func sourceRequest(r *http.Request, body []byte) []byte {
	type request struct {
		Headers  map[string]string `json:"headers"` // names in lower case
		Query    map[string]string `json:"query"`
		Body     string            `json:"body"`
		Settings map[string]any    `json:"settings"`
	}
	in := request{Headers: map[string]string{}, Query: map[string]string{}, Body: string(body), Settings: map[string]any{}}
	for key, values := range r.Header {
		if key != "Authorization" && key != "Cookie" {
			in.Headers[strings.ToLower(key)] = strings.Join(values, ", ")
		}
	}
	for key, values := range r.URL.Query() {
		if key != "token" {
			in.Query[key] = values[0]
		}
	}
	out, _ := json.Marshal(in) // strings always encode
	return out
}

// answerSource answers as the sender expects it, which its script knows.
func (d *Door) answerSource(w http.ResponseWriter, r *http.Request, script *relay.Program, appended []relay.Appended, reason string, p *problem.Problem) {
	type accepted struct {
		ID         string `json:"id"`
		Deliveries int    `json:"deliveries"`
		Duplicate  bool   `json:"duplicate"`
	}
	result := struct {
		Status int        `json:"status"`
		Error  string     `json:"error"`
		Skip   string     `json:"skip"`
		Events []accepted `json:"events"`
	}{Status: http.StatusAccepted, Skip: reason, Events: []accepted{}}
	for _, a := range appended {
		result.Events = append(result.Events, accepted{a.ID, a.Deliveries, a.Duplicate})
	}
	if p != nil {
		result.Status, result.Error = p.Status, p.Detail
		for _, f := range p.Errors {
			result.Error += fmt.Sprintf("; %s: %s", f.Path, f.Message)
		}
	}
	in, _ := json.Marshal(result) // strings and numbers always encode
	status, kind, body, custom, err := d.Backend.Answer(context.WithoutCancel(r.Context()), script, in)
	switch {
	case err != nil:
		d.Logger.Error("source script did not answer", "source", script.Name, "error", err)
	case custom:
		if p != nil && p.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(p.RetryAfter/time.Second)))
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		w.Write(body)
		return
	}
	if p != nil {
		p.Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	w.Write(append(in, '\n'))
}
