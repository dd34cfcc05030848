package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/templates"
)

// send posts a body to the source "app".
func (d *door) send(body string, headers ...string) answer {
	d.Helper()
	return d.do(d.source, "/v1/sources/app", body, headers...)
}

// newSource is a door whose source "app" converts every body to the same events.
func newSource(t *testing.T, events string) *door {
	t.Helper()
	d := newDoor(t, store.Options{})
	d.sources["app"] = intake.Source{Script: &relay.Program{Name: "sources/app.ts"}}
	d.convert = func([]byte) (string, string, error) { return events, "", nil }
	return d
}

func TestSourceKeepsTheOriginal(t *testing.T) {
	d := newSource(t, `[{"id":"k","type":"x.made","title":"made"},{"type":"x.made","title":"two","source":"elsewhere"}]`)
	const original = "what \xff the sender\x00 sent"
	got := d.send(original)
	var result struct {
		Status      int
		Error, Skip string
		Events      []accepted
	}
	got.decode(&result)
	if result.Status != 202 || result.Error != "" || len(result.Events) != 2 || d.rows() != 2 {
		t.Fatalf("answered %s", got.body)
	}
	for i, want := range []string{"app", "elsewhere"} {
		e := d.stored(result.Events[i].ID)
		if string(e.Original) != original || e.Source != want {
			t.Errorf("event %d: got original %q, source %q, want %q", i, e.Original, e.Source, want)
		}
	}
	if e := d.stored(result.Events[0].ID); !strings.HasPrefix(string(e.Body), `{"id":"k","type":"x.made","source":"app","time":"`) {
		t.Errorf("got %s", e.Body)
	}
}

// TestSourceDuplicates: who sends the same again is told so, also when the
// script makes something else of it by then.
func TestSourceDuplicates(t *testing.T) {
	d := newSource(t, `[{"id":"k","type":"x","title":"a"}]`)
	var first, again struct{ Events []accepted }
	d.send("body").decode(&first)
	d.convert = func([]byte) (string, string, error) {
		return `[{"id":"k","type":"x","title":"a","time":"2026-11-21T08:00:01Z"}]`, "", nil
	}
	d.send("body").decode(&again)
	if len(again.Events) != 1 || !again.Events[0].Duplicate || again.Events[0].ID != first.Events[0].ID {
		t.Errorf("got %+v after %+v", again, first)
	}
	d.send("another body").refused(409, "$[0].id stands for another event")
	// Two events of one body with one id are a script's mistake and not one event.
	d.convert = func([]byte) (string, string, error) {
		return `[{"id":"n","type":"x","title":"a"},{"id":"n","type":"x","title":"b"}]`, "", nil
	}
	d.send("body").refused(409, "$[1].id stands for another event")
	if d.rows() != 1 {
		t.Errorf("got %d deliveries, want 1", d.rows())
	}
}

// TestSourceKeepsManyOriginalsOnce: a body that becomes many events does not
// become as many copies of itself.
func TestSourceKeepsManyOriginalsOnce(t *testing.T) {
	d := newSource(t, array(1000, `{"type":"x","title":"t"}`))
	body := strings.Repeat("b", 100_000)
	var result struct{ Events []accepted }
	d.send(body).decode(&result)
	for i, want := range []string{body, ""} {
		if e := d.stored(result.Events[i].ID); string(e.Original) != want {
			t.Errorf("event %d has an original of %d bytes, want %d", i, len(e.Original), len(want))
		}
	}
}

