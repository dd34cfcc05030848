package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/store"
)

// world is an engine over a real store, with a provider that answers as the
// test says. It lives in a synctest bubble: its time is not ours.
type world struct {
	t      *testing.T
	dir    string
	store  *store.Store
	engine *delivery.Engine
	answer func(relay.Claimed) relay.Report                           // runs in a goroutine of its own; may sleep
	who    func(relay.Claimed) delivery.Resolution                    // the same, for recipients
	send   func(c relay.Claimed, alone bool, done func(relay.Report)) // in place of answer
	clock  func() time.Time                                           // nil: the bubble's

	mu      sync.Mutex
	starts  map[string][]time.Time // destination → when attempts began
	events  []string               // event ids in the order of their attempts
	down    bool                   // the provider takes nothing
	waited  map[string]time.Duration
	refuses int // so many deliveries are not taken although it is ready

	stop  context.CancelFunc
	ended chan error
	last  int
}

func newWorld(t *testing.T, answer func(relay.Claimed) relay.Report, destinations ...delivery.Destination) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), answer: answer, starts: map[string][]time.Time{}, waited: map[string]time.Duration{}}
	w.start(destinations...)
	return w
}

func (w *world) start(destinations ...delivery.Destination) {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(w.t.Context(), w.dir, store.Options{Now: w.clock}); err != nil {
		w.t.Fatal(err)
	}
	w.engine = delivery.New(delivery.Options{Store: w.store, Sender: w, Logger: slog.New(slog.DiscardHandler), Drain: 10 * time.Second, Now: w.clock, Waited: w.wait})
	w.engine.SetDestinations(destinations)
	ctx, stop := context.WithCancel(w.t.Context())
	w.stop, w.ended = stop, make(chan error, 1)
	go func() { w.ended <- w.engine.Run(ctx) }()
}

// close ends the engine and the store, which must happen inside the bubble.
func (w *world) close() {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Errorf("engine ended with %v", err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) now() time.Time {
	if w.clock != nil {
		return w.clock()
	}
	return time.Now()
}

func (w *world) wait(destination string, t time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waited[destination] += t
}

func (w *world) Ready(string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.down
}

func (w *world) Send(c relay.Claimed, alone bool, done func(relay.Report)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses > 0 {
		w.refuses--
		return relay.ErrUnavailable
	}
	if w.down {
		return relay.ErrUnavailable
	}
	w.starts[c.Destination] = append(w.starts[c.Destination], time.Now())
	w.events = append(w.events, c.EventID)
	if w.send != nil {
		go w.send(c, alone, done)
		return nil
	}
	go func() { done(w.answer(c)) }()
	return nil
}

// Resolve knows everybody whose name does not say otherwise.
func (w *world) Resolve(all []relay.Claimed, _ bool, done func([]delivery.Resolution)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return relay.ErrUnavailable
	}
	go func() {
		out := make([]delivery.Resolution, len(all))
		for i, c := range all {
			out[i] = w.who(c)
		}
		done(out)
	}()
	return nil
}

