package render

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dop251/goja"

	"github.com/relay-sidecar/relay"
)

// Convert runs a source script's default export on one request of a sender, a
// JSON object {headers, query, body, settings} in which body is text. It
// answers a JSON array of events, or the reason why there is none. The events
// are the script's word: whether they are good is for relay's door to check.
func (t *Template) Convert(ctx context.Context, request json.RawMessage, now time.Time) (events json.RawMessage, reason string, fault *relay.TemplateError) {
	if err := ctx.Err(); err != nil {
		return nil, "", &relay.TemplateError{File: t.name, Message: "not run: " + err.Error()}
	}
	s := t.open(Context{Now: now}, "")
	fault = s.run(nil, maxSourceTime, nil, func() {
		events, reason = s.events(s.call(s.request(request)))
	})
	if fault != nil {
		return nil, "", fault
	}
	return events, reason, nil
}

// request is the script's argument. Its json() reads the body, or a text that
// the body carries, as relay reads JSON: bounded, and with ids kept exact, which
// JSON.parse does neither.
func (s *scope) request(raw json.RawMessage) goja.Value {
	v, err := s.decode(raw)
	o, ok := v.(*goja.Object)
	if err != nil || !ok {
		s.fail("the request is not usable JSON: %v", err)
	}
	body := o.Get("body")
	s.put(o, "json", s.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		text := body
		if !missing(call.Argument(0)) {
			text = call.Argument(0)
		}
		v, err := s.decode([]byte(plain(text)))
		if err != nil {
			panic(s.rt.NewTypeError(fmt.Sprintf("the body is not usable JSON: %v", err)))
		}
		return v
	}))
	return o
}

func (s *scope) events(v goja.Value) (json.RawMessage, string) {
	if goja.IsNull(v) {
		return json.RawMessage("[]"), "the source script returned null"
	}
	o, ok := v.(*goja.Object)
	if !ok {
		s.fail("the default export returned %s; return an event, an array of events, or {skip: reason}", describe(v))
	}
	if o.ClassName() != "Array" {
		if skip := o.Get("skip"); !missing(skip) {
			return json.RawMessage("[]"), clip(skip.String())
		}
	}
	raw, err := s.encode(o, maxEvents)
	if err != nil {
		s.fail("the events cannot be used: %v", err)
	}
	if raw[0] == '{' {
		raw = append(append([]byte{'['}, raw...), ']')
	}
	if bytes.Equal(raw, []byte("[]")) {
		return raw, "the source script returned no event"
	}
	return raw, ""
}

// Reply is how a source script wants its sender answered.
type Reply struct {
	Custom      bool // false: the script leaves the answer to relay
	Status      int
	ContentType string
	Body        []byte
}

// Answer asks the export named answer how to answer the sender. result is JSON
// {status, error, events: [{id, deliveries, duplicate}]}. A script without that
// export, or one that returns null, leaves the answer to relay.
func (t *Template) Answer(ctx context.Context, result json.RawMessage, now time.Time) (reply Reply, fault *relay.TemplateError) {
	if err := ctx.Err(); err != nil {
		return Reply{}, &relay.TemplateError{File: t.name, Message: "not run: " + err.Error()}
	}
	s := t.open(Context{Now: now}, "")
	fault = s.run(nil, maxSourceTime, nil, func() {
		answer, ok := goja.AssertFunction(s.answer)
		if !ok {
			return
		}
		argument, err := s.decode(result)
		if err != nil {
			s.fail("the result is not usable JSON: %v", err)
		}
		reply = s.reply(s.settle(answer(goja.Undefined(), argument)))
	})
	if fault != nil {
		return Reply{}, fault
	}
	return reply, nil
}

func (s *scope) reply(v goja.Value) Reply {
	if missing(v) {
		return Reply{}
	}
	o, ok := v.(*goja.Object)
	if !ok {
		s.fail("answer returned %s; return {status, content_type, body}, or null to leave the answer to relay", describe(v))
	}
	r := Reply{Custom: true, Status: 200, ContentType: "text/plain; charset=utf-8"}
	if status := o.Get("status"); !missing(status) {
		r.Status = int(status.ToInteger())
		if r.Status < 200 || r.Status > 599 {
			s.fail("answer returned status %s; it must be between 200 and 599", status)
		}
	}
	if body := o.Get("body"); goja.IsString(body) {
		r.Body = []byte(cut(body.String(), MaxOutput))
	} else if !missing(body) {
		raw, err := s.encode(body, MaxOutput)
		if err != nil {
			s.fail("answer's body cannot be sent: %v", err)
		}
		r.Body, r.ContentType = raw, "application/json"
	}
	if contentType := o.Get("content_type"); !missing(contentType) {
		r.ContentType = contentType.String()
	}
	return r
}
