package delivery_test

import (
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
)

// TestWaitsForALimitAreTold: while they last, and not where something else is
// what holds deliveries back.
func TestWaitsForALimitAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		limited, slow := destination("limited"), destination("slow")
		limited.Windows = []delivery.Window{{Key: "robot", Rate: relay.Rate{Count: 20, Per: time.Minute}}}
		slow.Windows = []delivery.Window{{Key: "other", Rate: relay.Rate{Count: 20, Per: time.Minute}}}
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Destination == "slow" {
				time.Sleep(10 * time.Second) // its only slot is busy
			}
			return relay.Report{Verdict: relay.Delivered}
		}, limited, slow)
		defer w.close()
		for range 25 {
			w.accept("limited")
		}
		for range 3 {
			w.accept("slow")
		}
		for _, step := range []struct {
			after       time.Duration
			least, most time.Duration
		}{{time.Second, 0, time.Second}, {40 * time.Second, 25 * time.Second, 41 * time.Second}, {time.Minute, 59 * time.Second, 62 * time.Second}, {time.Hour, 59 * time.Second, 62 * time.Second}} {
			settle(step.after)
			if got := w.waitedFor("limited"); got < step.least || got > step.most {
				t.Errorf("after another %s: %s, want %s to %s", step.after, got, step.least, step.most)
			}
		}
		if n := len(w.started("limited", "slow")); n != 28 {
			t.Errorf("%d of 28 started", n)
		}
		if got := w.waitedFor("slow"); got != 0 {
			t.Errorf("the slow one waited %s for a limit", got)
		}
	})
}

// waitedFor is how long a limit held a destination back, as the engine told.
func (w *world) waitedFor(destination string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waited[destination]
}
