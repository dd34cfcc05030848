package api_test

import (
	"context"
	"errors"
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
		{`POST /v1/replay {"destination":1,"dry_run":"yes","until":"soon","limit":"3","Type":"x"}`, 400, "the filter has faults\n$.destination is not a string\n$.dry_run is not true or false\n" +
			"$.Type is not known; filter by destination, state, type, event, recipient, q, since, until\n$.limit is not known; filter by destination, state, type, event, recipient, q, since, until\n" +
			`$.until "soon" is not RFC 3339, such as 2026-11-21T08:00:00Z`},
		{`POST /v1/replay {"state":"lost"}`, 400, "the filter has faults\n" + `$.state "lost" is no state; write one of pending, sending, held, delivered, skipped, dead, expired`},
		{`POST /v1/replay []`, 400, "the body is not what is taken here: json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{"POST /v1/events/event-1/replay", 409, "event event-1 has deliveries that are not over yet; only what is over can be replayed"},
		{"POST /v1/events/purge", 400, "say who is to be forgotten\n$.recipient is not the email, phone or id of a person"},
		{`POST /v1/events/purge {"recipient":" a "}`, 400, "say who is to be forgotten\n$.recipient is not the email, phone or id of a person"},
		{`POST /v1/events/purge {"email":"ann@example.com"}`, 400, `the body is not what is taken here: json: unknown field "email"`},
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