// TestSourceKeys: the script's own id, else the request's key, else that of a
// signed message.
func TestSourceKeys(t *testing.T) {
	d := newSource(t, "")
	verified := ""
	d.admit = func(*http.Request) (func([]byte) *problem.Problem, *problem.Problem) {
		return func(wire []byte) *problem.Problem { verified = string(wire); return nil }, nil
	}
	one, two := `[{"type":"x","title":"t"}]`, `[{"type":"x","title":"t"},{"id":"own","type":"x","title":"t"}]`
	for _, test := range []struct {
		events, body, header string
		keys                 []string
	}{
		{one, "a", "Idempotency-Key: k", []string{"k"}},
		{two, "b", "Idempotency-Key: l", []string{"l/0", "own"}},
		{one, "c", "Webhook-Id: msg_1", []string{"msg_1"}},
		{one, "d", "", []string{""}},
	} {
		d.convert = func([]byte) (string, string, error) { return test.events, "", nil }
		var result struct{ Events []accepted }
		d.send(test.body, test.header).decode(&result)
		if verified != test.body || len(result.Events) != len(test.keys) {
			t.Fatalf("%s: got %+v, verified %q", test.header, result, verified)
		}
		for i, want := range test.keys {
			if e := d.stored(result.Events[i].ID); e.Key != want {
				t.Errorf("%s: got key %q, want %q", test.header, e.Key, want)
			}
		}
	}
}

// TestSourceIsNotAdmitted: the script words that, too, and of a compressed body
// the bytes of the wire are verified.
func TestSourceIsNotAdmitted(t *testing.T) {
	d := newSource(t, `[{"type":"x","title":"t"}]`)
	d.answer = func(result []byte) (int, string, string, bool, error) {
		return 299, "text/x", string(result), true, nil
	}
	no := problem.New(http.StatusUnauthorized, "no")
	d.admit = func(*http.Request) (func([]byte) *problem.Problem, *problem.Problem) { return nil, no }
	if got := d.send("b"); got.status != 299 || got.body != `{"status":401,"error":"no","skip":"","events":[]}` || got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("answered %d %v %s", got.status, got.header, got.body)
	}
	if got := d.do(d.source, "/v1/sources/other", "b"); got.refused(401).Detail != "no" {
		t.Errorf("answered %s", got.body) // and not that there is no such source
	}
	var seen string
	d.admit = func(*http.Request) (func([]byte) *problem.Problem, *problem.Problem) {
		return func(wire []byte) *problem.Problem { seen = string(wire); return no }, nil
	}
	if got := d.send(gzipped(t, "b"), "Content-Encoding: gzip"); got.status != 299 || seen != gzipped(t, "b") || d.rows() != 0 {
		t.Errorf("answered %d %s, verified %q", got.status, got.body, seen)
	}
}

// TestSourceRecipients: they are added to what the script names, and count.
func TestSourceRecipients(t *testing.T) {
	d := newSource(t, `[{"type":"x","title":"t"},{"type":"x","title":"t","recipients":[{"name":"Bob"}]},{"type":"x","title":"t","recipients":[ ]}]`)
	s := d.sources["app"]
	s.Recipients, s.Settings = json.RawMessage(`[{"email":"a@b"}]`), json.RawMessage(`{"url":"x"}`)
	d.sources["app"] = s
	var result struct{ Events []accepted }
	d.send("b").decode(&result)
	for i, want := range []string{`"recipients":[{"email":"a@b"}]}`, `"recipients":[{"name":"Bob"},{"email":"a@b"}]}`, `"recipients":[{"email":"a@b"}]}`} {
		if e := d.stored(result.Events[i].ID); !strings.HasSuffix(string(e.Body), want) {
			t.Errorf("got %s", e.Body)
		}
	}
	d.convert = func(request []byte) (string, string, error) {
		if !strings.Contains(string(request), `"settings":{"url":"x"}`) {
			t.Errorf("the script got %s", request)
		}
		return `[{"type":"x","title":"t","recipients":[` + strings.TrimSuffix(strings.Repeat("{},", 100), ",") + `]}]`, "", nil
	}
	d.send("c").refused(400, "$[0].recipients has 101 recipients, at most 100 are taken")
}