// started is when attempts of these destinations began, in order.
func (w *world) started(destinations ...string) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []time.Time
	for _, d := range destinations {
		all = append(all, w.starts[d]...)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// order is the ids of events in the order of their attempts.
func (w *world) order() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// accept stores one event for each destination named, in one request.
func (w *world) accept(destinations ...string) []string {
	w.t.Helper()
	var ids []string
	for _, d := range destinations {
		w.last++
		e := relay.Accepted{
			ID: fmt.Sprintf("event-%05d", w.last), Source: "test", Type: "issue.created", Level: relay.LevelInfo, Title: "t",
			Body: []byte(`{"type":"issue.created"}`), At: w.now(), Deliveries: []relay.NewDelivery{{Destination: d, Provider: "p"}},
		}
		if _, err := w.store.Append(w.t.Context(), []relay.Accepted{e}); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	for _, d := range destinations {
		w.engine.Wake(relay.Channel(d))
	}
	return ids
}

// delivery is the one delivery of an event, with its log.
func (w *world) delivery(event string) relay.Delivery {
	w.t.Helper()
	rows, _, err := w.store.Deliveries(w.t.Context(), relay.DeliveryFilter{EventID: event, Limit: 10})
	if err != nil || len(rows) != 1 {
		w.t.Fatalf("deliveries of %s: %v, %v", event, rows, err)
	}
	d, err := w.store.Delivery(w.t.Context(), rows[0].ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// settle lets everything happen that happens within d.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func destination(name string) delivery.Destination {
	return delivery.Destination{Name: name, Settings: "s1", Concurrency: 1, RetryFor: 24 * time.Hour, MaxAmbiguous: 3}
}

func always(r relay.Report) func(relay.Claimed) relay.Report {
	return func(relay.Claimed) relay.Report { return r }
}

// inBubble runs a test on fake time.
func inBubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func TestVerdictsAndWhatFollows(t *testing.T) {
	for _, c := range []struct {
		name    string
		report  relay.Report
		change  func(*delivery.Destination)
		state   relay.State
		reason  string
		seconds int // how long to watch
	}{
		{"delivered", relay.Report{Verdict: relay.Delivered, Receipt: "r1"}, nil, relay.StateDelivered, "", 1},
		{"skipped", relay.Report{Verdict: relay.Skipped}, nil, relay.StateSkipped, "the template said no", 1},
		{"message refused", relay.Report{Verdict: relay.MessageRefused, Error: "too long"}, nil, relay.StateDead, "too long", 1},
		{"recipient refused", relay.Report{Verdict: relay.RecipientRefused, Error: "left"}, nil, relay.StateDead, "left", 1},
		{"unmatched", relay.Report{Verdict: relay.Unmatched, Error: "who?"}, nil, relay.StateDead, "unmatched", 1},
		{"no retries wanted", relay.Report{Verdict: relay.Temporary, Error: "busy"},
			func(d *delivery.Destination) { d.RetryFor = 0 }, relay.StateDead, "busy", 1},
		{"retried until it expires", relay.Report{Verdict: relay.Temporary, Error: "busy"},
			func(d *delivery.Destination) { d.RetryFor = time.Minute }, relay.StateExpired, "gave up after 1m0s: busy", 3600},
		{"a wait beyond the end expires", relay.Report{Verdict: relay.Temporary, Error: "busy", RetryAfter: 48 * time.Hour},
			func(d *delivery.Destination) { d.RetryFor = time.Hour }, relay.StateExpired, "the vendor asks to wait 24h0m0s, beyond retry.for 1h0m0s: busy", 1},
		{"outcome unknown", relay.Report{Verdict: relay.Ambiguous, Error: "reset"}, nil, relay.StateDead,
			"outcome unknown after 3 ambiguous attempts: reset", 60},
		{"an outcome that the vendor knows again", relay.Report{Verdict: relay.Ambiguous, Error: "reset", DedupFor: time.Hour}, nil,
			relay.StatePending, "reset", 60},
		{"still trying", relay.Report{Verdict: relay.Temporary, Error: "busy", RetryAfter: time.Hour}, nil, relay.StatePending, "busy", 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				d := destination("d")
				if c.change != nil {
					c.change(&d)
				}
				w := newWorld(t, always(c.report), d)
				defer w.close()
				id := w.accept("d")[0]
				settle(time.Duration(c.seconds) * time.Second)
				got := w.delivery(id)
				if got.State != c.state || got.Reason != c.reason {
					t.Errorf("state %s, reason %q; want %s, %q", got.State, got.Reason, c.state, c.reason)
				}
				if len(got.Log) == 0 || got.Log[0].Verdict != c.report.Verdict || got.Log[0].Attempt != 1 {
					t.Errorf("log: %+v", got.Log)
				}
			})
		})
	}
}

func TestRetryIsDeliveredInTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Attempt < 3 {
				return relay.Report{Verdict: relay.Temporary, Error: "busy", RetryAfter: 7 * time.Second}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"))
		defer w.close()
		id := w.accept("d")[0]
		settle(time.Minute)
		got := w.delivery(id)
		if got.State != relay.StateDelivered || got.Attempts != 3 {
			t.Fatalf("state %s after %d attempts", got.State, got.Attempts)
		}
		starts := w.started("d")
		for i := 1; i < 3; i++ {
			if gap := starts[i].Sub(starts[i-1]); gap < 7*time.Second || gap > 8*time.Second {
				t.Errorf("attempt %d began %s after the one before; the vendor asked for 7s", i+1, gap)
			}
		}
	})
}

