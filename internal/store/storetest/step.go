package storetest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

func stepOrder(b *bench) {
	for i := range 5 {
		b.append(b.event(fmt.Sprint("e", i), "", "a"))
	}
	b.equal("first", events(b.claim("a", 2)), []string{"e0", "e1"})
	b.later(time.Second)
	b.append(b.event("e5", "", "a"))
	b.equal("next", events(b.claim("a", 2)), []string{"e2", "e3"})
	b.equal("rest", events(b.claim("a", 10)), []string{"e4", "e5"})
	b.equal("none", len(b.claim("a", 10)), 0)

	got := b.rows(relay.DeliveryFilter{State: relay.StateSending})
	b.equal("sending", len(got), 6)
}

func stepDue(b *bench) {
	ask := func(limit int) (int, relay.Due) {
		b.Helper()
		claimed, due, err := b.Step(b.ctx, nil, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: limit}})
		b.must(err)
		if len(due) != 1 || due[0].Destination != "a" {
			b.Fatalf("got %v, want one Due of a", due)
		}
		return len(claimed), due[0]
	}
	n, due := ask(5)
	b.equal("empty", []any{n, due.At.IsZero()}, []any{0, true})

	start := b.options.Now()
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"))
	n, due = ask(1)
	b.equal("more is due", []any{n, due.At}, []any{1, start})
	n, due = ask(0)
	b.equal("asked for none", []any{n, due.At}, []any{0, start})
	c := b.claim("a", 1)[0]
	again := b.options.Now().Add(time.Minute)
	retry := b.outcome(c, relay.StatePending, relay.Temporary)
	retry.Due = again
	b.record(retry)
	n, due = ask(5)
	b.equal("a retry", []any{n, due.At}, []any{0, again})
	dues, err := b.Dues(b.ctx)
	b.must(err)
	b.equal("dues", dues, []relay.Due{{Lane: relay.Channel("a"), At: again}})
	b.later(time.Minute)
	n, due = ask(5)
	b.equal("when it is due", []any{n, due.At.IsZero()}, []any{1, true})
}

func stepDestinations(b *bench) {
	b.append(b.event("e1", "", "a", "b", "c"), b.event("e2", "", "a", "b"))
	claimed, due, err := b.Step(b.ctx, nil, []relay.ClaimRequest{{Lane: relay.Channel("b"), Limit: 2}, {Lane: relay.Channel("a"), Limit: 1}, {Lane: relay.Channel("d"), Limit: 1}})
	b.must(err)
	var got []string
	for _, c := range claimed {
		got = append(got, c.Destination+" "+c.EventID)
	}
	b.equal("claimed", got, []string{"b e1", "b e2", "a e1"})
	b.equal("due", []any{len(due), due[0].At.IsZero(), due[1].At, due[2].At.IsZero()}, []any{3, true, b.options.Now(), true})
	dues, err := b.Dues(b.ctx)
	b.must(err)
	b.equal("dues", dues, []relay.Due{{Lane: relay.Channel("a"), At: b.options.Now()}, {Lane: relay.Channel("c"), At: b.options.Now()}})
}

func stepRecords(b *bench) {
	e := b.event("e1", "", "a")
	e.Deliveries[0].Recipient = `{"name":"Ann"}`
	b.append(e)
	b.later(3 * time.Second)
	b.equal("claimed of the channel", len(b.claim("a", 1)), 0)
	c := b.claimDirect("a", 1)[0]
	b.equal("claimed", []any{c.EventID, c.EventType, c.Destination, c.Provider, c.Recipient, c.Attempt, c.Ambiguous, c.Created, c.Waited, string(c.Event)},
		[]any{"e1", "issue.created", "a", "chat", `{"name":"Ann"}`, 1, 0, e.At, 3 * time.Second, `{"id":"e1"}`})
	b.later(time.Second)
	outcome := b.outcome(c, relay.StateDead, relay.MessageRefused)
	outcome.Reason = "too long"
	b.record(outcome)

	got, err := b.Delivery(b.ctx, c.ID)
	b.must(err)
	b.equal("row", []any{got.ID, got.State, got.Reason, got.Attempts, got.Updated, got.NextAttempt == nil},
		[]any{c.ID, relay.StateDead, "too long", 1, b.options.Now(), true})
	log, err := json.Marshal(got.Log)
	b.must(err)
	want, err := json.Marshal([]relay.Attempt{*outcome.Attempt})
	b.must(err)
	b.equal("log", string(log), string(want))

	b.append(b.event("e2", "", "a"))
	c = b.claim("a", 1)[0]
	bare := relay.Attempt{Started: relay.Time{Time: b.options.Now()}, Verdict: relay.Skipped}
	b.record(relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StateSkipped, Attempt: &bare})
	got, err = b.Delivery(b.ctx, c.ID)
	b.must(err)
	bare.Attempt = 1
	b.equal("bare log", got.Log, []relay.Attempt{bare})
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	b.equal("backlogs", len(backlogs), 0)
}

