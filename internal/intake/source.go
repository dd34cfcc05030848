package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

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
		if r.Context().Err() == nil {
			d.Logger.Error("source script did not run", "source", name, "error", err)
		}
		return nil, "", problem.New(http.StatusServiceUnavailable, fmt.Sprintf("source %s cannot run now; send it again later", name))
	}
	events, _, p := decode(converted, options{source: name, now: now, original: body, empty: true})
	if p != nil {
		p.Detail = fmt.Sprintf("source %s made of this body what is no event: %s", name, p.Detail)
		d.Logger.Error("source script made bad events", "source", name, "error", p)
		return nil, "", p
	}
	if len(events) == 0 {
		return nil, reason, nil
	}
	appended, p := d.accept(r.Context(), events, true)
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