func TestRefusedDestinationIsHeldAndGoesOnWithNewSettings(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mended sync.Map
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if _, ok := mended.Load(c.Destination); ok || c.Destination == "other" {
				return relay.Report{Verdict: relay.Delivered}
			}
			return relay.Report{Verdict: relay.DestinationRefused, Error: "no_service"}
		}, destination("d"), destination("other"))
		defer w.close()
		ids := w.accept("d", "d", "other")
		settle(48 * time.Hour)
		for _, id := range ids[:2] {
			if got := w.delivery(id); got.State != relay.StateHeld || got.Attempts > 1 {
				t.Errorf("state %s after %d attempts, want held", got.State, got.Attempts)
			}
		}
		if got := w.delivery(ids[2]); got.State != relay.StateDelivered {
			t.Errorf("the other destination: %s", got.State)
		}
		// The same settings again change nothing.
		w.engine.SetDestinations([]delivery.Destination{destination("d"), destination("other")})
		settle(time.Second)
		if got := w.delivery(ids[0]); got.State != relay.StateHeld {
			t.Errorf("after a reload of the same settings: %s", got.State)
		}
		mended.Store("d", true)
		d := destination("d")
		d.Settings = "s2"
		w.engine.SetDestinations([]delivery.Destination{d, destination("other")})
		settle(time.Second)
		for _, id := range ids[:2] {
			if got := w.delivery(id); got.State != relay.StateDelivered {
				t.Errorf("after new settings: %s (%s); time in held must not count against retry.for", got.State, got.Reason)
			}
		}
	})
}

func TestRefusedDestinationIsProbedWhereThatIsAllowed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var began time.Time
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Destination == "gone" {
				return relay.Report{Verdict: relay.DestinationRefused, Error: "410"}
			}
			if time.Since(began) < 30*time.Minute {
				return relay.Report{Verdict: relay.DestinationRefused, Error: "404", Probe: true}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"), destination("gone"))
		defer w.close()
		began = time.Now()
		ids := w.accept("d", "d", "d", "gone", "gone")
		settle(2 * time.Hour)
		var at []time.Duration
		for _, start := range w.started("d") {
			at = append(at, start.Sub(began).Round(time.Second))
		}
		// Refused at once, then probed after 1, 5 and 15 minutes, and let go by the last probe.
		want := []time.Duration{0, time.Minute, 6 * time.Minute, 21 * time.Minute, 36 * time.Minute, 36 * time.Minute, 36 * time.Minute}
		if !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		for _, id := range ids[:3] {
			if got := w.delivery(id); got.State != relay.StateDelivered {
				t.Errorf("state %s (%s)", got.State, got.Reason)
			}
		}
		if n := len(w.started("gone")); n != 1 {
			t.Errorf("one that is gone for good was tried %d times", n)
		}
	})
}

func TestProbeIsOneDeliveryHoweverManyAreHeld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Concurrency = 8
		w := newWorld(t, func(relay.Claimed) relay.Report {
			time.Sleep(5 * time.Second) // others could start meanwhile
			return relay.Report{Verdict: relay.DestinationRefused, Error: "404", Probe: true}
		}, d)
		defer w.close()
		for range 40 {
			w.accept("d")
		}
		settle(30 * time.Second)
		first := len(w.started("d")) // what was in flight when it was refused
		settle(time.Minute)
		if n := len(w.started("d")) - first; n != 1 {
			t.Errorf("the first probe sent %d deliveries", n)
		}
		settle(6 * time.Minute)
		if n := len(w.started("d")) - first; n != 2 {
			t.Errorf("two probes sent %d deliveries", n)
		}
	})
}

func TestManualPauseDuringAProbeHolds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var began time.Time
		w := newWorld(t, func(relay.Claimed) relay.Report {
			if time.Since(began) < time.Second {
				return relay.Report{Verdict: relay.DestinationRefused, Error: "404", Probe: true}
			}
			time.Sleep(10 * time.Second)
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"))
		defer w.close()
		began = time.Now()
		w.accept("d", "d", "d")
		settle(65 * time.Second) // the probe is in flight
		if err := w.engine.Pause(t.Context(), relay.Channel("d"), "maintenance"); err != nil {
			t.Fatal(err)
		}
		settle(time.Hour)
		if n := len(w.started("d")); n != 2 {
			t.Errorf("%d attempts began, want the refused one and the probe", n)
		}
	})
}

func TestProbeThatCannotBeSentIsNoResume(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, always(relay.Report{Verdict: relay.DestinationRefused, Error: "404", Probe: true}), destination("d"))
		defer w.close()
		w.accept("d", "d", "d")
		settle(time.Second)
		w.mu.Lock()
		w.refuses = 1 // ready, and then not after all
		w.mu.Unlock()
		settle(3 * time.Minute)
		if n := len(w.started("d")); n != 2 {
			t.Errorf("%d attempts began, want the first and one probe", n)
		}
	})
}

