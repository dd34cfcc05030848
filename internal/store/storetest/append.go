package storetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/relay-sidecar/relay"
)

func appendReadsBack(b *bench) {
	e := b.event("e1", "k1", "a", "b")
	e.Original = []byte("<original>")
	e.Deliveries[1].Recipient = `{"name":"Ann","email":"ann@example.com"}`
	b.equal("answer", b.append(e), []relay.Appended{{ID: "e1", Deliveries: 2}})
	b.equal("event without deliveries", b.append(b.event("e2", "")), []relay.Appended{{ID: "e2"}})

	for _, when := range []string{"now", "after reopening"} {
		got, err := b.Event(b.ctx, "e1")
		b.must(err)
		b.equal(when+": event", []any{got.ID, got.Key, got.Source, string(got.Body), string(got.Original), got.Created},
			[]any{"e1", "k1", "app", `{"id":"e1"}`, "<original>", e.At})
		if len(got.Deliveries) != 2 {
			b.Fatalf("%s: got %d deliveries, want 2", when, len(got.Deliveries))
		}
		first, second := got.Deliveries[0], got.Deliveries[1]
		if first.ID == "" || first.ID == second.ID {
			b.Fatalf("%s: delivery ids %q and %q", when, first.ID, second.ID)
		}
		if first.NextAttempt == nil || !first.NextAttempt.Equal(e.At) || first.Recipient != nil || first.ReplayOf != nil {
			b.Fatalf("%s: row %+v", when, first)
		}
		b.equal(when+": row", []any{first.EventID, first.EventType, first.Destination, first.Provider, first.State, first.Reason, first.Attempts, first.Created},
			[]any{"e1", "issue.created", "a", "chat", relay.StatePending, "", 0, e.At})
		b.equal(when+": recipient", string(second.Recipient), `{"name":"Ann","email":"ann@example.com"}`)

		byKey, err := b.EventByKey(b.ctx, "k1", "app")
		b.must(err)
		b.equal(when+": by key", byKey.ID, "e1")
		none, err := b.Event(b.ctx, "e2")
		b.must(err)
		if none.Original != nil || len(none.Deliveries) != 0 {
			b.Fatalf("%s: event without deliveries %+v", when, none)
		}
		b.reopen(Options{})
	}
}

func appendDuplicate(b *bench) {
	b.append(b.event("e1", "k", "a", "b"))
	again := b.event("e2", "k", "a", "b", "c") // the routes may have changed: the first one's count is told
	b.equal("answer", b.append(again), []relay.Appended{{ID: "e1", Deliveries: 2, Duplicate: true}})
	b.equal("rows", len(b.rows(relay.DeliveryFilter{})), 2)
	b.reopen(Options{})
	b.equal("answer after reopening", b.append(again), []relay.Appended{{ID: "e1", Deliveries: 2, Duplicate: true}})
	// Events without a key are never duplicates.
	b.append(b.event("e3", "", "a"))
	b.equal("without a key", b.append(b.event("e4", "", "a")), []relay.Appended{{ID: "e4", Deliveries: 1}})
}

func appendConcurrentDuplicates(b *bench) {
	const posts = 50
	var wg sync.WaitGroup
	answers := make([]relay.Appended, posts)
	for i := range posts {
		wg.Go(func() {
			got, err := b.Append(b.ctx, []relay.Accepted{b.event(fmt.Sprint("e", i), "k", "a")})
			if err != nil {
				b.Error(err)
				return
			}
			answers[i] = got[0]
		})
	}
	wg.Wait()
	accepted := 0
	for _, a := range answers {
		if !a.Duplicate {
			accepted++
		}
		if a.ID != answers[0].ID || a.Deliveries != 1 || a.Conflict {
			b.Fatalf("answer %+v beside %+v", a, answers[0])
		}
	}
	b.equal("accepted", accepted, 1)
	b.equal("rows", len(b.rows(relay.DeliveryFilter{})), 1)
}

func appendDuplicateInSlice(b *bench) {
	got := b.append(b.event("e1", "k", "a"), b.event("e2", "k", "a"), b.event("e3", "other", "a"))
	b.equal("answer", got, []relay.Appended{{ID: "e1", Deliveries: 1}, {ID: "e1", Deliveries: 1, Duplicate: true}, {ID: "e3", Deliveries: 1}})
}

func appendConflict(b *bench) {
	b.append(b.event("e1", "k", "a"))
	other := b.event("e2", "k", "a")
	other.Digest[0]++
	b.equal("alone", b.append(other), []relay.Appended{{ID: "e1", Conflict: true}})

	got := b.append(b.event("e3", "new", "a", "b"), b.event("e4", "k", "a"), other, b.event("e5", "", "a"))
	b.equal("in a slice", got, []relay.Appended{{}, {ID: "e1", Deliveries: 1, Duplicate: true}, {ID: "e1", Conflict: true}, {}})

	within := b.event("e7", "fresh", "a")
	within.Digest[0]++
	got = b.append(b.event("e6", "fresh", "a"), within)
	b.equal("within a slice", got, []relay.Appended{{}, {Conflict: true}})

	b.equal("rows", events(b.rows(relay.DeliveryFilter{})), []string{"e1"})
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	b.equal("backlogs", len(backlogs), 1)
	_, err = b.Event(b.ctx, "e3")
	b.is(err, relay.ErrNotFound)
	// What was refused may come again in another shape.
	b.equal("again", b.append(b.event("e8", "new", "a")), []relay.Appended{{ID: "e8", Deliveries: 1}})
}

