package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/internal/store"
)

// desk is the operators' door before a real store whose clock stands still. The
// destinations "team" and "ops" are configured.
type desk struct {
	testing.TB
	*store.Store
	http.Handler
	door *api.Door
	now  time.Time
	log  bytes.Buffer
	keys int
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{TB: t, now: time.Date(2026, 11, 21, 8, 0, 0, 123e6, time.UTC)}
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{Now: func() time.Time { return d.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d.Store = s
	d.door = &api.Door{Log: s, Destinations: configured{d}, Operations: operated{d}, Logger: slog.New(slog.NewTextHandler(&d.log, nil))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events", d.door.Events)
	mux.HandleFunc("GET /v1/events/{id}", d.door.Event)
	mux.HandleFunc("GET /v1/deliveries", d.door.Deliveries)
	mux.HandleFunc("GET /v1/deliveries/{id}", d.door.Delivery)
	mux.HandleFunc("GET /v1/events/{id}/explain", d.door.Explain)
	mux.HandleFunc("POST /v1/events/{id}/replay", d.door.ReplayEvent)
	mux.HandleFunc("POST /v1/events/purge", d.door.Purge)
	mux.HandleFunc("POST /v1/replay", d.door.ReplayAll)
	mux.HandleFunc("POST /v1/store/backup", d.door.Backup)
	mux.HandleFunc("GET /v1/destinations", d.door.ListDestinations)
	mux.HandleFunc("POST /v1/destinations/{name}/pause", d.door.Pause)
	mux.HandleFunc("POST /v1/destinations/{name}/resume", d.door.Resume)
	mux.HandleFunc("POST /v1/destinations/{name}/test", d.door.Test)
	mux.HandleFunc("POST /v1/deliveries/{id}/replay", d.door.Replay)
	d.door.MaxBody = func() int64 { return 1 << 20 }
	mux.HandleFunc("POST /v1/preview", d.door.ShowPreview)
	mux.HandleFunc("GET /v1/status", d.door.ShowStatus)
	mux.HandleFunc("POST /v1/reload", d.door.ReloadNow)
	d.door.Compare = func(c api.Comparison) any { return c }
	mux.HandleFunc("POST /v1/config/diff", d.door.Diff)
	mux.HandleFunc("GET /healthz", d.door.Healthz)
	mux.HandleFunc("GET /readyz", d.door.Readyz)
	d.Handler = mux
	return d
}

// configured are the destinations of a desk, with their pauses in its store.
type configured struct{ *desk }

func (c configured) Destinations(ctx context.Context) (all []api.Destination, err error) {
	pauses, err := c.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	backlogs, err := c.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"team", "ops"} {
		row := api.Destination{Name: name, Provider: "chat", State: "active", Channel: &api.Part{State: "active"}, Direct: &api.Part{State: "active"}}
		for _, p := range pauses {
			switch {
			case p.Destination == name && p.Part == relay.PartDirect:
				row.Direct = &api.Part{State: "paused", Reason: p.Reason}
			case p.Destination == name:
				row.State, row.Reason = "paused", p.Reason
				row.Channel = &api.Part{State: "paused", Reason: p.Reason}
			}
		}
		for _, b := range backlogs {
			if b.Destination == name {
				row.Pending, row.OldestPending = b.Pending, &relay.Time{Time: b.Oldest}
			}
		}
		all = append(all, row)
	}
	return all, nil
}

func (c configured) Pause(ctx context.Context, name string, part relay.Part, reason string) error {
	if name != "team" && name != "ops" {
		return relay.ErrNotFound
	}
	return c.desk.Pause(ctx, relay.Pause{Lane: laneOf(name, part), Reason: reason, Since: c.now, Manual: true})
}

func (c configured) Resume(ctx context.Context, name string, part relay.Part) error {
	if name != "team" && name != "ops" {
		return relay.ErrNotFound
	}
	return c.desk.Resume(ctx, laneOf(name, part))
}

func laneOf(name string, part relay.Part) relay.Lane {
	if part == "" {
		part = relay.PartChannel
	}
	return relay.Lane{Destination: name, Part: part}
}

// Test answers with the newest delivery, and refuses types that it is told to.
func (c configured) Test(ctx context.Context, name string, t api.Test) (relay.Delivery, error) {
	switch {
	case name != "team":
		return relay.Delivery{}, relay.ErrNotFound
	case t.Type == "no.such":
		return relay.Delivery{}, &api.Refusal{Path: "$.type", Reason: "there is no sample of it"}
	}
	rows, _, err := c.Deliveries(ctx, relay.DeliveryFilter{Limit: 1})
	if err != nil || len(rows) == 0 {
		return relay.Delivery{}, errors.Join(err, relay.ErrNotFound)
	}
	rows[0].Reason = t.To
	return rows[0], nil
}

func (c configured) Replay(ctx context.Context, id string) (relay.Delivery, error) {
	made, _, err := c.desk.Store.Replay(ctx, id)
	if err != nil {
		return relay.Delivery{}, err
	}
	return c.Delivery(ctx, made)
}

// Preview answers with what it is asked for, and fails as the destination's name says.
func (c configured) Preview(_ context.Context, p api.Preview) (api.Previewed, error) {
	switch p.Destination {
	case "refused":
		return api.Previewed{}, &api.Refusal{Path: "$.destination", Reason: "no such"}
	case "event":
		return api.Previewed{}, problem.New(http.StatusBadRequest, "2 faults", problem.Fault{Path: "$.event.type"}, problem.Fault{Path: "$.event.title"})
	case "broken":
		return api.Previewed{}, errors.New("broken")
	}
	return api.Previewed{Destination: p.Destination, Event: p.Event, Message: json.RawMessage(`"<b>"`)}, nil
}

// append stores an event of a type for destinations; its key is k1, k2, ….
func (d *desk) append(eventType string, destinations ...string) relay.Accepted {
	d.Helper()
	d.keys++
	e := relay.Accepted{
		ID: fmt.Sprint("event-", d.keys), Key: fmt.Sprint("k", d.keys), Source: "app", Type: eventType, Level: relay.LevelInfo, Title: "<b>",
		Body: fmt.Appendf(nil, `{"id":"k%d","title":"<b>","data":{"big":9007199254740993}}`, d.keys), At: d.now,
	}
	for _, name := range destinations {
		e.Deliveries = append(e.Deliveries, relay.NewDelivery{Destination: name, Provider: "chat"})
	}
	d.store(e)
	return e
}

func (d *desk) store(e relay.Accepted) {
	d.Helper()
	if _, err := d.Append(context.Background(), []relay.Accepted{e}); err != nil {
		d.Fatal(err)
	}
}

// finish claims the next delivery of a destination and ends it so.
func (d *desk) finish(destination string, o relay.Outcome) relay.Claimed {
	d.Helper()
	claimed, _, err := d.Step(context.Background(), nil, []relay.ClaimRequest{{Lane: relay.Channel(destination), Limit: 1}})
	if err != nil || len(claimed) != 1 {
		d.Fatalf("claimed %v (%v)", claimed, err)
	}
	o.Seq, o.Claim = claimed[0].Seq, claimed[0].Claim
	if _, _, err := d.Step(context.Background(), []relay.Outcome{o}, nil); err != nil {
		d.Fatal(err)
	}
	return claimed[0]
}

// ask makes a request, "GET /path" or "POST /path {"body": 1}", and answers the body.
func (d *desk) ask(target string, status int) string {
	d.Helper()
	return d.askFor(target, status, "application/json")
}

func (d *desk) askFor(target string, status int, kind string) string {
	d.Helper()
	method, path, _ := strings.Cut(target, " ")
	path, body, _ := strings.Cut(path, " ")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	if status >= 400 && path != "/readyz" {
		kind = "application/problem+json"
	}
	if w.Code != status || w.Header().Get("Content-Type") != kind {
		d.Errorf("%s: answered %d %s %s, want %d", target, w.Code, w.Header().Get("Content-Type"), w.Body, status)
	}
	return strings.TrimSuffix(w.Body.String(), "\n")
}

// refused asks for what is refused, and answers the problem's words.
func (d *desk) refused(target string, status int) string {
	d.Helper()
	var p problem.Problem
	if err := json.Unmarshal([]byte(d.ask(target, status)), &p); err != nil {
		d.Fatal(err)
	}
	words := []string{p.Detail}
	for _, f := range p.Errors {
		words = append(words, f.Path+" "+f.Message)
	}
	return strings.Join(words, "\n")
}

// page is an answer of GET /v1/deliveries.
type page struct {
	Deliveries []relay.Delivery
	NextCursor *string `json:"next_cursor"`
}

func (d *desk) list(query string) (p page) {
	d.Helper()
	if err := json.Unmarshal([]byte(d.ask("GET /v1/deliveries"+query, 200)), &p); err != nil {
		d.Fatal(err)
	}
	return p
}

// TestShapes holds the answers against the shapes of the documents, every key
// present and null where there is nothing.
func TestShapes(t *testing.T) {
	d := newDesk(t)
	e := relay.Accepted{
		ID: "event-1", Key: "k1", Source: "app", Type: "issue.created", Level: relay.LevelInfo, Title: "<b>",
		Body: []byte(`{"id":"k1","title":"<b>","data":{"big":9007199254740993}}`), Original: []byte("<original>\xff"), At: d.now,
		Deliveries: []relay.NewDelivery{{Destination: "team", Provider: "chat"}, {Destination: "ops", Provider: "chat", Recipient: `{"name":"Ann","email":"ann@example.com"}`}},
	}
	d.store(e)
	d.now = d.now.Add(time.Second)
	wait := int64(1500)
	d.finish("team", relay.Outcome{State: relay.StatePending, Reason: "busy", Due: d.now, Attempt: &relay.Attempt{
		Started: relay.Time{Time: d.now}, DurationMS: 12, Verdict: relay.Temporary, RetryAfterMS: &wait, Error: "<busy>",
		TemplateError: &relay.TemplateError{File: "default.ts", Line: 3, Column: 5, Message: "TypeError"},
	}})
	d.finish("team", relay.Outcome{State: relay.StateDelivered, Attempt: &relay.Attempt{
		Started: relay.Time{Time: d.now}, DurationMS: 34, Template: "chat/approval.ts", TemplateRevision: "abc", Message: json.RawMessage(`{"title":"<b>"}`), Verdict: relay.Delivered, Receipt: "r1",
		Request:  &relay.Request{Method: "POST", URL: "https://hooks.example.com/<secret>", Headers: map[string]string{}, Body: "{}"},
		Response: &relay.Response{Status: 200, Headers: map[string]string{}, Body: "ok"},
	}})
	ids := map[string]string{}
	for _, row := range d.list("").Deliveries {
		ids[row.Destination] = row.ID
	}
	team := `"id":"<team>","event_id":"event-1","event_type":"issue.created","destination":"team","provider":"chat","part":"channel","recipient":null,"user":"","fallback":false,"state":"delivered","reason":"","attempts":2,` +
		`"created":"2026-11-21T08:00:00.123Z","updated":"2026-11-21T08:00:01.123Z","next_attempt":null,"replay_of":null`
	ops := `"id":"<ops>","event_id":"event-1","event_type":"issue.created","destination":"ops","provider":"chat","part":"direct","recipient":{"name":"Ann","email":"ann@example.com"},"user":"","fallback":false,"state":"pending","reason":"","attempts":0,` +
		`"created":"2026-11-21T08:00:00.123Z","updated":"2026-11-21T08:00:00.123Z","next_attempt":"2026-11-21T08:00:00.123Z","replay_of":null`
	event := `{"id":"event-1","key":"k1","source":"app","created":"2026-11-21T08:00:00.123Z","event":{"id":"k1","title":"<b>","data":{"big":9007199254740993}},` +
		`"original":"<original>\ufffd","deliveries":[{` + team + `},{` + ops + `}]}`
	tests := []struct{ target, want string }{
		{"GET /v1/deliveries", `{"deliveries":[{` + ops + `},{` + team + `}],"next_cursor":null}`},
		{"GET /v1/deliveries?state=dead", `{"deliveries":[],"next_cursor":null}`},
		{"GET /v1/deliveries/" + ids["ops"], `{` + ops + `,"log":[]}`},
		{"GET /v1/deliveries/" + ids["team"], `{` + team + `,"waited_ms":1000,"log":[` +
			`{"attempt":1,"started":"2026-11-21T08:00:01.123Z","duration_ms":12,"template":"","template_revision":"","template_error":{"file":"default.ts","line":3,"column":5,"message":"TypeError"},` +
			`"message":null,"request":null,"response":null,"verdict":"temporary","retry_after_ms":1500,"receipt":"","error":"<busy>"},` +
			`{"attempt":2,"started":"2026-11-21T08:00:01.123Z","duration_ms":34,"template":"chat/approval.ts","template_revision":"abc","template_error":null,` +
			`"message":{"title":"<b>"},"request":{"method":"POST","url":"https://hooks.example.com/<secret>","headers":{},"body":"{}"},` +
			`"response":{"status":200,"headers":{},"body":"ok"},"verdict":"delivered","retry_after_ms":null,"receipt":"r1","error":""}]}`},
		{"GET /v1/events/event-1", event},
		{"GET /v1/events?key=k1&source=app", event},
		{"GET /v1/destinations", `{"destinations":[{"name":"team","provider":"chat","state":"active","reason":"",` + bothActive + `"pending":0,"oldest_pending":null},` +
			`{"name":"ops","provider":"chat","state":"active","reason":"",` + bothActive + `"pending":1,"oldest_pending":"2026-11-21T08:00:00.123Z"}]}`},
		{"GET /healthz", `{"status":"ok"}`},
	}
	for _, test := range tests {
		want := strings.NewReplacer("<team>", ids["team"], "<ops>", ids["ops"]).Replace(test.want)
		if got := d.ask(test.target, 200); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", test.target, got, want)
		}
	}
}

// TestEventWithoutDeliveries: an event that nobody wanted, and that came as one.
func TestEventWithoutDeliveries(t *testing.T) {
	d := newDesk(t)
	d.append("nobody.wants")
	want := `{"id":"event-1","key":"k1","source":"app","created":"2026-11-21T08:00:00.123Z","event":{"id":"k1","title":"<b>","data":{"big":9007199254740993}},"deliveries":[]}`
	if got := d.ask("GET /v1/events/event-1", 200); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFilters(t *testing.T) {
	d := newDesk(t)
	d.append("issue.created", "team", "ops") // 1
	d.now = d.now.Add(time.Minute)
	d.append("issue.approved", "team") // 2
	d.now = d.now.Add(time.Minute)
	e := d.append("pipeline.failed") // 3
	e.ID, e.Key = "event-3b", "k3b"
	e.Deliveries = []relay.NewDelivery{{Destination: "people", Provider: "chat", Recipient: `{"name":"Ann Lee","email":"ann@example.com","phone":"+49_1%"}`}}
	d.store(e)
	d.finish("team", relay.Outcome{State: relay.StateDelivered, Attempt: &relay.Attempt{Verdict: relay.Delivered, Started: relay.Time{Time: d.now}}})
	d.finish("ops", relay.Outcome{State: relay.StateDead, Reason: "refused", Attempt: &relay.Attempt{Verdict: relay.MessageRefused, Started: relay.Time{Time: d.now}}})
	if err := d.Pause(context.Background(), relay.Pause{Lane: relay.Channel("team"), Reason: "token revoked", Since: d.now}); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ query, want string }{ // want: event:destination:state, newest first
		{"", "event-3b:people:pending event-2:team:held event-1:ops:dead event-1:team:delivered"},
		{"?destination=&state=&type=&event=&recipient=&since=&until=&cursor=&limit=", "event-3b:people:pending event-2:team:held event-1:ops:dead event-1:team:delivered"},
		{"?destination=team", "event-2:team:held event-1:team:delivered"},
		{"?destination=none", ""},
		{"?type=issue.created", "event-1:ops:dead event-1:team:delivered"},
		{"?event=event-1", "event-1:ops:dead event-1:team:delivered"},
		{"?event=none", ""},
		{"?event=event-1&state=dead", "event-1:ops:dead"},
		{"?state=pending", "event-3b:people:pending"},
		{"?state=held", "event-2:team:held"},
		{"?state=delivered", "event-1:team:delivered"},
		{"?state=dead", "event-1:ops:dead"},
		{"?state=sending", ""}, {"?state=expired", ""}, {"?state=skipped", ""},
		{"?recipient=ann@example.com", "event-3b:people:pending"},
		{"?recipient=Ann+Lee", "event-3b:people:pending"},
		{"?recipient=%2B49_1%25", "event-3b:people:pending"},
		{"?recipient=bob", ""},
		{"?since=2026-11-21T08:01:00Z", "event-3b:people:pending event-2:team:held"},
		{"?until=2026-11-21T08:01:00.123Z", "event-1:ops:dead event-1:team:delivered"},
		{"?since=2026-11-21T09:01:00.123%2B01:00&until=2026-11-21T08:02:00Z", "event-2:team:held"},
		{"?limit=1", "event-3b:people:pending"},
		{"?limit=500&destination=team&type=issue.approved&state=held", "event-2:team:held"},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			d.TB = t
			var got []string
			for _, row := range d.list(test.query).Deliveries {
				got = append(got, fmt.Sprintf("%s:%s:%s", row.EventID, row.Destination, row.State))
			}
			if g := strings.Join(got, " "); g != test.want {
				t.Errorf("got %q, want %q", g, test.want)
			}
		})
	}
	if held := d.list("?state=held").Deliveries[0]; held.Reason != "token revoked" {
		t.Errorf("got reason %q", held.Reason)
	}
}

