package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/internal/route"
	"github.com/relay-sidecar/relay/internal/store"
)

const maxBody = 1 << 20

// door is a door before a real store, with one destination for every event,
// eleven more for types that begin with "fan.", and none for "nobody.".
type door struct {
	testing.TB
	*store.Store
	routes     *route.Table
	sources    map[string]intake.Source
	convert    func(request []byte) (events, reason string, err error)
	answer     func(result []byte) (status int, contentType, body string, custom bool, err error)
	admit      func(*http.Request) (func([]byte) *problem.Problem, *problem.Problem) // nil: everybody
	appendFail error                                                                 // what Append answers instead of storing
	log        bytes.Buffer

	events, source http.Handler
}

func newDoor(t testing.TB, o store.Options) *door {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	wanted := []route.Destination{{Name: "all", Provider: "chat", Events: []string{"issue.*", "fan.*", "x*"}}}
	for i := range 11 {
		wanted = append(wanted, route.Destination{Name: fmt.Sprint("fan-", i), Provider: "chat", Events: []string{"fan.*"}})
	}
	d := &door{TB: t, Store: s, routes: route.New(wanted, func(p relay.Person, _ string) relay.Person { return p }), sources: map[string]intake.Source{}}
	in := &intake.Door{Backend: d, MaxBody: func() int64 { return maxBody }, Logger: slog.New(slog.NewTextHandler(&d.log, nil))}
	in.Admit = func(r *http.Request) (func([]byte) *problem.Problem, *problem.Problem) {
		if d.admit == nil {
			return nil, nil
		}
		return d.admit(r)
	}
	mux := http.NewServeMux() // for the path value
	mux.Handle("POST /v1/sources/{name}", in.Sources())
	d.events, d.source = in.Events(), mux
	return d
}

func (d *door) Route(eventType string, body []byte) []relay.NewDelivery {
	return d.routes.Route(eventType, body)
}

func (d *door) Append(ctx context.Context, events []relay.Accepted) ([]relay.Appended, error) {
	if d.appendFail != nil {
		return nil, d.appendFail
	}
	return d.Store.Append(ctx, events)
}

func (d *door) Source(name string) (intake.Source, bool) {
	s, ok := d.sources[name]
	return s, ok
}

func (d *door) Convert(_ context.Context, _ *relay.Program, request []byte, _ time.Time) ([]byte, string, error) {
	events, reason, err := d.convert(request)
	return []byte(events), reason, err
}

func (d *door) Answer(_ context.Context, _ *relay.Program, result []byte) (int, string, []byte, bool, error) {
	if d.answer == nil {
		return 0, "", nil, false, nil
	}
	status, contentType, body, custom, err := d.answer(result)
	return status, contentType, []byte(body), custom, err
}

var _ intake.Backend = (*door)(nil)

// post sends a body to POST /v1/events with headers "Key: value".
func (d *door) post(body string, headers ...string) answer {
	d.Helper()
	return d.do(d.events, "/v1/events", body, headers...)
}

func (d *door) do(h http.Handler, path, body string, headers ...string) answer {
	d.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for _, line := range headers {
		key, value, _ := strings.Cut(line, ": ")
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{d, w.Code, w.Header(), w.Body.String()}
}

// rows is how many deliveries the store holds.
func (d *door) rows() int {
	d.Helper()
	rows, _, err := d.Deliveries(context.Background(), relay.DeliveryFilter{Limit: 1000})
	if err != nil {
		d.Fatal(err)
	}
	return len(rows)
}

// stored is the event that an answer names.
func (d *door) stored(id string) relay.StoredEvent {
	d.Helper()
	e, err := d.Event(context.Background(), id)
	if err != nil {
		d.Fatalf("event %q: %v", id, err)
	}
	return e
}

type answer struct {
	d      *door
	status int
	header http.Header
	body   string
}

type accepted struct {
	ID         string
	Deliveries int
	Duplicate  bool
}

// one is the answer to an event that was accepted.
func (a answer) one() (one accepted) {
	a.d.Helper()
	a.decode(&one)
	return one
}

// many is the answer to an array that was accepted.
func (a answer) many() (many []accepted) {
	a.d.Helper()
	a.decode(&many)
	return many
}

func (a answer) decode(into any) {
	a.d.Helper()
	if a.status != http.StatusAccepted || a.header.Get("Content-Type") != "application/json" {
		a.d.Fatalf("answered %d %s %s, want 202", a.status, a.header.Get("Content-Type"), a.body)
	}
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		a.d.Fatalf("answered %s: %v", a.body, err)
	}
}