func TestProbeWaitsAsTheVendorAsks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := destination("a"), destination("b")
		a.Windows = []delivery.Window{{Key: "app"}}
		b.Windows = a.Windows
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Destination == "a" {
				return relay.Report{Verdict: relay.DestinationRefused, Error: "404", Probe: true}
			}
			return relay.Report{Verdict: relay.Temporary, RetryAfter: time.Hour, Error: "too fast"}
		}, a, b)
		defer w.close()
		w.accept("a")
		settle(time.Second)
		w.accept("b")
		settle(50 * time.Minute) // an engine that spins meanwhile would never get here
		if n := len(w.started("a")); n != 1 {
			t.Errorf("%d attempts although the vendor asked to wait", n)
		}
		settle(15 * time.Minute)
		if n := len(w.started("a")); n != 2 {
			t.Errorf("%d attempts after the wait, want the first and one probe", n)
		}
	})
}

func TestVendorsWaitHoldsWhatIsClaimedAhead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Concurrency, d.Windows = 2, []delivery.Window{{Key: "app"}}
		var began time.Time
		w := newWorld(t, func(relay.Claimed) relay.Report {
			if time.Since(began) < time.Minute {
				return relay.Report{Verdict: relay.Temporary, RetryAfter: time.Minute, Error: "too fast"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, d)
		defer w.close()
		began = time.Now()
		for range 8 {
			w.accept("d")
		}
		settle(50 * time.Second)
		if n := len(w.started("d")); n > 2 {
			t.Errorf("%d started although the vendor asked to wait", n)
		}
		settle(2 * time.Minute)
		if n := len(w.started("d")); n < 8 || n > 10 {
			t.Errorf("%d attempts in the end, want 8 and those that were asked to wait", n)
		}
	})
}

func TestManualPauseOutlivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), destination("d"))
		if err := w.engine.Pause(t.Context(), relay.Channel("d"), "maintenance"); err != nil {
			t.Fatal(err)
		}
		id := w.accept("d")[0]
		settle(time.Minute)
		w.close()
		d := destination("d")
		d.Settings = "s2" // new settings end only what a vendor caused
		w.start(d)
		defer w.close()
		settle(time.Minute)
		if got := w.delivery(id); got.State != relay.StateHeld {
			t.Fatalf("after a restart: %s, want held", got.State)
		}
		if err := w.engine.Resume(t.Context(), relay.Channel("d")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got := w.delivery(id); got.State != relay.StateDelivered {
			t.Errorf("after resume: %s", got.State)
		}
	})
}

func TestSlowDestinationDelaysNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Destination == "slow" {
				time.Sleep(10 * time.Second)
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("slow"), destination("fast"))
		defer w.close()
		w.accept("slow", "slow", "slow")
		ids := w.accept("fast", "fast", "fast", "fast")
		settle(time.Second)
		for _, id := range ids {
			if got := w.delivery(id); got.State != relay.StateDelivered {
				t.Errorf("fast: %s", got.State)
			}
		}
		if n := len(w.started("slow")); n != 1 {
			t.Errorf("slow has %d attempts at a time, its concurrency is 1", n)
		}
		settle(time.Minute)
	})
}

func TestFirstAttemptsStartInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), destination("d"))
		defer w.close()
		var want []string
		for range 50 {
			want = append(want, w.accept("d")...)
		}
		settle(time.Second)
		if got := w.order(); !slices.Equal(got, want) {
			t.Errorf("started %v\nwant    %v", got, want)
		}
	})
}

func TestRateHoldsOverEveryWindow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := destination("d")
		d.Windows, d.Concurrency = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 20, Per: time.Minute}}}, 4
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), d)
		defer w.close()
		for range 10 {
			w.accept("d")
		}
		settle(45 * time.Second) // the window is half used when the burst comes
		for range 60 {
			w.accept("d")
		}
		settle(5 * time.Minute)
		starts := w.started("d")
		if len(starts) != 70 {
			t.Fatalf("%d started, want 70", len(starts))
		}
		for i := 20; i < len(starts); i++ {
			if gap := starts[i].Sub(starts[i-20]); gap < time.Minute {
				t.Errorf("starts %d to %d are within %s: more than 20 in a minute", i-20, i, gap)
			}
		}
		if whole := starts[69].Sub(starts[0]); whole > 4*time.Minute {
			t.Errorf("70 took %s; the rate allows them within 4 minutes", whole)
		}
	})
}

