package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// direct makes an event with a direct message to each of people, by one letter
// a person.
func (b *bench) direct(id, destination string, f relay.Fallback, people string) relay.Accepted {
	e := b.event(id, "")
	for _, p := range people {
		e.Deliveries = append(e.Deliveries, relay.NewDelivery{
			Destination: destination, Provider: "chat", Recipient: fmt.Sprintf(`{"name":"%c"}`, p), Fallback: f,
		})
	}
	return e
}

// matched is the outcome of a look-up that found somebody.
func (b *bench) matched(c relay.Claimed, user string) relay.Outcome {
	return relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StatePending, Match: &relay.Match{
		User: user, By: "email", At: relay.Time{Time: b.options.Now()}, Steps: []relay.Step{{Name: "lookup", Response: &relay.Response{Status: 200}}},
	}}
}

func (b *bench) unmatched(c relay.Claimed) relay.Outcome {
	return b.outcome(c, relay.StateDead, relay.Unmatched)
}

// fellBack are the deliveries that direct messages fell back to.
func (b *bench) fellBack() []relay.Delivery {
	b.Helper()
	var out []relay.Delivery
	for _, d := range b.rows(relay.DeliveryFilter{}) {
		if d.Fallback {
			out = append(out, d)
		}
	}
	return out
}

func directApart(b *bench) {
	e := b.direct("e1", "a", relay.FallbackNoneMatched, "x")
	e.Deliveries = append(e.Deliveries, relay.NewDelivery{Destination: "a", Provider: "chat"})
	b.append(e)
	dues, err := b.Dues(b.ctx)
	b.must(err)
	b.equal("dues", dues, []relay.Due{{Lane: relay.Channel("a"), At: e.At}, {Lane: relay.Direct("a"), At: e.At}})
	b.must(b.Pause(b.ctx, relay.Pause{Lane: relay.Direct("a"), Reason: "bad token", Since: b.options.Now()}))
	held := b.rows(relay.DeliveryFilter{State: relay.StateHeld})
	b.equal("held", []any{len(held), held[0].Part, held[0].Reason}, []any{1, relay.PartDirect, "bad token"})
	pending := b.rows(relay.DeliveryFilter{State: relay.StatePending})
	b.equal("pending", []any{len(pending), pending[0].Part}, []any{1, relay.PartChannel})
	b.must(b.Resume(b.ctx, relay.Channel("a")))
	b.equal("still held", len(b.rows(relay.DeliveryFilter{State: relay.StateHeld})), 1)
	b.must(b.Resume(b.ctx, relay.Direct("a")))
	b.equal("held after resume", len(b.rows(relay.DeliveryFilter{State: relay.StateHeld})), 0)
	b.equal("claimed of the channel", len(b.claim("a", 9)), 1)
	b.equal("claimed of the people", len(b.claimDirect("a", 9)), 1)
}

func directMatch(b *bench) {
	b.append(b.direct("e1", "a", relay.FallbackNoneMatched, "x"), b.direct("e2", "a", relay.FallbackNoneMatched, "y"))
	c := b.claimDirect("a", 1)[0]
	b.equal("user before", c.User, "")
	b.later(time.Second)
	b.record(b.matched(c, "U1"))
	again := b.claimDirect("a", 2)
	b.equal("order", events(again), []string{"e1", "e2"})
	b.equal("claimed", []any{again[0].User, again[0].Attempt, again[0].Waited}, []any{"U1", 1, time.Second})
	b.record(b.delivered(again[0]))
	got, err := b.Delivery(b.ctx, c.ID)
	b.must(err)
	b.equal("row", []any{got.User, got.Part, got.State, got.Match.By, got.Match.Steps[0].Name, got.Attempts}, []any{"U1", relay.PartDirect, relay.StateDelivered, "email", "lookup", 1})
	b.equal("fallbacks", len(b.fellBack()), 0)
}

func directTwin(b *bench) {
	b.append(b.direct("e1", "a", relay.FallbackAnyUnmatched, "xyz"), b.direct("e2", "a", relay.FallbackAnyUnmatched, "x"))
	c := b.claimDirect("a", 4)
	b.record(b.matched(c[0], "U1"), b.matched(c[1], "U1"), b.matched(c[2], "U2"), b.matched(c[3], "U1"))
	second, err := b.Delivery(b.ctx, c[1].ID)
	b.must(err)
	b.equal("the twin", []any{second.State, second.Reason, second.User}, []any{relay.StateSkipped, "the same person as delivery " + c[0].ID, ""})
	b.equal("the others", events(b.claimDirect("a", 9)), []string{"e1", "e1", "e2"})
	b.equal("fallbacks", len(b.fellBack()), 0)
}

