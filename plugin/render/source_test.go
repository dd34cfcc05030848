package render_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugin/render"
)

func newSource(t *testing.T, body, answer string) *render.Template {
	t.Helper()
	return newScript(t, "$relay('default', (request) => { "+body+" }); $relay('answer', "+answer+");")
}

func TestConvert(t *testing.T) {
	const request = `{"headers":{"x-a":"h"},"query":{"q":"1"},"body":"{\"id\": 9007199254740993, \"n\": [1]}","settings":{"s":true}}`
	tests := []struct{ name, body, events, reason, fault string }{
		{"One", `return {type: "x", id: request.json().id}`, `[{"type":"x","id":"9007199254740993"}]`, "", ""},
		{"Many", `return request.json().n.concat(2).map((n) => ({type: "x", n}))`, `[{"type":"x","n":1},{"type":"x","n":2}]`, "", ""},
		{"Everything", `return {type: request.headers["x-a"] + request.query.q + request.settings.s + request.body.length}`, `[{"type":"h1true34"}]`, "", ""},
		{"Skip", `return {skip: "not for us"}`, `[]`, "not for us", ""},
		{"Null", `return null`, `[]`, "the source script returned null", ""},
		{"None", `return []`, `[]`, "the source script returned no event", ""},
		{"Undefined", ``, "", "", "the default export returned undefined; return an event, an array of events, or {skip: reason}"},
		{"Text", `return "x"`, "", "", "the default export returned a string"},
		{"Loop", `for (;;) {}`, "", "", "took longer than 1000 ms"},
		{"Async", `return Promise.resolve({type: "x"})`, `[{"type":"x"}]`, "", ""},
		{"Throw", `throw new Error("no")`, "", "", "Error: no"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			events, reason, fault := newSource(t, test.body, "undefined").Convert(context.Background(), json.RawMessage(request), berlin.Now)
			if test.fault != "" {
				if fault == nil || !strings.HasPrefix(fault.Message, test.fault) {
					t.Errorf("fault %v, want %s…", fault, test.fault)
				}
				return
			}
			if fault != nil || string(events) != test.events || reason != test.reason {
				t.Errorf("got %s, %q, %v; want %s, %q", events, reason, fault, test.events, test.reason)
			}
		})
	}
	_, _, fault := newSource(t, `return request.json()`, "undefined").Convert(context.Background(), json.RawMessage(`{"body":"nope"}`), berlin.Now)
	if fault == nil || !strings.HasPrefix(fault.Message, "TypeError: the body is not usable JSON: unexpected 'n' at byte 1") {
		t.Errorf("fault %v", fault)
	}
}

func TestAnswer(t *testing.T) {
	tests := []struct {
		name, answer string
		want         render.Reply
		fault        string
	}{
		{"None", `undefined`, render.Reply{}, ""},
		{"Null", `() => null`, render.Reply{}, ""},
		{"JSON", `(r) => ({status: 201, body: {ids: r.events.map((e) => e.id)}})`, render.Reply{Custom: true, Status: 201, ContentType: "application/json", Body: []byte(`{"ids":["a"]}`)}, ""},
		{"Text", `(r) => ({body: "ok"})`, render.Reply{Custom: true, Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte("ok")}, ""},
		{"ContentType", `(r) => ({body: "<ok/>", content_type: "text/xml"})`, render.Reply{Custom: true, Status: 200, ContentType: "text/xml", Body: []byte("<ok/>")}, ""},
		{"BadStatus", `() => ({status: 99})`, render.Reply{}, "answer returned status 99; it must be between 200 and 599"},
		{"BadResult", `() => 7`, render.Reply{}, "answer returned a number"},
		{"Throw", `() => { throw new Error("no") }`, render.Reply{}, "Error: no"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, fault := newSource(t, "", test.answer).Answer(context.Background(), json.RawMessage(`{"status":202,"error":"","events":[{"id":"a","deliveries":1,"duplicate":false}]}`), berlin.Now)
			if test.fault != "" {
				if fault == nil || !strings.HasPrefix(fault.Message, test.fault) {
					t.Errorf("fault %v, want %s…", fault, test.fault)
				}
				return
			}
			if fault != nil || got.Custom != test.want.Custom || got.Status != test.want.Status || got.ContentType != test.want.ContentType || string(got.Body) != string(test.want.Body) {
				t.Errorf("got %+v, %v; want %+v", got, fault, test.want)
			}
		})
	}
}