// refused checks that the answer is a problem with a status and with exactly
// these faults, "path message" each.
func (a answer) refused(status int, faults ...string) problem.Problem {
	a.d.Helper()
	var p problem.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		a.d.Fatalf("answered %d %s: %v", a.status, a.body, err)
	}
	if a.status != status || p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" || p.Detail == "" ||
		a.header.Get("Content-Type") != "application/problem+json" {
		a.d.Errorf("answered %d %s %s, want a problem of status %d", a.status, a.header.Get("Content-Type"), a.body, status)
	}
	var got []string
	for _, f := range p.Errors {
		got = append(got, f.Path+" "+f.Message)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(faults, "\n"); g != w {
		a.d.Errorf("got faults\n%s\nwant\n%s", g, w)
	}
	return p
}

// event is a good event with further members.
func event(members string) string {
	return `{"type":"issue.created","title":"t"` + members + `}`
}

func TestAnswers(t *testing.T) {
	d := newDoor(t, store.Options{})
	if got := d.post(event("")).one(); len(got.ID) != 36 || got.Deliveries != 1 || got.Duplicate {
		t.Errorf("got %+v", got)
	}
	if got := d.post(`{"type":"nobody.wants","title":"t"}`).one(); got.ID == "" || got.Deliveries != 0 {
		t.Errorf("got %+v, want an event without deliveries", got)
	}
	got := d.post(`[` + event("") + `,` + `{"type":"fan.out","title":"t"}` + `]`).many()
	if len(got) != 2 || got[0].Deliveries != 1 || got[1].Deliveries != 12 {
		t.Errorf("got %+v", got)
	}
	if got := d.post(`[` + event("") + `]`).many(); len(got) != 1 {
		t.Errorf("got %+v, want an array for an array", got)
	}
	if d.rows() != 15 {
		t.Errorf("got %d deliveries, want 15", d.rows())
	}
}

func TestContentType(t *testing.T) {
	tests := []struct {
		header, detail string // detail: empty where it is taken
	}{
		{"Content-Type: application/json", ""},
		{"Content-Type: Application/JSON; charset=UTF-8", ""},
		{"Content-Type: ", ""},
		{"Content-Encoding: identity", ""},
		{"Content-Type: text/plain", `Content-Type "text/plain" is not taken; send application/json`},
		{"Content-Type: application/x-www-form-urlencoded", `Content-Type "application/x-www-form-urlencoded" is not taken; send application/json`},
		{"Content-Type: application/json; charset", `Content-Type "application/json; charset" is not taken; send application/json`},
		{"Content-Type: application/json; charset=latin1", `charset "latin1" is not taken; JSON is UTF-8`},
		{"Content-Type: application/cloudevents+xml", `Content-Type "application/cloudevents+xml" is not taken; send application/cloudevents+json`},
		{"Content-Encoding: br", `Content-Encoding "br" is not taken; send the body as it is, or as gzip or deflate`},
		{"Content-Encoding: gzip, gzip", `Content-Encoding "gzip, gzip" is not taken; send the body as it is, or as gzip or deflate`},
	}
	for _, test := range tests {
		t.Run(test.header, func(t *testing.T) {
			d := newDoor(t, store.Options{})
			got := d.post(event(""), test.header)
			if test.detail == "" {
				got.one()
				return
			}
			if p := got.refused(http.StatusUnsupportedMediaType); p.Detail != test.detail {
				t.Errorf("got %q, want %q", p.Detail, test.detail)
			}
			if d.rows() != 0 {
				t.Error("something is stored")
			}
		})
	}
}

// TestBodyLimit goes through a real server, which knows lengths and chunks.
func TestBodyLimit(t *testing.T) {
	d := newDoor(t, store.Options{})
	server := httptest.NewServer(d.events)
	defer server.Close()
	long := func(n int) string { // a good event of n bytes
		return event(`,"data":{"x":"` + strings.Repeat("a", n-len(event(`,"data":{"x":""}`))) + `"}`)
	}
	tests := []struct {
		name string
		body io.Reader
		want int
	}{
		{"Length", strings.NewReader(long(maxBody)), 202},
		{"Chunked", io.MultiReader(strings.NewReader(long(maxBody))), 202},
		{"LengthOver", strings.NewReader(long(maxBody + 1)), 413},
		{"ChunkedOver", io.MultiReader(strings.NewReader(long(maxBody + 1))), 413},
		{"LengthFarOver", strings.NewReader(long(10 * maxBody)), 413},
		{"ChunkedFarOver", io.MultiReader(strings.NewReader(long(10 * maxBody))), 413},
		{"Empty", http.NoBody, 400},
	}
	rows := 0
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp, err := http.Post(server.URL, "application/json", test.body)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := answer{d, resp.StatusCode, resp.Header, string(body)}
			got.d.TB = t
			switch test.want {
			case 202:
				got.one()
				rows++
			case 413:
				want := "the body is larger than 1048576 bytes (server.max_body); send fewer events at once, or less data"
				if p := got.refused(413); p.Detail != want {
					t.Errorf("got %q, want %q", p.Detail, want)
				}
			default:
				got.refused(test.want)
			}
			if d.rows() != rows {
				t.Errorf("got %d deliveries, want %d", d.rows(), rows)
			}
		})
	}
}