func stepRetry(b *bench) {
	b.append(b.event("e1", "", "a"))
	ambiguous := 0
	for i, verdict := range []relay.Verdict{relay.Temporary, relay.Ambiguous, relay.Ambiguous, relay.Ambiguous} {
		c := b.claim("a", 1)[0]
		b.equal("attempt", []int{c.Attempt, c.Ambiguous}, []int{i + 1, ambiguous})
		retry := b.outcome(c, relay.StatePending, verdict)
		if i == 1 {
			retry.Attempt.Lost = true // what a dying plugin held says nothing of the vendor
		} else if verdict == relay.Ambiguous {
			ambiguous++
		}
		retry.Due, retry.Reason = b.options.Now().Add(time.Minute), "busy"
		b.record(retry)
		b.equal("too early", len(b.claim("a", 1)), 0)
		row := b.rows(relay.DeliveryFilter{})[0]
		if row.State != relay.StatePending || row.Reason != "busy" || row.NextAttempt == nil || !row.NextAttempt.Equal(retry.Due) {
			b.Fatalf("row %+v", row)
		}
		b.later(time.Minute)
	}
	c := b.claim("a", 1)[0]
	b.equal("last", []int{c.Attempt, c.Ambiguous}, []int{5, 2})
	// A retry waits behind nobody and holds nobody up.
	b.append(b.event("e2", "", "a"))
	b.equal("the next", events(b.claim("a", 1)), []string{"e2"})
}

func stepRelease(b *bench) {
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"), b.event("e3", "", "a"))
	b.later(time.Second)
	claimed := b.claim("a", 2)
	b.later(time.Second)
	b.record(relay.Outcome{Seq: claimed[0].Seq, Claim: claimed[0].Claim, State: relay.StatePending})
	again := b.claim("a", 3)
	b.equal("order", events(again), []string{"e1", "e3"})
	b.equal("attempt", again[0].Attempt, 1)
	b.equal("waited", again[0].Waited, 2*time.Second)

	later := b.options.Now().Add(time.Hour)
	b.record(relay.Outcome{Seq: again[0].Seq, Claim: again[0].Claim, State: relay.StatePending, Due: later, Reason: "plugin unavailable"})
	got, err := b.Delivery(b.ctx, again[0].ID)
	b.must(err)
	b.equal("row", []any{got.State, got.Reason, got.Attempts, len(got.Log), got.NextAttempt}, []any{relay.StatePending, "plugin unavailable", 0, 0, &later})
}

func stepFence(b *bench) {
	b.append(b.event("e1", "", "a"))
	first := b.claim("a", 1)[0]
	b.record(relay.Outcome{Seq: first.Seq, Claim: first.Claim, State: relay.StatePending})
	second := b.claim("a", 1)[0]
	if first.Claim == second.Claim {
		b.Fatal("two claims are the same")
	}
	b.record(b.outcome(first, relay.StateDead, relay.MessageRefused))
	row, err := b.Delivery(b.ctx, first.ID)
	b.must(err)
	b.equal("after a stale outcome", []any{row.State, row.Attempts, len(row.Log)}, []any{relay.StateSending, 0, 0})
	b.equal("lost", b.LostClaims(), 1)

	b.record(b.delivered(second), b.outcome(second, relay.StateDead, relay.MessageRefused)) // the second one is too late
	row, err = b.Delivery(b.ctx, first.ID)
	b.must(err)
	b.equal("after the true outcome", []any{row.State, row.Attempts, len(row.Log)}, []any{relay.StateDelivered, 1, 1})
	b.equal("lost", b.LostClaims(), 2)
}

func stepOutcomeThenClaim(b *bench) {
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"))
	c := b.claim("a", 1)[0]
	claimed, _, err := b.Step(b.ctx, []relay.Outcome{{Seq: c.Seq, Claim: c.Claim, State: relay.StatePending}}, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 2}})
	b.must(err)
	b.equal("claimed", events(claimed), []string{"e1", "e2"})
	b.equal("fenced anew", claimed[0].Claim != c.Claim, true)
	b.record(b.delivered(claimed[0]), b.delivered(claimed[1]))
	b.equal("delivered", events(b.rows(relay.DeliveryFilter{State: relay.StateDelivered})), []string{"e2", "e1"})
}

