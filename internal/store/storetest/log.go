package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

func pauseHeld(b *bench) {
	b.append(b.event("e1", "", "a", "b"), b.event("e2", "", "a"))
	b.claim("a", 1)
	b.must(b.Pause(b.ctx, relay.Pause{Lane: relay.Channel("a"), Reason: "token revoked", Since: b.options.Now(), Settings: "s1"}))
	held := b.rows(relay.DeliveryFilter{State: relay.StateHeld})
	b.equal("held", events(held), []string{"e2"})
	b.equal("held row", []any{held[0].State, held[0].Reason, held[0].NextAttempt == nil}, []any{relay.StateHeld, "token revoked", true})
	b.equal("pending", events(b.rows(relay.DeliveryFilter{State: relay.StatePending})), []string{"e1"})
	b.equal("sending", events(b.rows(relay.DeliveryFilter{State: relay.StateSending})), []string{"e1"})
	one, err := b.Delivery(b.ctx, held[0].ID)
	b.must(err)
	b.equal("alone", one.State, relay.StateHeld)
	b.equal("claimed all the same", events(b.claim("a", 1)), []string{"e2"})

	b.must(b.Resume(b.ctx, relay.Channel("a")))
	b.must(b.Resume(b.ctx, relay.Channel("a")))
	b.equal("held after resume", len(b.rows(relay.DeliveryFilter{State: relay.StateHeld})), 0)
}

func pauseReopened(b *bench) {
	first := relay.Pause{Probe: true, Lane: relay.Channel("a"), Reason: "gone", Since: b.options.Now(), Settings: "s1"}
	second := relay.Pause{Lane: relay.Channel("b"), Reason: "by hand", Since: b.options.Now().Add(time.Second), Manual: true}
	b.must(b.Pause(b.ctx, relay.Pause{Lane: relay.Channel("a"), Reason: "earlier"}))
	b.must(b.Pause(b.ctx, second))
	b.must(b.Pause(b.ctx, first))
	b.reopen(Options{})
	got, err := b.Pauses(b.ctx)
	b.must(err)
	b.equal("pauses", got, []relay.Pause{first, second})
}

func logFilters(b *bench) {
	start := b.options.Now()
	e1 := b.event("e1", "", "a", "b")
	e1.Deliveries[1].Recipient = `{"name":"Ann 100%","email":"ann@example.com"}`
	b.append(e1)
	b.later(time.Hour)
	e2 := b.event("e2", "", "a", "c")
	e2.Type = "pipeline.failed"
	b.append(e2)
	b.later(time.Hour)
	b.append(b.event("e3", "", "a"))
	claimed := b.claim("a", 2)
	b.record(b.delivered(claimed[0]), b.outcome(claimed[1], relay.StateDead, relay.MessageRefused))
	b.record(b.outcome(b.claim("c", 1)[0], relay.StateExpired, relay.Temporary))

	for _, c := range []struct {
		name   string
		filter relay.DeliveryFilter
		want   string
	}{
		{"nothing", relay.DeliveryFilter{}, "e3 a, e2 c, e2 a, e1 b, e1 a"},
		{"destination", relay.DeliveryFilter{Destination: "a"}, "e3 a, e2 a, e1 a"},
		{"unknown destination", relay.DeliveryFilter{Destination: "z"}, ""},
		{"delivered", relay.DeliveryFilter{State: relay.StateDelivered}, "e1 a"},
		{"dead", relay.DeliveryFilter{State: relay.StateDead}, "e2 a"},
		{"expired", relay.DeliveryFilter{State: relay.StateExpired}, "e2 c"},
		{"skipped", relay.DeliveryFilter{State: relay.StateSkipped}, ""},
		{"pending", relay.DeliveryFilter{State: relay.StatePending}, "e3 a, e1 b"},
		{"pending of a destination", relay.DeliveryFilter{State: relay.StatePending, Destination: "b"}, "e1 b"},
		{"dead of an event", relay.DeliveryFilter{State: relay.StateDead, EventID: "e2"}, "e2 a"},
		{"type", relay.DeliveryFilter{Type: "pipeline.failed"}, "e2 c, e2 a"},
		{"event", relay.DeliveryFilter{EventID: "e1"}, "e1 b, e1 a"},
		{"unknown event", relay.DeliveryFilter{EventID: "e9"}, ""},
		{"recipient", relay.DeliveryFilter{Recipient: "ANN@"}, "e1 b"},
		{"recipient with a sign of LIKE", relay.DeliveryFilter{Recipient: "100%"}, "e1 b"},
		{"no sign of LIKE", relay.DeliveryFilter{Recipient: "a_n@"}, ""},
		{"no key of the recipient's JSON", relay.DeliveryFilter{Recipient: "email"}, ""},
		{"since", relay.DeliveryFilter{Since: start.Add(time.Hour)}, "e3 a, e2 c, e2 a"},
		{"until", relay.DeliveryFilter{Until: start.Add(time.Hour)}, "e1 b, e1 a"},
		{"between", relay.DeliveryFilter{Since: start.Add(time.Minute), Until: start.Add(2 * time.Hour), Destination: "c"}, "e2 c"},
	} {
		var got []string
		for _, d := range b.rows(c.filter) {
			got = append(got, d.EventID+" "+d.Destination)
		}
		b.equal(c.name, strings.Join(got, ", "), c.want)
	}
}