func TestSourceRefusals(t *testing.T) {
	fault := &relay.TemplateError{File: "sources/app.ts", Line: 3, Column: 5, Message: "TypeError: no"}
	tests := []struct {
		name           string
		events, reason string
		err            error
		status         int
		detail, log    string
		faults         []string
	}{
		{name: "ScriptFault", err: fmt.Errorf("convert: %w", fault), status: 400,
			detail: "source app cannot read this body: no", log: "sources/app.ts:3:5: TypeError: no"},
		{name: "ScriptFaultOfManyLines", err: &relay.TemplateError{File: "sources/app.ts", Message: "SyntaxError: bad\n    at sources/app.ts:3:5"}, status: 400,
			detail: "source app cannot read this body: bad", log: "source script failed"},
		{name: "ChildUnavailable", err: fmt.Errorf("%w: connection refused to /run/secret.sock", relay.ErrUnavailable), status: 503,
			detail: "source app cannot run now; send it again later", log: "source script did not run"},
		{name: "BadEvents", events: `[{"type":"x","title":"t"},{"type":"x"}]`, status: 400,
			detail: "source app made of this body what is no event: nothing was accepted: $[1].title is required", log: "source script made bad events",
			faults: []string{"$[1].title is required"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newSource(t, "")
			d.convert = func([]byte) (string, string, error) { return test.events, test.reason, test.err }
			if p := d.send("body").refused(test.status, test.faults...); p.Detail != test.detail {
				t.Errorf("got %q, want %q", p.Detail, test.detail)
			}
			if !strings.Contains(d.log.String(), test.log) || d.rows() != 0 {
				t.Errorf("got log %q and %d deliveries", d.log.String(), d.rows())
			}
		})
	}
}

func TestSourceSkips(t *testing.T) {
	d := newSource(t, "")
	d.convert = func([]byte) (string, string, error) { return "[]", "a test of the webhook", nil }
	got := d.send("body")
	if want := `{"status":202,"error":"","skip":"a test of the webhook","events":[]}` + "\n"; got.status != 202 || got.body != want || d.rows() != 0 {
		t.Errorf("answered %d %s, want %s", got.status, got.body, want)
	}
}

func TestSourceUnknown(t *testing.T) {
	d := newDoor(t, store.Options{})
	if p := d.send("body").refused(404); p.Detail != `there is no source "app"` {
		t.Errorf("got %q", p.Detail)
	}
}

// TestSourceHasNoScript: that is no fault of the sender's, who is to come again.
func TestSourceHasNoScript(t *testing.T) {
	d := newDoor(t, store.Options{})
	d.sources["app"] = intake.Source{}
	if p := d.send("body").refused(503); p.Detail != "source app cannot run now; send it again later" || !strings.Contains(d.log.String(), "source has no usable script") {
		t.Errorf("got %q, log %s", p.Detail, d.log.String())
	}
	d.admit = func(*http.Request) (func([]byte) *problem.Problem, *problem.Problem) {
		return nil, problem.New(http.StatusUnauthorized, "no")
	}
	d.send("body").refused(401) // who may not come in learns nothing
}