func stepWaited(b *bench) {
	b.append(b.event("e1", "", "a"))
	b.later(2 * time.Second)
	c := b.claim("a", 1)[0]
	b.equal("first", c.Waited, 2*time.Second)
	b.later(5 * time.Second) // the attempt takes a while, and is no waiting
	retry := b.outcome(c, relay.StatePending, relay.Temporary)
	retry.Due = b.options.Now().Add(time.Minute)
	b.record(retry)
	b.later(time.Minute + 3*time.Second)
	c = b.claim("a", 1)[0]
	b.equal("second", c.Waited, 5*time.Second)
}

func stepBadState(b *bench) {
	b.append(b.event("e1", "", "a"))
	c := b.claim("a", 1)[0]
	for _, state := range []relay.State{"", relay.StateSending, relay.StateHeld, "lost"} {
		_, _, err := b.Step(b.ctx, []relay.Outcome{{Seq: c.Seq, Claim: c.Claim, State: state}}, nil)
		if err == nil {
			b.Fatalf("state %q was taken", state)
		}
	}
	b.record(b.delivered(c))
	b.equal("lost", b.LostClaims(), 0)
}

func stepSlims(b *bench) {
	b.append(b.event("e1", "", "a"))
	var id string
	for range 3 {
		c := b.claim("a", 1)[0]
		id = c.ID
		b.record(b.outcome(c, relay.StatePending, relay.Temporary))
	}
	got, err := b.Delivery(b.ctx, id)
	b.must(err)
	var bodies []bool
	for _, a := range got.Log {
		bodies = append(bodies, a.Message != nil && a.Request.Body != "" && a.Response.Body != "")
		b.equal("a step's name", a.Steps[0].Name, "open")
		b.equal("a step's bodies", a.Steps[0].Request.Body != "" && a.Steps[0].Response.Body != "", a.Message != nil)
		b.equal("status", []any{a.Response.Status, a.Request.URL, a.TemplateError.Message}, []any{200, "https://chat.example/<secret>", "x is not defined"})
	}
	b.equal("bodies", bodies, []bool{true, false, true})
}

func reopenSending(b *bench) {
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"), b.event("e3", "", "a"))
	b.later(time.Second)
	retry := b.outcome(b.claim("a", 1)[0], relay.StatePending, relay.Temporary)
	b.record(retry)
	sending := b.claim("a", 2)
	at := b.options.Now()
	b.reopen(Options{})
	for _, c := range sending {
		row, err := b.Delivery(b.ctx, c.ID)
		b.must(err)
		b.equal("interrupted", *row.Interrupted, at)
	}
	b.equal("sending", len(b.rows(relay.DeliveryFilter{State: relay.StateSending})), 0)
	b.later(time.Second)
	claimed := b.claim("a", 10)
	b.equal("order", events(claimed), []string{"e1", "e2", "e3"})
	b.equal("attempts", []int{claimed[0].Attempt, claimed[1].Attempt}, []int{2, 1})
	b.equal("waited", claimed[1].Waited, 2*time.Second)
}

func reopenFence(b *bench) {
	b.append(b.event("e1", "", "a"))
	old := b.claim("a", 1)[0]
	b.reopen(Options{})
	b.record(b.delivered(old)) // pending again
	c := b.claim("a", 1)[0]
	b.record(b.delivered(old)) // claimed by another
	b.equal("lost", b.LostClaims(), 2)
	if c.Claim == old.Claim {
		b.Fatal("a claim of an earlier run was made again")
	}
	b.equal("state", b.rows(relay.DeliveryFilter{})[0].State, relay.StateSending)
}

func stepResend(b *bench) {
	b.append(b.event("e1", "", "a"))
	try := func(verdict relay.Verdict, resend string) relay.Claimed {
		c := b.claim("a", 1)[0]
		o := b.outcome(c, relay.StatePending, verdict)
		o.Attempt.Resend, o.Attempt.Resent = []byte(resend), len(c.Resend) > 0
		b.record(o)
		return c
	}
	b.equal("at first", string(try(relay.Ambiguous, "one \x00\xff").Resend), "")
	b.reopen(b.options)
	b.equal("after an ambiguous one", string(try(relay.Ambiguous, "two").Resend), "one \x00\xff")
	b.equal("and after another", string(try(relay.Temporary, "").Resend), "two")
	b.equal("after a temporary one", string(try(relay.Ambiguous, "").Resend), "")
	b.equal("after one that left nothing", string(try(relay.Temporary, "").Resend), "")
	d, err := b.Delivery(b.ctx, b.rows(relay.DeliveryFilter{})[0].ID)
	b.must(err)
	var resent []bool
	for _, a := range d.Log {
		resent = append(resent, a.Resent)
	}
	b.equal("the log", resent, []bool{false, true, true, false, false})
}
