package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
)

// operated does what operators ask for with the store of a desk.
type operated struct{ *desk }

func (o operated) ReplayAll(ctx context.Context, f relay.DeliveryFilter, dry bool, progress func(api.Replayed)) (api.Replayed, error) {
	seqs, unfinished, err := o.Finished(ctx, f)
	done := api.Replayed{Matched: len(seqs), Unfinished: unfinished}
	if err != nil || dry {
		return done, err
	}
	_, done.Replayed, _, err = o.Store.ReplayAll(ctx, seqs)
	progress(done)
	return done, err
}

func (o operated) ReplayEvent(ctx context.Context, id string) ([]relay.Delivery, error) {
	_, err := o.Reroute(ctx, id, []relay.NewDelivery{{Destination: "ops", Provider: "chat"}})
	return nil, err
}

func (o operated) Explain(ctx context.Context, id string) (api.Explanation, error) {
	e, err := o.Store.Event(ctx, id)
	return api.Explanation{ID: e.ID}, err
}

func (o operated) Purge(ctx context.Context, name string) (relay.Purged, error) {
	return o.Store.Purge(ctx, name)
}

func (o operated) Backup(context.Context) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("no room")
}

func TestReplayMany(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	d.append("y", "team")
	d.append("x", "ops")
	d.finish("team", relay.Outcome{State: relay.StateDead, Reason: "gone"})
	for _, test := range []struct{ body, want string }{
		{`{"type":"x","dry_run":true}`, `{"matched":1,"replayed":0,"unfinished":1}`},
		{`{"destination":"team"}`, `{"matched":1,"replayed":1,"unfinished":1}`},
		{`{"state":"dead","q":"GONE","progress":true,"dry_run":false}`, `{"matched":1,"replayed":1,"unfinished":0}` + "\n" + `{"matched":1,"replayed":1,"unfinished":0}`},
		{`{"recipient":"nobody"}`, `{"matched":0,"replayed":0,"unfinished":0}`},
	} {
		kind := "application/json"
		if strings.Contains(test.body, "progress") {
			kind = "application/x-ndjson"
		}
		if got := d.askFor("POST /v1/replay "+test.body, 200, kind); got != test.want {
			t.Errorf("%s: got %s, want %s", test.body, got, test.want)
		}
	}
}