// directFallback plays every policy through every end of three recipients: m
// is matched and delivered, r matched and refused, u unmatched, s skipped by
// the template.
func directFallback(b *bench) {
	for _, c := range []struct {
		policy relay.Fallback
		ends   string
		want   bool
	}{
		{relay.FallbackNoneMatched, "mmm", false}, {relay.FallbackNoneMatched, "uum", false}, {relay.FallbackNoneMatched, "uur", false},
		{relay.FallbackNoneMatched, "uuu", true}, {relay.FallbackNoneMatched, "u", true}, {relay.FallbackNoneMatched, "us", false},
		{relay.FallbackAnyUnmatched, "mmm", false}, {relay.FallbackAnyUnmatched, "rrr", false}, {relay.FallbackAnyUnmatched, "mum", true},
		{relay.FallbackAnyUnmatched, "uuu", true}, {relay.FallbackAnyUnmatched, "um", true},
		{relay.FallbackAnyFailed, "mmm", false}, {relay.FallbackAnyFailed, "mrm", true}, {relay.FallbackAnyFailed, "mmu", true}, {relay.FallbackAnyFailed, "ms", false},
		{relay.FallbackNoneDelivered, "rum", false}, {relay.FallbackNoneDelivered, "rur", true}, {relay.FallbackNoneDelivered, "uuu", true},
		{relay.FallbackNoneDelivered, "us", false}, {relay.FallbackNoneDelivered, "mm", false},
		{relay.FallbackNoneMatched, "n", true}, {relay.FallbackNoneMatched, "un", true}, {relay.FallbackNoneMatched, "nm", false},
		{relay.FallbackAnyUnmatched, "mn", true}, {relay.FallbackNoneDelivered, "nr", true},
		{relay.FallbackNever, "uuu", false}, {relay.FallbackNever, "r", false},
	} {
		name := fmt.Sprintf("%s %s", c.policy, c.ends)
		destination := strings.ReplaceAll(name, " ", "-")
		b.append(b.direct(name, destination, c.policy, c.ends))
		// One after the other, so that every order of the last word comes up.
		ids := map[string]byte{}
		for i, claimed := range b.claimDirect(destination, len(c.ends)) {
			ids[claimed.ID] = c.ends[i]
			if c.ends[i] == 'u' {
				b.record(b.unmatched(claimed))
			} else {
				b.record(b.matched(claimed, fmt.Sprint("U", i)))
			}
		}
		for {
			claimed := b.claimDirect(destination, 1)
			if len(claimed) == 0 {
				break
			}
			switch ids[claimed[0].ID] {
			case 'm':
				b.record(b.delivered(claimed[0]))
			case 'r':
				b.record(b.outcome(claimed[0], relay.StateDead, relay.RecipientRefused))
			case 'n': // the id that the event gave is nobody's
				b.record(b.outcome(claimed[0], relay.StateDead, relay.Unmatched))
			case 's':
				b.record(b.outcome(claimed[0], relay.StateSkipped, relay.Skipped))
			}
		}
		made := 0
		for _, row := range b.fellBack() {
			if row.Destination == destination {
				made++
				b.equal(name+": row", []any{row.Part, row.Provider, row.State, row.Recipient == nil}, []any{relay.PartChannel, "chat", relay.StatePending, true})
			}
		}
		want := 0
		if c.want {
			want = 1
		}
		b.equal(name+": fallbacks", made, want)
	}
}

func directFallbackPlace(b *bench) {
	e1 := b.direct("e1", "a", relay.FallbackNoneMatched, "xy")
	b.append(e1)
	b.later(time.Minute)
	b.append(b.event("e2", "", "a"))
	b.later(time.Minute)
	claimed := b.claimDirect("a", 2)
	b.record(b.unmatched(claimed[0]))
	b.equal("fallbacks before the last word", len(b.fellBack()), 0)
	got, due, err := b.Step(b.ctx, []relay.Outcome{b.unmatched(claimed[1])}, nil)
	b.must(err)
	b.equal("step", []any{len(got), due}, []any{0, []relay.Due{{Lane: relay.Channel("a"), At: e1.At}}})
	channel := b.claim("a", 2)
	b.equal("order", events(channel), []string{"e1", "e2"})
	b.equal("waited", channel[0].Waited, 2*time.Minute)
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	b.equal("backlog", backlogs[0].Pending, 2)
}