func appendKeyPerSource(b *bench) {
	b.append(b.event("e1", "k", "a"))
	other := b.event("e2", "k", "a")
	other.Source = "another"
	b.equal("answer", b.append(other), []relay.Appended{{ID: "e2", Deliveries: 1}})
	got, err := b.EventByKey(b.ctx, "k", "another")
	b.must(err)
	b.equal("by key", got.ID, "e2")
}

func appendContextOver(b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err := b.Append(ctx, []relay.Accepted{b.event("e1", "", "a")})
	b.is(err, context.Canceled)
	_, err = b.Event(b.ctx, "e1")
	b.is(err, relay.ErrNotFound)
}

// appendConcurrent mixes what shares a transaction: good slices, conflicts and
// steps, none of which may spoil another.
func appendConcurrent(b *bench) {
	b.append(b.event("first", "taken", "a"))
	const callers, rounds = 8, 10
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range rounds {
				id := fmt.Sprintf("e%d-%d", i, j)
				pair := []relay.Accepted{b.event(id, id, "a"), b.event(id+"x", "", "a", "b")}
				if i%4 == 3 { // a slice that is refused at its end
					bad := b.event(id+"y", "taken", "a")
					bad.Digest[0]++
					pair = append(pair, bad)
				}
				got, err := b.Append(b.ctx, pair)
				if err != nil {
					b.Error(err)
					return
				}
				if i%4 == 3 {
					if !got[2].Conflict || got[0].ID != "" {
						b.Errorf("got %+v, want a conflict", got)
					}
				} else if got[0].ID != id || got[1].ID != id+"x" || got[1].Deliveries != 2 {
					b.Errorf("got %+v for %s", got, id)
				}
				if _, _, err := b.Step(b.ctx, nil, []relay.ClaimRequest{{Lane: relay.Channel("b"), Limit: 1}}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	good := callers * 3 / 4 * rounds
	b.equal("backlogs", len(backlogs), 2)
	b.equal("of a", backlogs[0].Pending, 2*good+1)
	b.equal("of b", backlogs[1].Pending, good)
}

func backlogFull(b *bench) {
	b.reopen(Options{MaxPending: 3})
	first := b.event("e1", "k1", "a", "b")
	b.append(first)
	full := func(events ...relay.Accepted) {
		b.Helper()
		_, err := b.Append(b.ctx, events)
		b.is(err, relay.ErrBacklogFull)
	}
	full(b.event("e2", "k2", "a", "b"))
	full(b.event("e3", "", "a"), b.event("e4", "", "a"))
	conflict := first
	conflict.Digest[0]++
	b.equal("conflict behind a new one", b.append(b.event("e4", "", "d"), conflict)[1].Conflict, true)
	b.append(b.event("e5", "", "c")) // there is room for one, which the conflict gave back
	full(b.event("e6", "", "a"))
	b.append(b.event("e7", "")) // asks for no room
	b.equal("duplicate", b.append(first), []relay.Appended{{ID: "e1", Deliveries: 2, Duplicate: true}})
	b.equal("duplicates", b.append(first, first)[1].Duplicate, true)
	full(first, b.event("e8", "", "a"))
	b.equal("conflict", b.append(conflict)[0].Conflict, true)
	_, err := b.Event(b.ctx, "e2")
	b.is(err, relay.ErrNotFound)

	b.record(b.delivered(b.claim("c", 1)[0])) // what ends makes room
	b.append(b.event("e9", "", "a"))
	full(b.event("e10", "", "a"))
}

func backlogFullDestination(b *bench) {
	b.reopen(Options{MaxPending: 4, MaxPendingPerDestination: 2})
	b.append(b.event("e1", "", "a", "b"), b.event("e2", "", "a"))
	b.equal("third", b.append(b.event("e3", "", "a", "b")), []relay.Appended{{ID: "e3", Deliveries: 2}})
	dead := b.rows(relay.DeliveryFilter{State: relay.StateDead})
	b.equal("dead", events(dead), []string{"e3"})
	b.equal("dead row", []any{dead[0].Destination, dead[0].Reason, dead[0].Attempts}, []any{"a", "backlog full", 0})
	// The store holds four now. What would be dead at once asks for no room.
	b.append(b.event("e4", "", "a", "b"))
	_, err := b.Append(b.ctx, []relay.Accepted{b.event("e5", "", "c")})
	b.is(err, relay.ErrBacklogFull)
	full, nearly, err := b.Full(b.ctx)
	b.must(err)
	b.equal("full", full, []string{"a", "b"})
	b.equal("nearly full", len(nearly), 0)
	// What relay itself has to say is said all the same.
	own := b.event("e6", "", "a")
	own.Own = true
	b.append(own)
	b.equal("waiting", events(b.claim("a", 10)), []string{"e1", "e2", "e6"})
}

func backlogReopened(b *bench) {
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"))
	b.claim("a", 1)
	b.reopen(Options{MaxPending: 2})
	_, err := b.Append(b.ctx, []relay.Accepted{b.event("e3", "", "a")})
	b.is(err, relay.ErrBacklogFull)
}