func TestDestinationsOfOneRobotShareItsWindows(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		windows := []delivery.Window{
			{Key: "robot", Rate: relay.Rate{Count: 5, Per: time.Second}},
			{Key: "robot", Rate: relay.Rate{Count: 100, Per: time.Minute}},
		}
		a, b, other := destination("a"), destination("b"), destination("other")
		a.Windows, a.Concurrency = windows, 8
		b.Windows, b.Concurrency = windows, 8
		other.Windows, other.Concurrency = []delivery.Window{{Key: "another robot", Rate: windows[0].Rate}}, 8
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), a, b, other)
		defer w.close()
		for range 100 {
			w.accept("a", "b")
		}
		w.accept("other")
		settle(time.Second)
		if len(w.started("other")) != 1 {
			t.Error("another robot waits for this one")
		}
		settle(3 * time.Minute)
		starts := w.started("a", "b")
		if len(starts) != 200 {
			t.Fatalf("%d started, want 200", len(starts))
		}
		for _, limit := range windows {
			for i := limit.Rate.Count; i < len(starts); i++ {
				if gap := starts[i].Sub(starts[i-limit.Rate.Count]); gap < limit.Rate.Per {
					t.Fatalf("starts %d to %d are within %s: more than %s", i-limit.Rate.Count, i, gap, limit.Rate)
				}
			}
		}
	})
}

func TestVendorsWaitHoldsTheWholeRobot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := destination("a"), destination("b")
		a.Windows = []delivery.Window{{Key: "robot"}}
		b.Windows = a.Windows
		var began time.Time
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if time.Since(began) < time.Minute {
				return relay.Report{Verdict: relay.Temporary, RetryAfter: time.Minute, Error: "too fast"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, a, b)
		defer w.close()
		began = time.Now()
		w.accept("a")
		settle(time.Second)
		w.accept("a", "b")
		settle(50 * time.Second)
		if n := len(w.started("a", "b")); n != 1 {
			t.Errorf("%d started although the vendor asked to wait", n)
		}
		settle(time.Minute)
		if n := len(w.started("a", "b")); n != 4 {
			t.Errorf("%d started in the end, want 4", n)
		}
	})
}

func TestDeliveryThatKillsItsPluginEndsDead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Destination == "poison" {
				return relay.Report{Verdict: relay.Ambiguous, Lost: true, Alone: true, Error: "ended"}
			}
			if c.Attempt < 6 { // travelled with others each time
				return relay.Report{Verdict: relay.Ambiguous, Lost: true, Error: "ended"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("poison"), destination("victim"))
		defer w.close()
		ids := w.accept("poison", "victim")
		settle(10 * time.Minute)
		if got := w.delivery(ids[0]); got.State != relay.StateDead || got.Attempts != 3 {
			t.Errorf("poison: %s after %d attempts, want dead after 3", got.State, got.Attempts)
		}
		if got := w.delivery(ids[1]); got.State != relay.StateDelivered || got.Attempts != 6 {
			t.Errorf("victim: %s after %d attempts (%s), want delivered after 6", got.State, got.Attempts, got.Reason)
		}
	})
}

func TestProviderThatIsDownIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), destination("d"))
		defer w.close()
		w.mu.Lock()
		w.down = true
		w.mu.Unlock()
		id := w.accept("d")[0]
		settle(time.Hour)
		if got := w.delivery(id); got.State != relay.StateHeld || got.Reason != "plugin unavailable" || got.Attempts != 0 {
			t.Fatalf("while down: %s (%s) after %d attempts", got.State, got.Reason, got.Attempts)
		}
		w.mu.Lock()
		w.down = false
		w.mu.Unlock()
		w.engine.WakeAll()
		settle(time.Second)
		if got := w.delivery(id); got.State != relay.StateDelivered || got.Attempts != 1 {
			t.Errorf("when back: %s after %d attempts", got.State, got.Attempts)
		}
	})
}

func TestShutdown(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration // how long the delivery in flight needs
		want  relay.State   // after the engine ended and the store was opened again
	}{
		{"waits for what is in flight", 5 * time.Second, relay.StateDelivered},
		{"leaves to the next start what takes too long", 20 * time.Second, relay.StatePending},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, func(relay.Claimed) relay.Report {
					time.Sleep(c.takes)
					return relay.Report{Verdict: relay.Delivered}
				}, destination("d"))
				ids := w.accept("d", "d") // one in flight, one that must not start any more
				settle(time.Second)
				w.close()
				w.answer = func(relay.Claimed) relay.Report { select {} } // seen by nobody: no destinations
				var err error
				if w.store, err = store.Open(t.Context(), w.dir, store.Options{}); err != nil {
					t.Fatal(err)
				}
				if got := w.delivery(ids[0]); got.State != c.want {
					t.Errorf("in flight: %s, want %s", got.State, c.want)
				}
				if got := w.delivery(ids[1]); got.State != relay.StatePending || got.Attempts != 0 {
					t.Errorf("waiting: %s after %d attempts", got.State, got.Attempts)
				}
				if err := w.store.Close(); err != nil {
					t.Error(err)
				}
				settle(time.Minute) // the late answer finds nobody, and must not hurt
			})
		})
	}
}