func TestBadOperations(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	const name = "name at least one filter: destination, state, type, event, recipient, q, since, until"
	for _, test := range []struct {
		target string
		status int
		want   string
	}{
		{"POST /v1/replay", 400, name},
		{`POST /v1/replay {"dry_run":true}`, 400, name},
		{`POST /v1/replay {"destination":""}`, 400, name},
		{"POST /v1/events/event-1/replay", 409, "event event-1 has deliveries that are not over yet; only what is over can be replayed"},
		{"POST /v1/store/backup", 500, "the request failed; relay's log says why"},
		{"GET /v1/events?state=dead", 400, "the query has faults\n?state is not known; filter by key, source, type, level, since, until, cursor, limit"},
		{"GET /v1/events?level=loud", 400, "the query has faults\n?level \"loud\" is no level; write info, success, warn or error"},
		{"GET /v1/events?limit=0&since=x", 400, "the query has faults\n?limit \"0\" is not a number from 1 to 500\n?since \"x\" is not RFC 3339, such as 2026-11-21T08:00:00Z"},
	} {
		t.Run(test.target, func(t *testing.T) {
			d.TB = t
			if got := d.refused(test.target, test.status); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// TestCursorOfAnotherFilter: a cursor goes on with the filters that it came
// with, in the same list, and with no others.
func TestCursorOfAnotherFilter(t *testing.T) {
	d := newDesk(t)
	for range 4 {
		d.append("x", "team")
	}
	cursor := *d.list("?limit=1&destination=team").NextCursor
	if got := d.list("?limit=2&recipient=&destination=team&cursor=" + cursor); len(got.Deliveries) != 2 {
		t.Errorf("the next page has %d rows", len(got.Deliveries))
	}
	want := "the query has faults\n?cursor \"" + cursor + `" belongs to another filter; go on with the same filters, or begin without a cursor`
	for _, target := range []string{"/v1/deliveries?cursor=", "/v1/deliveries?destination=ops&cursor=", "/v1/deliveries?destination=team&state=dead&cursor=", "/v1/events?cursor="} {
		if got := d.refused("GET "+target+cursor, 400); got != want {
			t.Errorf("%s: got %q", target, got)
		}
	}
}

func TestEventsList(t *testing.T) {
	d := newDesk(t)
	d.append("issue.created", "team")
	d.append("pipeline.failed")
	row := func(id, kind, n string) string {
		return `{"id":"event-` + id + `","key":"k` + id + `","source":"app","type":"` + kind + `","level":"info","title":"<b>","created":"2026-11-21T08:00:00.123Z","deliveries":` + n + `}`
	}
	first, second := row("1", "issue.created", "1"), row("2", "pipeline.failed", "0")
	for query, want := range map[string]string{
		"":                            `{"events":[` + second + `,` + first + `],"next_cursor":null}`,
		"?type=issue.created":         `{"events":[` + first + `],"next_cursor":null}`,
		"?key=k2":                     `{"events":[` + second + `],"next_cursor":null}`,
		"?source=other":               `{"events":[],"next_cursor":null}`,
		"?since=2026-11-21T09:00:00Z": `{"events":[],"next_cursor":null}`,
		"?level=INFO&source=app&key=&type=pipeline.failed": `{"events":[` + second + `],"next_cursor":null}`,
	} {
		if got := d.ask("GET /v1/events"+query, 200); got != want {
			t.Errorf("%s: got  %s\nwant %s", query, got, want)
		}
	}
}

// TestBadBodies: every fault of a body is named with its place, in relay's words,
// whatever is asked for.
func TestBadBodies(t *testing.T) {
	d := newDesk(t)
	d.append("x", "team")
	d.door.Reload = func(context.Context) (any, error) { t.Error("it was reloaded"); return nil, nil }
	const (
		replay = "it takes destination, dry_run, event, progress, q, recipient, since, state, type, until"
		nobody = "$.recipient is not the email, phone or id of a person"
	)
	for _, test := range []struct {
		target string
		faults []string
	}{
		{`POST /v1/destinations/team/test {"to":5,"type":7,"x":1}`, []string{"$.to is not a string", "$.type is not a string", "$.x is no key of this request; it takes to, type"}},
		{`POST /v1/destinations/team/test {"to":"a","to":"b","To":"c"}`, []string{"$.to stands twice", "$.To is no key of this request; it takes to, type"}},
		{`POST /v1/destinations/team/test 7`, []string{"$ is not an object"}},
		{`POST /v1/destinations/team/pause {"part":"both","a b":1}`, []string{`$.part "both" is no part of a destination; write channel or direct`, `$["a b"] is no key of this request; it takes part`}},
		{`POST /v1/destinations/team/resume {"part":["direct"]}`, []string{"$.part is not a string"}},
		{`POST /v1/deliveries/x/replay {"x":1}`, []string{"$.x is no key of this request; it takes none"}},
		{`POST /v1/events/event-1/replay {"x":1}`, []string{"$.x is no key of this request; it takes none"}},
		{`POST /v1/reload {"x":1}`, []string{"$.x is no key of this request; it takes none"}},
		{`POST /v1/store/backup {"x":1}`, []string{"$.x is no key of this request; it takes none"}},
		{`POST /v1/replay {"destination":1,"dry_run":"yes","until":"soon","limit":"3","Type":"x"}`, []string{"$.destination is not a string", "$.dry_run is not true or false",
			"$.limit is no key of this request; " + replay, "$.Type is no key of this request; " + replay, `$.until "soon" is not RFC 3339, such as 2026-11-21T08:00:00Z`}},
		{`POST /v1/replay {"state":"dead","destination":"team","state":"delivered"}`, []string{"$.state stands twice"}},
		{`POST /v1/replay {"foo":1}`, []string{"$.foo is no key of this request; " + replay}},
		{`POST /v1/replay {"state":"lost"}`, []string{`$.state "lost" is no state; write one of pending, sending, held, delivered, skipped, dead, expired`}},
		{`POST /v1/replay []`, []string{"$ is not an object"}},
		{`POST /v1/events/purge`, []string{nobody}},
		{`POST /v1/events/purge {"recipient":" a "}`, []string{nobody}},
		{`POST /v1/events/purge {"email":"ann@example.com"}`, []string{"$.email is no key of this request; it takes recipient", nobody}},
		{`POST /v1/events/purge {"recipient":["ann@example.com"]}`, []string{"$.recipient is not a string"}},
		{`POST /v1/preview {"destination":1,"event":{},"kind":"x","recipient":{}}`, []string{"$.destination is not a string",
			"$.kind is no key of this request; it takes destination, event, recipient, type", "$.recipient is not a string"}},
		{`POST /v1/config/diff`, []string{"$.salt is required", "$.parts is required"}},
		{`POST /v1/config/diff {"salt":null,"parts":{}}`, []string{"$.salt is required"}},
		{`POST /v1/config/diff {"salt":"?","parts":{"server":{"listen":1,"listen":"00"},"store":7},"templates":false}`, []string{"$.salt is not base64",
			"$.parts.server.listen is not a string", "$.parts.server.listen stands twice", "$.parts.store is not an object", "$.templates is not a string"}},
	} {
		t.Run(test.target, func(t *testing.T) {
			d.TB = t
			first := "nothing was done: " + test.faults[0]
			if n := len(test.faults); n > 1 {
				first = fmt.Sprintf("nothing was done: %d faults, the first is %s", n, test.faults[0])
			}
			if got, want := d.refused(test.target, 400), first+"\n"+strings.Join(test.faults, "\n"); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
	d.TB = t
	for _, target := range []string{"/v1/destinations/team/test", "/v1/destinations/team/pause", "/v1/deliveries/x/replay", "/v1/events/event-1/replay",
		"/v1/replay", "/v1/events/purge", "/v1/reload", "/v1/store/backup"} {
		if got := d.refused("POST "+target+` {"type":"`+strings.Repeat("x", 2<<20)+`"}`, 413); got != "the body is larger than 65536 bytes" {
			t.Errorf("%s: got %q", target, got)
		}
		if got := d.refused("POST "+target+` {"type":"x"} {}`, 400); got != "malformed JSON at byte 14: invalid character '{' after top-level value" {
			t.Errorf("%s: got %q", target, got)
		}
	}
	if got, want := d.ask(`POST /v1/config/diff {"salt":"AAE=","parts":{"server":{"listen":"00"}}}`, 200), `{"salt":"AAE=","parts":{"server":{"listen":"00"}},"templates":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := d.list(""); len(got.Deliveries) != 1 {
		t.Errorf("there are %d deliveries", len(got.Deliveries))
	}
}
