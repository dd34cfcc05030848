package delivery_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/store"
)

// crash ends the engine as a kill would: what it has on its way is never
// recorded. The store is opened again as the next run opens it.
func (w *world) crash(destinations ...delivery.Destination) {
	w.t.Helper()
	w.stop()
	<-w.ended
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	w.start(destinations...)
}

// mostWithin is the largest number of starts in a window of this length.
func mostWithin(starts []time.Time, window time.Duration) int {
	most := 0
	for i, from := range starts {
		n := 0
		for _, at := range starts[i:] {
			if at.Sub(from) < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// A vendor does not know of restarts: what the last run sent counts.
func TestRateHoldsOverARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Windows, d.Concurrency = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 20, Per: time.Minute}}}, 4
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), d)
		defer func() { w.close() }()
		for range 100 {
			w.accept("d")
		}
		for range 6 { // a restart every 17 seconds, in the middle of windows
			settle(17 * time.Second)
			w.crash(d)
		}
		settle(10 * time.Minute)
		starts := w.started("d")
		if len(starts) != 100 {
			t.Fatalf("%d started, want 100", len(starts))
		}
		if most := mostWithin(starts, time.Minute); most > 20 {
			t.Errorf("%d within a minute over restarts", most)
		}
		if whole := starts[99].Sub(starts[0]); whole > 6*time.Minute {
			t.Errorf("100 took %s", whole)
		}
	})
}

// What was on its way when relay died may have been sent, so it counts.
func TestRateCountsWhatACrashLeavesInDoubt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Windows, d.Concurrency = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 5, Per: time.Minute}}}, 5
		w := newWorld(t, func(relay.Claimed) relay.Report {
			time.Sleep(time.Hour) // far longer than the engine waits at its end
			return relay.Report{Verdict: relay.Delivered}
		}, d)
		defer func() { w.close(); settle(2 * time.Hour) }()
		for range 10 {
			w.accept("d")
		}
		settle(time.Second)
		w.crash(d)
		settle(5 * time.Minute)
		if most := mostWithin(w.started("d"), time.Minute); most != 5 {
			t.Errorf("%d within a minute, want 5", most)
		}
	})
}

func TestVendorsWaitHoldsOverARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Windows = []delivery.Window{{Key: "robot"}}
		var began time.Time
		w := newWorld(t, func(relay.Claimed) relay.Report {
			if time.Since(began) < time.Minute {
				return relay.Report{Verdict: relay.Temporary, RetryAfter: 10 * time.Minute, Error: "too fast"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, d)
		defer func() { w.close() }()
		began = time.Now()
		w.accept("d")
		settle(time.Second)
		w.crash(d)
		w.accept("d", "d")
		settle(9 * time.Minute)
		if n := len(w.started("d")); n != 1 {
			t.Errorf("%d were sent although the vendor asked to wait before the restart", n)
		}
		settle(2 * time.Minute)
		if n := len(w.started("d")); n != 4 {
			t.Errorf("%d were sent when the wait was over, want 4", n)
		}
	})
}

func TestLimitOfAPersonHoldsOverARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		direct := people("d", "app")
		direct.Windows = append(direct.Windows, delivery.Window{Key: "app", Rate: relay.Rate{Count: 3, Per: time.Minute}, PerUser: true})
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), direct)
		defer func() { w.close() }()
		w.who = found
		for range 9 {
			w.write("d", relay.FallbackNever, "ann")
		}
		for range 5 {
			settle(13 * time.Second)
			w.crash(direct)
		}
		settle(10 * time.Minute)
		starts := w.started("d")
		if most := mostWithin(starts, time.Minute); len(starts) != 9 || most > 3 {
			t.Errorf("%d of 9 were sent, %d within a minute", len(starts), most)
		}
	})
}

// A vendor who just took a destination back is not flooded with what was held.
func TestResumeReleasesAtHalfTheRate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Windows, d.Concurrency = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 20, Per: time.Minute}}}, 4
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), d)
		defer w.close()
		if err := w.engine.Pause(t.Context(), relay.Channel("d"), "maintenance"); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			w.accept("d")
		}
		settle(time.Hour)
		if err := w.engine.Resume(t.Context(), relay.Channel("d")); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		held := w.started("d")
		if most := mostWithin(held, time.Minute); len(held) != 40 || most != 10 {
			t.Fatalf("%d of 40 were sent, %d within a minute; want 10", len(held), most)
		}
		for range 40 { // what was held has gone: the whole rate again
			w.accept("d")
		}
		settle(10 * time.Minute)
		if most := mostWithin(w.started("d")[40:], time.Minute); most != 20 {
			t.Errorf("afterwards %d within a minute, want 20", most)
		}
	})
}