func TestBadQueries(t *testing.T) {
	const faults = "the query has faults\n"
	tests := []struct{ query, want string }{
		{"?state=broken", faults + `?state "broken" is no state; write one of pending, sending, held, delivered, skipped, dead, expired`},
		{"?since=yesterday", faults + `?since "yesterday" is not RFC 3339, such as 2026-11-21T08:00:00Z`},
		{"?until=2026-11-21", faults + `?until "2026-11-21" is not RFC 3339, such as 2026-11-21T08:00:00Z`},
		{"?limit=0", faults + `?limit "0" is not a number from 1 to 500`},
		{"?limit=501", faults + `?limit "501" is not a number from 1 to 500`},
		{"?limit=many", faults + `?limit "many" is not a number from 1 to 500`},
		{"?cursor=!", faults + `?cursor "!" is no cursor; pass next_cursor of the page before`},
		{"?cursor=-5", faults + `?cursor "-5" is no cursor; pass next_cursor of the page before`},
		{"?cursor=0", faults + `?cursor "0" is no cursor; pass next_cursor of the page before`},
		{"?cursor=zzzzzzzzzzzzzzzz", faults + `?cursor "zzzzzzzzzzzzzzzz" is no cursor; pass next_cursor of the page before`},
		{"?destinations=team", faults + `?destinations is not known; filter by destination, state, type, event, recipient, q, since, until, cursor, limit`},
		{"?Limit=", faults + `?Limit is not known; filter by destination, state, type, event, recipient, q, since, until, cursor, limit`},
		{"?state=dead&state=held", faults + `?state is given 2 times`},
		{"?until=x&since=y&limit=z", faults + "?limit \"z\" is not a number from 1 to 500\n" +
			"?since \"y\" is not RFC 3339, such as 2026-11-21T08:00:00Z\n?until \"x\" is not RFC 3339, such as 2026-11-21T08:00:00Z"},
		{"?state=%zz", `the query cannot be read: invalid URL escape "%zz"`},
		{"?state=dead;limit=1", "the query cannot be read: invalid semicolon separator in query"},
	}
	d := newDesk(t)
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			d.TB = t
			if got := d.refused("GET /v1/deliveries"+test.query, 400); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestPages: rows that arrive between two pages shift nothing and double nothing.
func TestPages(t *testing.T) {
	d := newDesk(t)
	for range 10 {
		d.append("x", "team")
	}
	var got []string
	query := "?limit=3"
	for pages := 0; ; pages++ {
		p := d.list(query)
		for _, row := range p.Deliveries {
			got = append(got, row.EventID)
		}
		d.append("x", "team") // while the reader reads
		if p.NextCursor == nil {
			if pages != 3 || len(p.Deliveries) != 1 {
				t.Errorf("the last page is page %d with %d rows", pages+1, len(p.Deliveries))
			}
			break
		}
		query = "?limit=3&cursor=" + *p.NextCursor
	}
	var want []string
	for i := 10; i > 0; i-- {
		want = append(want, fmt.Sprint("event-", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := d.list("?limit=14"); len(p.Deliveries) != 14 || p.NextCursor != nil {
		t.Errorf("a page of all has %d rows and cursor %v", len(p.Deliveries), p.NextCursor)
	}
	for range 40 {
		d.append("x", "team")
	}
	if p := d.list(""); len(p.Deliveries) != 50 || p.NextCursor == nil {
		t.Errorf("a page has %d rows and cursor %v, want 50 and one", len(p.Deliveries), p.NextCursor)
	}
}

func TestUnknown(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	tests := []struct {
		target string
		status int
		want   string
	}{
		{"GET /v1/deliveries/none", 404, `there is no delivery "none"`},
		{"GET /v1/events/none", 404, `there is no event "none"`},
		{"GET /v1/events/k1", 404, `there is no event "k1"`}, // the sender's key is no path
		{"GET /v1/events?key=none&source=app", 404, `there is no event with key "none" of source "app"`},
		{"GET /v1/events?key=k1&source=other", 404, `there is no event with key "k1" of source "other"`},
		{"GET /v1/events/none/explain", 404, `there is no event "none"`},
		{"POST /v1/events/none/replay", 404, `there is no event "none"`},
		{"POST /v1/destinations/none/pause", 404, `there is no destination "none"`},
		{"POST /v1/destinations/none/resume", 404, `there is no destination "none"`},
		{"POST /v1/destinations/none/test", 404, `there is no destination "none"`},
		{"POST /v1/deliveries/none/replay", 404, `there is no delivery "none"`},
	}
	for _, test := range tests {
		if got := d.refused(test.target, test.status); got != test.want {
			t.Errorf("%s: got %q, want %q", test.target, got, test.want)
		}
	}
	if d.log.Len() > 0 {
		t.Errorf("the log says %s: what an operator mistypes is no fault of relay's", d.log.String())
	}
}

func TestPauseAndResume(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	row := func(state, reason string) string {
		return `{"name":"team","provider":"chat","state":"` + state + `","reason":"` + reason + `",` +
			`"channel":{"state":"` + state + `","reason":"` + reason + `"},"direct":{"state":"active","reason":""},"pending":1,"oldest_pending":"2026-11-21T08:00:00.123Z"}`
	}
	for range 2 { // again changes nothing
		if got, want := d.ask("POST /v1/destinations/team/pause", 200), row("paused", "paused by an operator"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	held := d.list("").Deliveries[0]
	if held.State != relay.StateHeld || held.Reason != "paused by an operator" || held.NextAttempt != nil {
		t.Errorf("got %+v, want it held", held)
	}
	for range 2 {
		if got, want := d.ask("POST /v1/destinations/team/resume", 200), row("active", ""); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if free := d.list("").Deliveries[0]; free.State != relay.StatePending || free.NextAttempt == nil {
		t.Errorf("got %+v, want it pending", free)
	}
}

// failing is a log and a list of destinations that cannot be asked.
type failing struct{ err error }

func (f failing) Deliveries(context.Context, relay.DeliveryFilter) ([]relay.Delivery, int64, error) {
	return nil, 0, f.err
}
func (f failing) Delivery(context.Context, string) (relay.Delivery, error) {
	return relay.Delivery{}, f.err
}
func (f failing) Event(context.Context, string) (relay.StoredEvent, error) {
	return relay.StoredEvent{}, f.err
}
func (f failing) EventByKey(context.Context, string, string) (relay.StoredEvent, error) {
	return relay.StoredEvent{}, f.err
}
func (f failing) Events(context.Context, relay.EventFilter) ([]relay.EventRow, int64, error) {
	return nil, 0, f.err
}
func (f failing) Test(context.Context, string, api.Test) (relay.Delivery, error) {
	return relay.Delivery{}, f.err
}
func (f failing) Preview(context.Context, api.Preview) (api.Previewed, error) {
	return api.Previewed{}, f.err
}

func (f failing) Replay(context.Context, string) (relay.Delivery, error) {
	return relay.Delivery{}, f.err
}
func (f failing) Destinations(context.Context) ([]api.Destination, error) { return nil, f.err }
func (f failing) Pause(context.Context, string, relay.Part, string) error { return f.err }
func (f failing) Resume(context.Context, string, relay.Part) error        { return f.err }

func TestStoreFails(t *testing.T) {
	targets := []string{"GET /v1/deliveries", "GET /v1/deliveries/x", "GET /v1/events/x", "GET /v1/events?key=a&source=b",
		"GET /v1/destinations", "POST /v1/destinations/team/pause", "POST /v1/destinations/team/resume",
		"POST /v1/destinations/team/test", "POST /v1/deliveries/x/replay"}
	for _, test := range []struct {
		err    error
		status int
		detail string
		logged bool
	}{
		{errors.New("disk I/O error in /var/lib/relay"), 500, "the request failed; relay's log says why", true},
		{relay.ErrClosed, 503, "relay is shutting down", false},
		{relay.ErrDiskFull, 503, "the disk is full; nothing was changed", false},
		{context.Canceled, 503, "the request was given up", false},
	} {
		for _, target := range targets {
			d := newDesk(t)
			d.door.Log, d.door.Destinations = failing{fmt.Errorf("read: %w", test.err)}, failing{fmt.Errorf("read: %w", test.err)}
			if got := d.refused(target, test.status); got != test.detail {
				t.Errorf("%s: got %q, want %q", target, got, test.detail)
			}
			if logged := strings.Contains(d.log.String(), test.err.Error()); logged != test.logged {
				t.Errorf("%s: the log says %q", target, d.log.String())
			}
		}
	}
}

func TestReadyz(t *testing.T) {
	d := newDesk(t)
	for ok, status := range map[bool]int{true: 200, false: 503} {
		d.door.Ready = func() (bool, any) { return ok, map[string]any{"status": "<x>", "plugins": []string{}} }
		if got, want := d.ask("GET /readyz", status), `{"plugins":[],"status":"<x>"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStatusAndReload(t *testing.T) {
	d := newDesk(t)
	d.door.Status = func() any { return map[string]string{"version": "v1"} }
	if got := d.ask("GET /v1/status", 200); got != `{"version":"v1"}` {
		t.Errorf("got %s", got)
	}
	var answer error
	d.door.Reload = func(context.Context) (any, error) { return map[string]string{"version": "v2"}, answer }
	if got := d.ask("POST /v1/reload", 200); got != `{"version":"v2"}` {
		t.Errorf("got %s", got)
	}
	const refused = "the new configuration is refused; what ran keeps running\n "
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("relay.yaml: no such file"), refused + "relay.yaml: no such file"},
		{fmt.Errorf("load: %w", errors.Join(errors.New("relay.yaml:2:1: one"), errors.New("relay.yaml:3:1: two"))), refused + "relay.yaml:2:1: one\n relay.yaml:3:1: two"},
	} {
		answer = test.err
		if got := d.refused("POST /v1/reload", 422); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// bothActive is how the parts of a destination stand that nothing holds.
const bothActive = `"channel":{"state":"active","reason":""},"direct":{"state":"active","reason":""},`

func TestParts(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	row := func(part, reason string) string {
		parts := map[string]string{"channel": `"channel":{"state":"active","reason":""}`, "direct": `"direct":{"state":"active","reason":""}`}
		if reason != "" {
			parts[part] = `"` + part + `":{"state":"paused","reason":"` + reason + `"}`
		}
		return parts["channel"] + "," + parts["direct"]
	}
	for _, c := range []struct{ target, want string }{
		{`POST /v1/destinations/team/pause {"part":"direct"}`, row("direct", "paused by an operator")},
		{`POST /v1/destinations/team/resume {"part":"channel"}`, row("direct", "paused by an operator")},
		{`POST /v1/destinations/team/resume {"part":"direct"}`, row("", "")},
		{`POST /v1/destinations/team/pause {}`, row("channel", "paused by an operator")},
	} {
		if got := d.ask(c.target, 200); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.target, got, c.want)
		}
	}
	for _, c := range []struct{ target, want string }{
		{`POST /v1/destinations/team/pause {"part":"both"}`, `"both" is no part of a destination; write channel or direct`},
		{`POST /v1/destinations/team/pause {"parts":1}`, "$.parts is no key of this request; it takes part"},
		{`POST /v1/destinations/team/test {"type":"no.such"}`, "there is no sample of it"},
		{`POST /v1/destinations/team/test ["x"]`, "$ is not an object"},
	} {
		if got := d.refused(c.target, 400); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.target, got, c.want)
		}
	}
}

func TestTestAndReplay(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	if got := d.ask(`POST /v1/destinations/team/test {"to":"ann@example.com"}`, 200); !strings.Contains(got, `"reason":"ann@example.com"`) || !strings.Contains(got, `"log":[]`) {
		t.Errorf("got %s", got)
	}
	id := d.list("").Deliveries[0].ID
	if got := d.refused("POST /v1/deliveries/"+id+"/replay", 409); got != "delivery "+id+" is not over yet; only what is over can be replayed" {
		t.Errorf("got %q", got)
	}
	d.finish("team", relay.Outcome{State: relay.StateDead, Reason: "gone"})
	if got := d.ask("POST /v1/deliveries/"+id+"/replay", 200); !strings.Contains(got, `"replay_of":"`+id+`"`) || !strings.Contains(got, `"state":"pending"`) {
		t.Errorf("got %s", got)
	}
}
