package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// Sources is the handler of POST /v1/sources/{name}. A refusal is worded as the
// sender expects it, too.
func (d *Door) Sources() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		source, known := d.Backend.Source(name)
		var verify func([]byte) *problem.Problem
		var p *problem.Problem
		if d.Admit != nil {
			verify, p = d.Admit(r)
		}
		switch {
		case p == nil && !known: // who may not come in learns nothing
			problem.New(http.StatusNotFound, fmt.Sprintf("there is no source %q", name)).Write(w)
		case !known || p != nil && source.Script == nil:
			p.Write(w)
		case p != nil:
			d.answerSource(w, r, source.Script, nil, "", p)
		case source.Script == nil: // many senders give up for ever at a 404
			d.Logger.Error("source has no usable script", "source", name)
			notNow(name).Write(w)
		default:
			appended, reason, p := d.convert(w, r, name, source, verify)
			d.answerSource(w, r, source.Script, appended, reason, p)
		}
	})
}

// convert turns a sender's request into events and accepts them.
func (d *Door) convert(w http.ResponseWriter, r *http.Request, name string, source Source, verify func([]byte) *problem.Problem) ([]relay.Appended, string, *problem.Problem) {
	wire, body, p := d.read(w, r)
	if p != nil {
		return nil, "", p
	}
	key := r.Header.Get("Idempotency-Key")
	if verify != nil {
		if p := verify(wire); p != nil {
			return nil, "", p
		}
		// The same over all tries of a signed message.
		key = cmp.Or(key, r.Header.Get("Webhook-Id"), r.Header.Get("Svix-Id"))
	}
	now := time.Now()
	converted, reason, err := d.Backend.Convert(r.Context(), source.Script, sourceRequest(r, body, source.Settings), now)
	var fault *relay.TemplateError
	switch {
	case errors.As(err, &fault):
		d.Logger.Error("source script failed", "source", name, "error", fault)
		return nil, "", problem.New(http.StatusBadRequest, fmt.Sprintf("source %s cannot read this body: %s", name, forSender(fault)))
	case err != nil:
		if r.Context().Err() == nil {
			d.Logger.Error("source script did not run", "source", name, "error", err)
		}
		return nil, "", notNow(name)
	}
	events, _, p := decode(converted, options{source: name, key: key, now: now, original: body, empty: true, recipients: source.Recipients})
	if p != nil {
		p.Detail = fmt.Sprintf("source %s made of this body what is no event: %s", name, p.Detail)
		d.Logger.Error("source script made bad events", "source", name, "error", p)
		return nil, "", p
	}
	if len(events) == 0 {
		d.Logger.Info("source skipped a request", "source", name, "reason", reason)
		return nil, reason, nil
	}
	appended, p := d.accept(r.Context(), events, true)
	return appended, reason, p
}

// notNow is the answer where the fault is relay's or its operator's.
func notNow(name string) *problem.Problem {
	return problem.New(http.StatusServiceUnavailable, fmt.Sprintf("source %s cannot run now; send it again later", name))
}

// errorClass is how the words of an error in a script begin.
var errorClass = regexp.MustCompile(`^[A-Za-z]*Error: `)

// forSender is what a script said of a body, in one line. Where the script
// stands, and in which line it failed, is for relay's log.
func forSender(fault *relay.TemplateError) string {
	words, _, _ := strings.Cut(errorClass.ReplaceAllString(fault.Message, ""), "\n")
	return words
}

// sourceRequest is what a source script gets. Tokens are not for scripts.
func sourceRequest(r *http.Request, body []byte, settings json.RawMessage) []byte {
	type request struct {
		Headers  map[string]string `json:"headers"` // names in lower case
		Query    map[string]string `json:"query"`
		Body     string            `json:"body"`
		Settings json.RawMessage   `json:"settings"`
	}
	in := request{Headers: map[string]string{}, Query: map[string]string{}, Body: string(body), Settings: settings}
	if settings == nil {
		in.Settings = json.RawMessage("{}")
	}
	for key, values := range r.Header {
		if key != "Authorization" && key != "Proxy-Authorization" && key != "Cookie" {
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
		for i, f := range p.Errors {
			if i > 0 { // the detail names the first
				result.Error += fmt.Sprintf("; %s %s", f.Path, f.Message)
			}
		}
	}
	in, _ := json.Marshal(result) // strings and numbers always encode
	status, kind, body, custom, err := d.Backend.Answer(context.WithoutCancel(r.Context()), script, in)
	switch {
	case err != nil:
		d.Logger.Error("source script did not answer", "source", script.Name, "error", err)
	case custom:
		if p != nil {
			p.SetHeader(w.Header())
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