func TestWhatIsHeldForLongExpires(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.HoldFor = 7 * 24 * time.Hour
		w := newWorld(t, always(relay.Report{Verdict: relay.DestinationRefused, Error: "410"}), d)
		defer w.close()
		var old []string
		for range 450 { // more than one step takes
			old = append(old, w.accept("d")...)
		}
		settle(3 * 24 * time.Hour)
		late := w.accept("d")[0]
		settle(4*24*time.Hour - time.Hour)
		if got := w.delivery(old[0]); got.State != relay.StateHeld {
			t.Errorf("an hour before its time: %s", got.State)
		}
		settle(2 * time.Hour)
		for _, id := range old {
			if got := w.delivery(id); got.State != relay.StateExpired || got.Reason != "held for more than 168h0m0s: 410" {
				t.Fatalf("after a week: %s (%s)", got.State, got.Reason)
			}
		}
		if got := w.delivery(late); got.State != relay.StateHeld {
			t.Errorf("held for four days: %s", got.State)
		}
		settle(4 * 24 * time.Hour)
		if got := w.delivery(late); got.State != relay.StateExpired {
			t.Errorf("in the end: %s", got.State)
		}
	})
}

// After a crash those that were in flight are tried one at a time, apart from
// everything else: who ended the plugin shows, and nobody else pays for it.
func TestSuspectsOfACrashAreTriedAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		chat, busy := destination("chat"), destination("busy")
		busy.Concurrency = 8
		for _, d := range []*delivery.Destination{&chat, &busy} {
			d.Plugin = "p"
		}
		var mu sync.Mutex
		var poison string
		alone, together, most := 0, []chan bool{}, 0
		w := newWorld(t, nil, chat, busy)
		defer w.close()
		// The process is played here: what is in flight together dies together.
		w.send = func(c relay.Claimed, isAlone bool, done func(relay.Report)) {
			mu.Lock()
			if isAlone {
				alone++
				most = max(most, alone)
				mu.Unlock()
				time.Sleep(10 * time.Millisecond)
				mu.Lock()
				alone--
				mu.Unlock()
				if c.EventID == poison {
					done(relay.Report{Verdict: relay.Ambiguous, Lost: true, Alone: true, Error: "ended"})
				} else {
					done(relay.Report{Verdict: relay.Delivered})
				}
				return
			}
			died := make(chan bool, 1)
			together = append(together, died)
			if c.EventID == poison {
				for _, each := range together {
					each <- true
				}
				together = nil
			}
			mu.Unlock()
			select {
			case <-died:
				done(relay.Report{Verdict: relay.Ambiguous, Lost: true, Error: "ended"})
			case <-time.After(100 * time.Millisecond):
				mu.Lock()
				together = slices.DeleteFunc(together, func(each chan bool) bool { return each == died })
				mu.Unlock()
				done(relay.Report{Verdict: relay.Delivered})
			}
		}
		var ids []string
		mu.Lock()
		for i := range 40 {
			ids = append(ids, w.accept("busy")...)
			if i == 5 {
				poison = ids[5]
			}
		}
		mu.Unlock()
		ids = append(ids, w.accept("chat")...)
		settle(2 * time.Second)
		for _, id := range ids {
			got := w.delivery(id)
			want := relay.StateDelivered
			if id == poison {
				want = relay.StateDead
			}
			if got.State != want {
				t.Errorf("%s: %s after %d attempts (%s), want %s", id, got.State, got.Attempts, got.Reason, want)
			}
			if id != poison && got.Attempts > 2 {
				t.Errorf("%s, which did nothing, took %d attempts", id, got.Attempts)
			}
		}
		if got := w.delivery(poison); got.Attempts != 4 { // with others, and three times alone
			t.Errorf("the poison had %d attempts, want 4", got.Attempts)
		}
		if most != 1 {
			t.Errorf("%d suspects were tried at a time", most)
		}
	})
}

