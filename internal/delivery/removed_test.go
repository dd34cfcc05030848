package delivery_test

import (
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
)

func TestRemovedDestination(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		busy := true
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Destination == "d" && busy {
				return relay.Report{Verdict: relay.Temporary, Error: "busy", RetryAfter: time.Hour}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"), destination("other"))
		defer func() { w.close() }()
		state := func(what, event string, want relay.State, reason string) {
			t.Helper()
			if got := w.delivery(event); got.State != want || got.Reason != reason {
				t.Errorf("%s: %s (%s), want %s (%s)", what, got.State, got.Reason, want, reason)
			}
		}
		ids := w.accept("d", "other")
		settle(time.Minute)
		w.engine.SetDestinations([]delivery.Destination{destination("other")})
		settle(time.Second)
		state("removed", ids[0], relay.StateHeld, "destination removed")
		state("another", ids[1], relay.StateDelivered, "")

		// It is back in time, also after a restart: everything goes on.
		settle(10 * time.Hour)
		w.close()
		w.start(destination("other"))
		settle(10 * time.Hour)
		state("after a restart", ids[0], relay.StateHeld, "destination removed")
		busy = false
		w.engine.SetDestinations([]delivery.Destination{destination("d"), destination("other")})
		settle(time.Second)
		state("back", ids[0], relay.StateDelivered, "")

		// It stays away: what waits is dead after the time of grace, and not before.
		busy = true
		ids = w.accept("d")
		settle(time.Second)
		w.engine.SetDestinations([]delivery.Destination{destination("other")})
		settle(23 * time.Hour)
		state("within the time of grace", ids[0], relay.StateHeld, "destination removed")
		settle(time.Hour)
		state("after it", ids[0], relay.StateDead, "destination removed")
		if removals, err := w.store.Removals(t.Context()); err != nil || len(removals) > 0 {
			t.Errorf("removals stay: %v, %v", removals, err)
		}

		// What comes for it all the same, such as a replay, meets the same end.
		w.engine.SetRemovedGrace(time.Hour)
		ids = w.accept("d")
		settle(59 * time.Minute)
		state("replayed", ids[0], relay.StateHeld, "destination removed")
		settle(time.Minute)
		state("replayed, after the time of grace", ids[0], relay.StateDead, "destination removed")
	})
}

// What waits for a disabled destination is held like any other, and has its time
// of grace in full if the destination is taken out then.
func TestDisabledDestination(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		off, busy := destination("d"), true
		off.Disabled = true
		w := newWorld(t, func(relay.Claimed) relay.Report {
			if busy {
				return relay.Report{Verdict: relay.Temporary, Error: "busy"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"))
		defer func() { w.close() }()
		id := w.accept("d")[0]
		settle(time.Second)
		held := func(what, reason string) {
			t.Helper()
			if got := w.delivery(id); got.State != relay.StateHeld || got.Reason != reason {
				t.Errorf("%s: %s (%s), want held (%s)", what, got.State, got.Reason, reason)
			}
		}
		w.engine.SetDestinations([]delivery.Destination{off})
		settle(30 * time.Hour)
		held("disabled", "destination disabled")
		w.close()
		w.start(off)
		settle(time.Second)
		held("after a restart", "destination disabled")
		w.engine.SetDestinations(nil)
		settle(23 * time.Hour)
		held("taken out", "destination removed")
		w.engine.SetDestinations([]delivery.Destination{off})
		settle(23 * time.Hour)
		held("back and disabled", "destination disabled")
		busy = false
		w.engine.SetDestinations([]delivery.Destination{destination("d")})
		settle(time.Second)
		if got := w.delivery(id); got.State != relay.StateDelivered {
			t.Errorf("enabled: %s (%s)", got.State, got.Reason)
		}

		// What is held for too long expires here, too.
		busy, off.HoldFor = true, time.Hour
		id = w.accept("d")[0]
		settle(time.Second)
		w.engine.SetDestinations([]delivery.Destination{off})
		settle(2 * time.Hour)
		if got := w.delivery(id); got.State != relay.StateExpired || got.Reason != "held for more than 1h0m0s: destination disabled" {
			t.Errorf("held for long: %s (%s)", got.State, got.Reason)
		}
	})
}

// A delivery in flight ends as it began, and what a long backlog holds ends in
// small steps.
func TestRemovedDestinationWithABacklog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(relay.Claimed) relay.Report {
			time.Sleep(5 * time.Second)
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"))
		defer w.close()
		var all []string
		for range 450 {
			all = append(all, "d")
		}
		ids := w.accept(all...)
		settle(time.Second)
		w.engine.SetRemovedGrace(0)
		w.engine.SetDestinations(nil)
		settle(time.Minute)
		if got := w.delivery(ids[0]); got.State != relay.StateDelivered {
			t.Errorf("the one in flight: %s (%s)", got.State, got.Reason)
		}
		dead, _, err := w.store.Deliveries(t.Context(), relay.DeliveryFilter{State: relay.StateDead, Limit: 1000})
		if err != nil || len(dead) != 449 {
			t.Errorf("%d are dead, want 449; %v", len(dead), err)
		}
	})
}

// A destination that lost its credentials for direct messages keeps its channel.
func TestRemovedDirectMessagesFallBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), destination("d"), people("d", "app"))
		defer w.close()
		w.who = func(relay.Claimed) delivery.Resolution {
			return delivery.Resolution{Report: relay.Report{Verdict: relay.Temporary, Error: "busy", RetryAfter: 100 * time.Hour}}
		}
		id := w.write("d", relay.FallbackNoneMatched, "ann")
		settle(time.Second)
		w.engine.SetDestinations([]delivery.Destination{destination("d")})
		settle(23 * time.Hour)
		w.want("within the time of grace", id, "ann held 1")
		settle(2 * time.Hour)
		w.want("after it", id, "ann dead 1, channel delivered 1")
	})
}