func TestBodyCutShort(t *testing.T) {
	d := newDoor(t, store.Options{})
	r := httptest.NewRequest(http.MethodPost, "/v1/events", io.MultiReader(strings.NewReader(event("")), errorReader{}))
	for _, length := range []int64{-1, 500} {
		r.ContentLength = length
		w := httptest.NewRecorder()
		d.events.ServeHTTP(w, r)
		p := answer{d, w.Code, w.Header(), w.Body.String()}.refused(400)
		if p.Detail != "the body could not be read to its end" || d.rows() != 0 {
			t.Errorf("got %q and %d deliveries", p.Detail, d.rows())
		}
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestDuplicates(t *testing.T) {
	d := newDoor(t, store.Options{})
	body := `{"id":"k1","type":"fan.out","title":"t"}`
	first := d.post(body).one()
	again := d.post(body).one()
	if !again.Duplicate || again.ID != first.ID || again.Deliveries != 12 {
		t.Errorf("got %+v after %+v, want its duplicate", again, first)
	}
	p := d.post(`{"id":"k1","type":"fan.out","title":"another"}`).refused(409, "$.id stands for another event")
	if want := `nothing was accepted: another event with id "k1" and source "events" was accepted before; a new event needs a new id`; p.Detail != want {
		t.Errorf("got %q, want %q", p.Detail, want)
	}
	if other := d.post(`{"id":"k1","type":"fan.out","title":"t","source":"other"}`).one(); other.Duplicate {
		t.Error("the same id of another source is a duplicate")
	}
	// Within arrays: known ones are told, new ones are stored, a conflict refuses all.
	many := d.post(`[` + body + `,` + event(`,"id":7`) + `]`).many()
	if !many[0].Duplicate || many[0].ID != first.ID || many[1].Duplicate {
		t.Errorf("got %+v", many)
	}
	rows := d.rows()
	d.post(`[`+event(`,"id":"new"`)+`,`+event(`,"id":"k1"`)+`,`+event("")+`]`).refused(409, "$[1].id stands for another event")
	d.post(`[`+event(`,"id":"twice"`)+`,`+event(`,"id":"twice","level":"warn"`)+`]`).refused(409, "$[1].id stands for another event")
	if d.rows() != rows {
		t.Errorf("got %d deliveries, want %d as before", d.rows(), rows)
	}
	if _, err := d.EventByKey(t.Context(), "new", "events"); !errors.Is(err, relay.ErrNotFound) {
		t.Errorf("half of an array is stored (%v)", err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	d := newDoor(t, store.Options{})
	first := d.post(event(""), "Idempotency-Key: abc").one()
	if again := d.post(event(""), "Idempotency-Key: abc").one(); !again.Duplicate || again.ID != first.ID {
		t.Errorf("got %+v after %+v", again, first)
	}
	if e := d.stored(first.ID); e.Key != "abc" || !strings.HasPrefix(string(e.Body), `{"id":"abc",`) {
		t.Errorf("got key %q of %s", e.Key, e.Body)
	}
	for _, absent := range []string{`,"id":null`, `,"id":""`} {
		if e := d.stored(d.post(event(absent+`,"level":"warn"`), "Idempotency-Key: "+absent[6:]).one().ID); e.Key != absent[6:] {
			t.Errorf("%s: got key %q", absent, e.Key)
		}
	}
	// The body's own id wins.
	if own := d.post(event(`,"id":"own"`), "Idempotency-Key: abc").one(); own.Duplicate || d.stored(own.ID).Key != "own" {
		t.Errorf("got %+v", own)
	}
	// Over an array it is the key of each, and an own id counts as it is.
	body := `[` + event("") + `,` + event(`,"id":7`) + `,` + event("") + `]`
	many := d.post(body, "Idempotency-Key: abc").many()
	for i, want := range []string{"abc/0", "7", "abc/2"} {
		if e := d.stored(many[i].ID); e.Key != want {
			t.Errorf("element %d: got key %q, want %q", i, e.Key, want)
		}
	}
	for i, again := range d.post(body, "Idempotency-Key: abc").many() {
		if !again.Duplicate || again.ID != many[i].ID {
			t.Errorf("element %d: got %+v after %+v", i, again, many[i])
		}
	}

	rows := d.rows()
	d.post(event(`,"level":"error"`), "Idempotency-Key: abc").refused(409, "$.id stands for another event")
	d.post(event(""), "Idempotency-Key: "+strings.Repeat("k", 201)).refused(400, "$.id the Idempotency-Key has 201 bytes, at most 200 are taken")
	d.post(`[`+event("")+`]`, "Idempotency-Key: "+strings.Repeat("k", 199)).refused(400, "$[0].id the Idempotency-Key has 201 bytes, at most 200 are taken")
	d.post(event(""), "Idempotency-Key: a\xff").refused(400, "$.id the Idempotency-Key holds what is no text")
	d.post(event(""), "Idempotency-Key: \uE0000\uE001").refused(400, "$.id the Idempotency-Key holds what is no text")
	if d.rows() != rows {
		t.Errorf("got %d deliveries, want %d as before", d.rows(), rows)
	}
	d.post(event(""), "Idempotency-Key: "+strings.Repeat("k", 200)).one()
}

func TestConcurrentPostsAreAcceptedOnce(t *testing.T) {
	d := newDoor(t, store.Options{})
	server := httptest.NewServer(d.events)
	defer server.Close()
	const posts = 50
	var mu sync.Mutex // guards the fields below
	ids, fresh := map[string]bool{}, 0
	var wg sync.WaitGroup
	for range posts {
		wg.Go(func() {
			resp, err := http.Post(server.URL, "application/json", strings.NewReader(event(`,"id":"once"`)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			var got accepted
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != 202 {
				t.Errorf("answered %d (%v)", resp.StatusCode, err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[got.ID] = true
			if !got.Duplicate {
				fresh++
			}
		})
	}
	wg.Wait()
	if fresh != 1 || len(ids) != 1 || d.rows() != 1 {
		t.Errorf("%d were new, of %d ids, with %d deliveries; want one of each", fresh, len(ids), d.rows())
	}
}

func TestBacklogFull(t *testing.T) {
	d := newDoor(t, store.Options{MaxPending: 1})
	d.post(event(`,"id":"first"`)).one()
	got := d.post(event(`,"id":"second"`))
	p := got.refused(429)
	if p.Detail != "too many deliveries wait (store.max_pending); send the event again later" || got.header.Get("Retry-After") != "5" {
		t.Errorf("got %q, Retry-After %q", p.Detail, got.header.Get("Retry-After"))
	}
	if again := d.post(event(`,"id":"first"`)).one(); !again.Duplicate {
		t.Errorf("got %+v, want a duplicate: it is never answered 429", again)
	}
	d.post(`{"type":"nobody.wants","title":"t"}`).one()
	if _, err := d.EventByKey(t.Context(), "second", "events"); !errors.Is(err, relay.ErrNotFound) {
		t.Errorf("the refused event is stored (%v)", err)
	}
}

func TestStoreSaysNo(t *testing.T) {
	tests := []struct {
		err    error
		status int
		detail string
		logged bool
	}{
		{relay.ErrDiskFull, 503, "the disk is full; nothing was stored, send the event again later", false},
		{relay.ErrClosed, 503, "relay is shutting down; send the event again", false},
		{context.Canceled, 503, "the sender left before the event was stored", false},
		{errors.New("sync failed: input/output error"), 500, "the event could not be stored; it may or may not be kept, so send it again with the same id", true},
	}
	for _, test := range tests {
		t.Run(test.err.Error(), func(t *testing.T) {
			d := newDoor(t, store.Options{})
			d.appendFail = fmt.Errorf("append: %w", test.err)
			p := d.post(event("")).refused(test.status)
			if p.Detail != test.detail || strings.Contains(p.Detail, "input/output") {
				t.Errorf("got %q, want %q", p.Detail, test.detail)
			}
			if logged := strings.Contains(d.log.String(), test.err.Error()); logged != test.logged {
				t.Errorf("got log %q", d.log.String())
			}
		})
	}
}

func TestClosedStore(t *testing.T) {
	d := newDoor(t, store.Options{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d.post(event("")).refused(503)
}

func TestTooManyDeliveries(t *testing.T) {
	d := newDoor(t, store.Options{})
	body := func(n int) string {
		return `[` + strings.Repeat(`{"type":"fan.out","title":"t"},`, n-1) + `{"type":"fan.out","title":"t"}]`
	}
	d.post(body(834)).refused(400, "$[833] brings the request to more than 10000 deliveries; send fewer events at once")
	if d.rows() != 0 {
		t.Errorf("got %d deliveries, want none", d.rows())
	}
	if got := d.post(body(833)).many(); len(got) != 833 { // 9,996 deliveries
		t.Errorf("got %d answers", len(got))
	}
}