// A suspect whose receiver hangs does not hold up those of other destinations.
func TestSuspectsGoByTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hangs, other := destination("hangs"), destination("other")
		hangs.Plugin, other.Plugin = "p", "p"
		hangs.Concurrency = 8
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			switch {
			case c.Attempt == 1:
				time.Sleep(time.Second)
				return relay.Report{Verdict: relay.Ambiguous, Lost: true, Error: "ended"}
			case c.Destination == "hangs":
				time.Sleep(10 * time.Second)
			}
			return relay.Report{Verdict: relay.Delivered}
		}, hangs, other)
		defer w.close()
		for range 8 {
			w.accept("hangs")
		}
		id := w.accept("other")[0]
		settle(13 * time.Second)
		if got := w.delivery(id); got.State != relay.StateDelivered {
			t.Errorf("the other destination's: %s", got.State)
		}
		settle(2 * time.Minute)
	})
}

// The clock is set forward and back by an hour while deliveries wait.
func TestClockJumps(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		jump := time.Duration(0)
		wall := func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(jump) }
		set := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); jump = d }
		d := destination("d")
		d.Windows = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 1, Per: time.Second}}}
		failures := 1
		w := &world{t: t, dir: t.TempDir(), starts: map[string][]time.Time{}, waited: map[string]time.Duration{}, answer: func(c relay.Claimed) relay.Report {
			if c.Attempt <= failures {
				return relay.Report{Verdict: relay.Temporary, RetryAfter: 30 * time.Second, Error: "busy"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}}
		clock := &relay.Clock{Wall: wall}
		w.clock = clock.Now
		w.start(d)
		defer func() { w.close() }()
		for i, jump := range []time.Duration{time.Hour, 0, -time.Hour, 0} {
			id := w.accept("d")[0]
			settle(time.Second)
			set(jump)
			w.engine.WakeAll()
			settle(2 * time.Minute)
			if got := w.delivery(id); got.State != relay.StateDelivered {
				t.Errorf("step %d, clock at %s: %s (%s) after two minutes, next %v", i, jump, got.State, got.Reason, got.NextAttempt)
			}
		}
		// And while relay is down, where only the store can tell.
		waiting := w.accept("d")[0]
		settle(time.Second)
		set(-time.Hour)
		clock = &relay.Clock{Wall: wall}
		w.clock = clock.Now
		w.crash(d)
		settle(2 * time.Minute)
		if got := w.delivery(waiting); got.State != relay.StateDelivered {
			t.Errorf("set back while relay was down: %s, next %v", got.State, got.NextAttempt)
		}
	})
}

// A destination with a backlog takes no turn from one without.
func TestBacklogOfOneDelaysNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		deep, quick := destination("deep"), destination("quick")
		deep.Windows = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 20, Per: time.Minute}}}
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), deep, quick)
		defer w.close()
		const backlog = 10_000
		for first := 0; first < backlog; first += 500 {
			var events []relay.Accepted
			for n := range 500 {
				events = append(events, relay.Accepted{
					ID: fmt.Sprintf("deep-%05d", first+n), Source: "test", Type: "issue.created", Level: relay.LevelInfo, Title: "t",
					Body: []byte(`{}`), At: time.Now(), Deliveries: []relay.NewDelivery{{Destination: "deep", Provider: "p"}},
				})
			}
			if _, err := w.store.Append(t.Context(), events); err != nil {
				t.Fatal(err)
			}
		}
		w.engine.Wake(relay.Channel("deep"))
		settle(time.Second)
		for range 20 {
			id := w.accept("quick")[0]
			settle(50 * time.Millisecond)
			if got := w.delivery(id); got.State != relay.StateDelivered {
				t.Fatalf("the quick one waits: %s", got.State)
			}
		}
		settle(10 * time.Minute)
		starts := w.started("deep")
		if most := mostWithin(starts, time.Minute); most != 20 || len(starts) < 200 {
			t.Errorf("of the deep one %d were sent in 11 minutes, %d within a minute", len(starts), most)
		}
		order := slices.DeleteFunc(w.order(), func(id string) bool { return id[:4] != "deep" })
		if !slices.IsSorted(order) {
			t.Errorf("a backlog is not sent in the order of acceptance: %v", order[:30])
		}
	})
}

var _ delivery.Store = (*store.Store)(nil)
