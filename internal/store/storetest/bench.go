package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
)

// bench is a store on the work bench: opened, with a clock that stands still
// until it is moved, and short words for what every test does.
type bench struct {
	*testing.T
	Store
	open    Open
	dir     string
	options Options
	ctx     context.Context

	mu  sync.Mutex // guards now
	now time.Time
}

func newBench(t *testing.T, open Open) *bench {
	b := &bench{T: t, open: open, dir: t.TempDir(), ctx: t.Context(), now: time.UnixMilli(1_795_000_000_000).UTC()}
	b.options.Now = func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.now
	}
	b.start(b.options)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func (b *bench) start(o Options) {
	b.Helper()
	o.Now = b.options.Now
	s, err := b.open(b.dir, o)
	b.must(err)
	b.Store = s
}

// reopen closes the store and opens it again.
func (b *bench) reopen(o Options) {
	b.Helper()
	b.must(b.Close())
	b.start(o)
}

// later moves the clock.
func (b *bench) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("got error %v, want %v", err, want)
	}
}

// equal compares by what is printed, which is good enough for plain data.
func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		b.Fatalf("%s: got %s, want %s", what, g, w)
	}
}

// event makes an event for destinations. Without a key it is always new.
func (b *bench) event(id, key string, destinations ...string) relay.Accepted {
	e := relay.Accepted{
		ID: id, Key: key, Source: "app", Type: "issue.created", Level: relay.LevelWarn, Title: "title of " + id,
		Body: []byte(`{"id":"` + id + `"}`), Digest: sha256.Sum256([]byte("body of " + key)), At: b.options.Now(),
	}
	for _, d := range destinations {
		e.Deliveries = append(e.Deliveries, relay.NewDelivery{Destination: d, Provider: "chat"})
	}
	return e
}

// append stores events that must be taken.
func (b *bench) append(events ...relay.Accepted) []relay.Appended {
	b.Helper()
	got, err := b.Append(b.ctx, events)
	b.must(err)
	if len(got) != len(events) {
		b.Fatalf("got %d answers to %d events", len(got), len(events))
	}
	return got
}

// claim takes at most n of a destination's channel, claimDirect of its direct messages.
func (b *bench) claim(destination string, n int) []relay.Claimed {
	b.Helper()
	return b.claimLane(relay.Channel(destination), n)
}

func (b *bench) claimDirect(destination string, n int) []relay.Claimed {
	b.Helper()
	return b.claimLane(relay.Direct(destination), n)
}

func (b *bench) claimLane(lane relay.Lane, n int) []relay.Claimed {
	b.Helper()
	claimed, _, err := b.Step(b.ctx, nil, []relay.ClaimRequest{{Lane: lane, Limit: n}})
	b.must(err)
	return claimed
}

// record ends claims.
func (b *bench) record(outcomes ...relay.Outcome) {
	b.Helper()
	_, _, err := b.Step(b.ctx, outcomes, nil)
	b.must(err)
}

// delivered is the outcome of a claim that went well.
func (b *bench) delivered(c relay.Claimed) relay.Outcome {
	return b.outcome(c, relay.StateDelivered, relay.Delivered)
}

// outcome is one with an attempt whose every field is set.
func (b *bench) outcome(c relay.Claimed, state relay.State, verdict relay.Verdict) relay.Outcome {
	wait := int64(1500)
	return relay.Outcome{
		Seq: c.Seq, Claim: c.Claim, State: state,
		Attempt: &relay.Attempt{
			Attempt: c.Attempt, Started: relay.Time{Time: b.options.Now()}, DurationMS: 12, Template: "chat/default.ts", TemplateRevision: "r1",
			TemplateError: &relay.TemplateError{Message: "x is not defined"},
			Message:       json.RawMessage(`{"text":"hello"}`),
			Request:       &relay.Request{Method: "POST", URL: "https://chat.example/<secret>", Headers: map[string]string{"A": "b"}, Body: "question"},
			Response:      &relay.Response{Status: 200, Headers: map[string]string{"C": "d"}, Body: "answer"},
			Steps: []relay.Step{{Name: "open", DurationMS: 3, Request: &relay.Request{Method: "POST", URL: "https://chat.example/<secret>", Body: "who"},
				Response: &relay.Response{Status: 200, Body: "you"}}},
			Verdict: verdict, RetryAfterMS: &wait, Receipt: "r-1", Error: "none",
		},
	}
}

// rows lists deliveries.
func (b *bench) rows(f relay.DeliveryFilter) []relay.Delivery {
	b.Helper()
	rows, _, err := b.Deliveries(b.ctx, f)
	b.must(err)
	return rows
}

// events are the event ids of claims or rows, in order.
func events[T relay.Claimed | relay.Delivery](list []T) []string {
	var ids []string
	for _, x := range list {
		switch x := any(x).(type) {
		case relay.Claimed:
			ids = append(ids, x.EventID)
		case relay.Delivery:
			ids = append(ids, x.EventID)
		}
	}
	return ids
}
