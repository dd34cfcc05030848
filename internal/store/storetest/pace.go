package storetest

import (
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

// claimPaced is claim for a lane with limits.
func (b *bench) claimPaced(lane relay.Lane, n int) []relay.Claimed {
	b.Helper()
	claimed, _, err := b.Step(b.ctx, nil, []relay.ClaimRequest{{Lane: lane, Limit: n, Paced: true}})
	b.must(err)
	return claimed
}

func (b *bench) pace(lane relay.Lane, since time.Time) relay.Pace {
	b.Helper()
	p, err := b.Pace(b.ctx, lane, since)
	b.must(err)
	return p
}

func paceReopened(b *bench) {
	began := b.options.Now()
	for i := range 5 {
		b.append(b.event(fmt.Sprint("e", i), "", "a", "free"))
	}
	channel := relay.Channel("a")
	send := func() time.Time {
		c := b.claimPaced(channel, 1)[0]
		o := b.delivered(c)
		at := b.options.Now()
		b.later(time.Second)
		b.record(o)
		return at
	}
	first, second := send(), send()
	b.record(b.delivered(b.claim("free", 1)[0]))
	given := b.claimPaced(channel, 1)[0] // given back: not a start
	b.record(relay.Outcome{Seq: given.Seq, Claim: given.Claim, State: relay.StatePending})
	cut := b.options.Now()
	b.claimPaced(channel, 1) // relay ends before there is an answer
	b.reopen(b.options)
	b.later(time.Second)
	var got []time.Time
	for _, s := range b.pace(channel, began).Starts {
		got = append(got, s.At)
	}
	b.equal("starts", got, []time.Time{first, second, cut})
	b.equal("later starts", len(b.pace(channel, second).Starts), 2)
	b.equal("of a lane without limits", len(b.pace(relay.Channel("free"), began).Starts), 0)

	// Of direct messages it is told who they were for.
	e := b.event("direct", "")
	e.Deliveries = []relay.NewDelivery{{Destination: "a", Provider: "chat", Recipient: `{"email":"ann@example.com"}`}}
	b.append(e)
	lane := relay.Direct("a")
	c := b.claimPaced(lane, 1)[0]
	b.record(relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StatePending, Match: &relay.Match{User: "U1", By: "email"}})
	b.equal("starts after a look-up", len(b.pace(lane, began).Starts), 0)
	b.record(b.delivered(b.claimPaced(lane, 1)[0]))
	starts := b.pace(lane, began).Starts
	b.equal("starts of a message", len(starts), 1)
	b.equal("who it was for", starts[0].User, "U1")
}

func paceWait(b *bench) {
	b.append(b.event("e1", "", "a"))
	c := b.claim("a", 1)[0]
	o := b.outcome(c, relay.StatePending, relay.Temporary)
	wait := int64(60_000)
	o.Attempt.RetryAfterMS = &wait
	o.Due = b.options.Now().Add(time.Minute)
	want := b.options.Now().Add(time.Minute + 12*time.Millisecond) // from the end of the attempt on
	b.later(time.Second)
	b.record(o)
	b.reopen(b.options)
	b.equal("closed until", b.pace(relay.Channel("a"), b.options.Now()).Closed, want)
	b.equal("another lane", b.pace(relay.Channel("b"), b.options.Now()).Closed.IsZero(), true)
	b.later(2 * time.Minute)
	b.equal("when it is over", b.pace(relay.Channel("a"), b.options.Now()).Closed.IsZero(), true)
}

func expireHeld(b *bench) {
	for i := range 4 {
		b.append(b.event(fmt.Sprint("e", i), "", "a"))
		b.later(time.Hour)
	}
	start := b.options.Now().Add(-4 * time.Hour)
	expire := func(limit int) int {
		n, _, err := b.Expire(b.ctx, relay.Channel("a"), start.Add(2*time.Hour), "held for too long", limit)
		b.must(err)
		return n
	}
	b.equal("a step", expire(2), 2)
	b.equal("the rest", expire(2), 1)
	b.equal("none", expire(2), 0)
	rows := b.rows(relay.DeliveryFilter{State: relay.StateExpired})
	b.equal("expired", events(rows), []string{"e2", "e1", "e0"})
	b.equal("reason", rows[0].Reason, "held for too long")
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	b.equal("left", backlogs[0].Pending, 1)
	b.equal("can be claimed", events(b.claim("a", 10)), []string{"e3"})
}

func expireFallsBack(b *bench) {
	e := b.event("e1", "")
	e.Deliveries = []relay.NewDelivery{{Destination: "a", Provider: "chat", Recipient: `{"email":"ann@example.com"}`, Fallback: relay.FallbackNoneMatched}}
	b.append(e)
	n, fell, err := b.Expire(b.ctx, relay.Direct("a"), b.options.Now(), "held for too long", 10)
	b.must(err)
	b.equal("expired", n, 1)
	b.equal("fell back to", fell, []relay.Due{{Lane: relay.Channel("a"), At: b.options.Now()}})
	b.equal("the channel's", events(b.claim("a", 10)), []string{"e1"})
}