// TestSourceAnswers: the script sees what came of its events and has the last
// word on the answer, errors included.
func TestSourceAnswers(t *testing.T) {
	tests := []struct {
		name, events string
		appendFail   error
		body         string
		header       string
		result       string // what the script is told; <id> stands for relay's id
		retryAfter   string
	}{
		{name: "OK", events: `[{"type":"x","title":"t"}]`, body: "b", result: `{"status":202,"error":"","skip":"","events":[{"id":"<id>","deliveries":1,"duplicate":false}]}`},
		{name: "BadEvents", events: `[{}]`, body: "b",
			result: `{"status":400,"error":"source app made of this body what is no event: nothing was accepted: 2 faults, the first is $[0].type is required; $[0].title is required","skip":"","events":[]}`},
		{name: "BacklogFull", events: `[{"type":"x","title":"t"}]`, appendFail: relay.ErrBacklogFull, body: "b", retryAfter: "5",
			result: `{"status":429,"error":"too many deliveries wait (store.max_pending); send the event again later","skip":"","events":[]}`},
		{name: "TooLarge", body: strings.Repeat("b", maxBody+1),
			result: `{"status":413,"error":"the body is larger than 1048576 bytes (server.max_body); send fewer events at once, or less data","skip":"","events":[]}`},
		{name: "Compressed", body: "b", header: "Content-Encoding: br",
			result: `{"status":415,"error":"Content-Encoding \"br\" is not taken; send the body as it is, or as gzip or deflate","skip":"","events":[]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newSource(t, test.events)
			d.appendFail = test.appendFail
			var told string
			d.answer = func(result []byte) (int, string, string, bool, error) {
				told = string(result)
				return 299, "text/x", "custom", true, nil
			}
			got := d.send(test.body, test.header)
			if got.status != 299 || got.header.Get("Content-Type") != "text/x" || got.body != "custom" || got.header.Get("Retry-After") != test.retryAfter {
				t.Errorf("answered %d %v %s", got.status, got.header, got.body)
			}
			var result struct{ Events []accepted }
			if err := json.Unmarshal([]byte(told), &result); err != nil {
				t.Fatal(err)
			}
			for _, e := range result.Events {
				told = strings.Replace(told, e.ID, "<id>", 1)
			}
			if told != test.result {
				t.Errorf("the script was told\n%s, want\n%s", told, test.result)
			}
		})
	}

	// A script that cannot answer costs the sender nothing: the event is stored.
	d := newSource(t, `[{"type":"x","title":"t"}]`)
	d.answer = func([]byte) (int, string, string, bool, error) { return 0, "", "", false, errors.New("it ended") }
	if got := d.send("b"); got.status != 202 || d.rows() != 1 || !strings.Contains(d.log.String(), "source script did not answer") {
		t.Errorf("answered %d %s with log %s", got.status, got.body, d.log.String())
	}
}

// TestSourceRequest: what a script gets, and that no credential is in it.
func TestSourceRequest(t *testing.T) {
	d := newSource(t, "[]")
	var request string
	d.convert = func(r []byte) (string, string, error) { request = string(r); return "[]", "none", nil }
	d.do(d.source, "/v1/sources/app?token=s3cret-token&a=1&a=2&b=%20", "body \xff",
		"Authorization: Bearer s3cret-token", "Proxy-Authorization: Basic s3cret-token", "Cookie: a=s3cret-token", "X-Event: push", "Content-Type: text/plain")
	want := `{"headers":{"content-type":"text/plain","x-event":"push"},"query":{"a":"1","b":" "},"body":"body \ufffd","settings":{}}`
	if request != want {
		t.Errorf("got %s, want %s", request, want)
	}
}

// TestSourceScripts runs real scripts, those that ship and one of an operator's.
func TestSourceScripts(t *testing.T) {
	d := newDoor(t, store.Options{})
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sources"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := `export default (request) => {
  if (request.query.skip) return { skip: "asked to" };
  const body = request.json();
  return body.items.map((title, i) => ({ id: request.headers["x-id"] + "/" + i, type: "x.item", title, data: { auth: request.headers.authorization, token: request.query.token, big: body.big } }));
};
`
	if err := os.WriteFile(filepath.Join(dir, "sources", "items.ts"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	client := scripts.NewClient(inProcess{server: &scripts.Server{}})
	set, err := scripts.NewLibrary(scripts.Options{BuiltIn: templates.FS(), Dir: dir, Compiler: client, Logger: slog.New(slog.DiscardHandler)}).Load(t.Context())
	if err != nil || len(set.Problems()) > 0 {
		t.Fatal(err, set.Problems())
	}
	for _, name := range []string{"bytebase", "items"} {
		d.sources[name] = intake.Source{Script: set.Source(name)}
	}
	var running *relay.Program // one request at a time
	d.convert = func(request []byte) (string, string, error) {
		events, reason, err := client.Convert(context.Background(), running, request, time.Now())
		return string(events), reason, err
	}
	d.answer = func(result []byte) (int, string, string, bool, error) {
		reply, err := client.Answer(context.Background(), running, result)
		return reply.Status, reply.ContentType, string(reply.Body), reply.Custom, err
	}
	send := func(name, query, body string, headers ...string) answer {
		running = d.sources[name].Script
		return d.do(d.source, "/v1/sources/"+name+query, body, headers...)
	}

	activity := `{"level":"INFO","activity_type":"bb.issue.create","title":"Issue created","link":"https://example.com/issues/101","creator_id":1,"creator_name":"Alice","created_ts":1795248000,"issue":{"id":101,"name":"add index"},"project":{"id":9007199254740993,"name":"demo"}}`
	for range 2 { // a sender that is not sure sends it again
		got := send("bytebase", "?token=s3cret", activity, "Authorization: Bearer s3cret")
		if got.status != 200 || got.header.Get("Content-Type") != "application/json" || got.body != `{"code":0,"message":""}` {
			t.Fatalf("answered %d %s", got.status, got.body)
		}
	}
	rows, _, err := d.Deliveries(t.Context(), relay.DeliveryFilter{})
	if err != nil || len(rows) != 1 || rows[0].EventType != "issue.created" {
		t.Fatalf("got %+v (%v)", rows, err)
	}
	e := d.stored(rows[0].EventID)
	if e.Source != "bytebase" || string(e.Original) != activity || !strings.Contains(string(e.Body), `"project":{"id":"9007199254740993","name":"demo"}`) {
		t.Errorf("got %s of source %s", e.Body, e.Source)
	}
	if got := send("bytebase", "", "[]"); got.status != 400 || !strings.HasPrefix(got.body, `{"code":400,"message":"source bytebase cannot read this body: the body must be a JSON object"}`) {
		t.Errorf("answered %d %s", got.status, got.body)
	}

	var result struct{ Events []accepted }
	send("items", "?token=s3cret", `{"items":["a","b"],"big":9007199254740993}`, "X-Id: 7", "Authorization: Bearer s3cret").decode(&result)
	if len(result.Events) != 2 {
		t.Fatalf("got %+v", result)
	}
	if e := d.stored(result.Events[1].ID); e.Key != "7/1" || !strings.Contains(string(e.Body), `"data":{"big":"9007199254740993"}`) {
		t.Errorf("got %s", e.Body)
	}
	if got := send("items", "?skip=1", "whatever"); got.status != http.StatusAccepted || !strings.Contains(got.body, `"skip":"asked to"`) {
		t.Errorf("answered %d %s", got.status, got.body)
	}
	send("items", "", `{"items":[""]}`).refused(400, "$[0].title has 0 characters; 1 to 1000 are taken")
	send("items", "", `{}`).refused(400)
	if d.rows() != 3 {
		t.Errorf("got %d deliveries, want 3", d.rows())
	}
}

// inProcess is the script child without the process.
type inProcess struct {
	pluginpb.ScriptsClient // what is not called
	server                 *scripts.Server
}

func (p inProcess) Compile(ctx context.Context, in *pluginpb.CompileRequest, _ ...grpc.CallOption) (*pluginpb.CompileResponse, error) {
	return p.server.Compile(ctx, in)
}

func (p inProcess) Convert(ctx context.Context, in *pluginpb.ConvertRequest, _ ...grpc.CallOption) (*pluginpb.ConvertResponse, error) {
	return p.server.Convert(ctx, in)
}

func (p inProcess) Answer(ctx context.Context, in *pluginpb.AnswerRequest, _ ...grpc.CallOption) (*pluginpb.AnswerResponse, error) {
	return p.server.Answer(ctx, in)
}
