package storetest

import (
	"time"

	"github.com/relay-sidecar/relay"
)

func removedHeld(b *bench) {
	b.append(b.event("e1", "", "a", "b"), b.event("e2", "", "a"))
	b.must(b.Pause(b.ctx, relay.Pause{Lane: relay.Channel("a"), Reason: "token revoked", Since: b.options.Now()}))
	r := relay.Removal{Lane: relay.Channel("a"), Reason: "destination removed", Since: b.options.Now()}
	b.must(b.Remove(b.ctx, r))
	held := b.rows(relay.DeliveryFilter{State: relay.StateHeld})
	b.equal("held", events(held), []string{"e2", "e1"})
	b.equal("why", held[0].Reason, "destination removed")
	b.equal("pending", events(b.rows(relay.DeliveryFilter{State: relay.StatePending})), []string{"e1"})
	b.reopen(Options{})
	got, err := b.Removals(b.ctx)
	b.must(err)
	b.equal("removals", got, []relay.Removal{r})

	b.must(b.Restore(b.ctx, r.Lane))
	b.must(b.Restore(b.ctx, r.Lane))
	b.equal("held as before", b.rows(relay.DeliveryFilter{State: relay.StateHeld})[0].Reason, "token revoked")
}

func removedBuried(b *bench) {
	b.append(b.event("e1", "", "a", "b"), b.event("e2", "", "a"), b.event("e3", "", "a"))
	sent := b.claim("a", 1)[0]
	r := relay.Removal{Lane: relay.Channel("a"), Reason: "destination removed", Since: b.options.Now()}
	b.must(b.Remove(b.ctx, r))
	b.later(time.Hour)
	for _, want := range []struct{ dead, removals int }{{1, 1}, {2, 1}} { // the one that is being sent is left
		ended, left, err := b.Bury(b.ctx, r, true, 1)
		b.must(err)
		b.equal("ended and left", []any{ended, left}, []any{1, true})
		dead := b.rows(relay.DeliveryFilter{State: relay.StateDead})
		removals, err := b.Removals(b.ctx)
		b.must(err)
		b.equal("dead and removals", []any{len(dead), len(removals), dead[0].Reason}, []any{want.dead, want.removals, "destination removed"})
	}
	ended, left, err := b.Bury(b.ctx, r, true, 1)
	b.must(err)
	b.equal("ended and left while it is being sent", []any{ended, left}, []any{0, true})
	b.record(b.delivered(sent))
	ended, left, err = b.Bury(b.ctx, r, true, 1)
	b.must(err)
	b.equal("ended and left", []any{ended, left}, []any{0, false})
	removals, err := b.Removals(b.ctx)
	b.must(err)
	b.equal("removals", len(removals), 0)
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	b.equal("backlogs", []any{len(backlogs), backlogs[0].Destination}, []any{1, "b"})
}

// Of a destination that lost only its direct messages, the channel gets what
// their policy wants it to get.
func removedFallsBack(b *bench) {
	b.append(b.direct("e1", "a", relay.FallbackNoneMatched, "xy"), b.direct("e2", "b", relay.FallbackNoneMatched, "x"))
	for _, d := range []string{"a", "b"} {
		_, _, err := b.Bury(b.ctx, relay.Removal{Lane: relay.Direct(d), Reason: "gone"}, d == "a", 9)
		b.must(err)
	}
	fell := b.fellBack()
	b.equal("fell back", []any{len(fell), fell[0].Destination, fell[0].EventID}, []any{1, "a", "e1"})
	b.equal("dead", len(b.rows(relay.DeliveryFilter{State: relay.StateDead})), 3)
}