func directHeld(b *bench) {
	b.append(b.direct("e1", "a", relay.FallbackNoneDelivered, "xy"), b.direct("e2", "a", relay.FallbackNoneMatched, "x"),
		b.direct("e3", "a", relay.FallbackNoneDelivered, "xy"), b.direct("e4", "b", relay.FallbackNoneDelivered, "x"))
	done := b.claimDirect("a", 4)[3] // e3's first recipient
	b.record(b.delivered(done))
	b.reopen(Options{}) // gives the rest back
	before := b.options.Now()
	b.later(time.Minute)
	b.append(b.direct("e5", "a", relay.FallbackNoneDelivered, "x")) // not held for long yet
	made, err := b.FallBackHeld(b.ctx, "a", before, 10)
	b.must(err)
	rows := b.fellBack()
	b.equal("made", []any{made, events(rows)}, []any{1, []string{"e1"}})
	made, err = b.FallBackHeld(b.ctx, "a", before, 10)
	b.must(err)
	b.equal("made again", made, 0)
	b.equal("still there", len(b.claimDirect("a", 9)), 5)
}

func directReopened(b *bench) {
	b.append(b.direct("e1", "a", relay.FallbackNoneMatched, "xy"))
	claimed := b.claimDirect("a", 2)
	b.record(b.unmatched(claimed[0]))
	b.reopen(Options{})
	again := b.claimDirect("a", 2)
	b.equal("again", []any{len(again), again[0].ID}, []any{1, claimed[1].ID})
	b.record(b.unmatched(again[0]))
	b.equal("fallbacks", events(b.fellBack()), []string{"e1"})
}

func replayDirect(b *bench) {
	b.append(b.direct("e1", "a", relay.FallbackNoneMatched, "xy"), b.event("e2", "", "a"))
	claimed := b.claimDirect("a", 2)
	_, _, err := b.Replay(b.ctx, claimed[0].ID)
	b.is(err, relay.ErrUnfinished)
	_, _, err = b.Replay(b.ctx, "no such")
	b.is(err, relay.ErrNotFound)
	b.record(b.unmatched(claimed[0]), b.matched(claimed[1], "U2"))
	b.later(time.Hour)
	id, lane, err := b.Replay(b.ctx, claimed[0].ID)
	b.must(err)
	b.equal("lane", lane, relay.Direct("a"))
	row, err := b.Delivery(b.ctx, id)
	b.must(err)
	b.equal("row", []any{*row.ReplayOf, string(row.Recipient), row.User, row.State, row.Created, row.Attempts},
		[]any{claimed[0].ID, `{"name":"x"}`, "", relay.StatePending, b.options.Now(), 0})
	// The live one goes first; nothing of the replay touches the fallback.
	both := b.claimDirect("a", 2)
	b.equal("order", []any{both[0].ID, both[1].ID}, []any{claimed[1].ID, id})
	b.record(b.outcome(both[0], relay.StateDead, relay.RecipientRefused), b.unmatched(both[1]))
	b.equal("fallbacks", len(b.fellBack()), 0)
	again, _, err := b.Replay(b.ctx, id)
	b.must(err)
	b.record(b.matched(b.claimDirect("a", 1)[0], "U2")) // who got the original is no twin of a replay
	row, err = b.Delivery(b.ctx, again)
	b.must(err)
	b.equal("replay of a replay", []any{row.State, row.User}, []any{relay.StatePending, "U2"})
}

func identitiesKept(b *bench) {
	now := b.options.Now()
	b.must(b.Identify(b.ctx, []relay.Identity{
		{Account: "s1", By: "email", Value: "ann@example.com", User: "U1", Until: now.Add(time.Hour)},
		{Account: "s1", By: "email", Value: "bob@example.com", Until: now.Add(time.Minute)},
		{Account: "s2", By: "email", Value: "ann@example.com", User: "U9", Until: now.Add(time.Hour)},
	}))
	b.must(b.Identify(b.ctx, []relay.Identity{{Account: "s1", By: "email", Value: "ann@example.com", User: "U2", Until: now.Add(2 * time.Hour)}}))
	b.later(30 * time.Minute)
	b.reopen(Options{})
	all, err := b.Identities(b.ctx)
	b.must(err)
	b.equal("identities", all, []relay.Identity{
		{Account: "s1", By: "email", Value: "ann@example.com", User: "U2", Until: now.Add(2 * time.Hour)},
		{Account: "s2", By: "email", Value: "ann@example.com", User: "U9", Until: now.Add(time.Hour)},
	})
}