func logCursor(b *bench) {
	for i := range 10 {
		b.append(b.event(fmt.Sprint("e", i), "", "a"))
	}
	var got []string
	filter := relay.DeliveryFilter{Limit: 4}
	for page := 0; ; page++ {
		rows, next, err := b.Deliveries(b.ctx, filter)
		b.must(err)
		got = append(got, events(rows)...)
		if next == 0 {
			b.equal("pages", page, 2)
			break
		}
		b.equal("page", len(rows), 4)
		filter.Before = next
		b.append(b.event(fmt.Sprint("new", page), "", "a"))
	}
	b.equal("all", strings.Join(got, " "), "e9 e8 e7 e6 e5 e4 e3 e2 e1 e0")
	_, next, err := b.Deliveries(b.ctx, relay.DeliveryFilter{Limit: 12})
	b.must(err)
	b.equal("a last page that is full", next, 0)
}

func logNotFound(b *bench) {
	b.append(b.event("e1", "", "a"))
	_, err := b.Delivery(b.ctx, "nothing")
	b.is(err, relay.ErrNotFound)
	_, err = b.Event(b.ctx, "nothing")
	b.is(err, relay.ErrNotFound)
	_, err = b.EventByKey(b.ctx, "", "app") // events without a key are not found by it
	b.is(err, relay.ErrNotFound)
}

func pruneFinished(b *bench) {
	b.append(b.event("old", "k", "a", "b"), b.event("done", "", "a"), b.event("open", "", "b"))
	for _, c := range b.claim("a", 2) {
		b.record(b.delivered(c))
	}
	b.later(time.Hour)
	limit := b.options.Now()
	b.append(b.event("new", "", "c"))
	late := b.claim("c", 1)[0]
	b.record(b.delivered(late))

	n, err := b.Prune(b.ctx, limit, 100)
	b.must(err)
	b.equal("deleted", n, 2)
	b.equal("rows", events(b.rows(relay.DeliveryFilter{})), []string{"new", "open", "old"})
	_, err = b.Event(b.ctx, "done")
	b.is(err, relay.ErrNotFound)
	old, err := b.Event(b.ctx, "old") // one of its deliveries is still to come
	b.must(err)
	b.equal("left of old", len(old.Deliveries), 1)
	b.equal("duplicate within the retention", b.append(b.event("again", "k"))[0], relay.Appended{ID: "old", Deliveries: 2, Duplicate: true})

	row, err := b.Delivery(b.ctx, late.ID)
	b.must(err)
	b.equal("log of what stayed", len(row.Log), 1)
	b.record(b.delivered(b.claim("b", 1)[0]))
	b.later(time.Hour)
	n, err = b.Prune(b.ctx, b.options.Now(), 100)
	b.must(err)
	b.equal("deleted later", n, 2)
	b.equal("a key is free again", b.append(b.event("again", "k"))[0].Duplicate, false)
	b.equal("what is open stays", events(b.rows(relay.DeliveryFilter{})), []string{"open"})
}

func pruneLimit(b *bench) {
	const n = 450 // more than one step
	var batch []relay.Accepted
	for i := range n {
		batch = append(batch, b.event(fmt.Sprint("e", i), "", "a"))
	}
	b.append(batch...)
	b.append(b.event("unwanted", ""), b.event("unwanted too", ""))
	var outcomes []relay.Outcome
	for _, c := range b.claim("a", n) {
		outcomes = append(outcomes, b.delivered(c))
	}
	b.record(outcomes...)
	b.later(time.Hour)
	for _, c := range []struct{ limit, want int }{{420, 420}, {31, 31}, {100, 1}, {100, 0}} {
		got, err := b.Prune(b.ctx, b.options.Now(), c.limit)
		b.must(err)
		b.equal("deleted", got, c.want)
	}
	_, err := b.Event(b.ctx, "unwanted")
	b.is(err, relay.ErrNotFound)
	// Attempts are gone with their deliveries: new rows have none of theirs.
	b.append(b.event("fresh", "", "a"))
	row, err := b.Delivery(b.ctx, b.rows(relay.DeliveryFilter{})[0].ID)
	b.must(err)
	b.equal("log", len(row.Log), 0)
}

func closeTwice(b *bench) {
	b.must(b.Close())
	b.must(b.Close())
	_, err := b.Append(b.ctx, []relay.Accepted{b.event("e1", "", "a")})
	b.is(err, relay.ErrClosed)
	_, _, err = b.Step(b.ctx, nil, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 1}})
	b.is(err, relay.ErrClosed)
	if _, err = b.Event(b.ctx, "e1"); !errors.Is(err, relay.ErrClosed) {
		b.Fatalf("got %v, want %v", err, relay.ErrClosed)
	}
}
