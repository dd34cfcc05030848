package delivery

import (
	"time"

	"github.com/relay-sidecar/relay"
)

// window keeps a rate over every window of its length, not only on average: it
// is a log of the last starts. The zero window allows everything.
type window struct {
	rate   relay.Rate
	starts []time.Time // oldest first, at most rate.Count
}

// margin makes the window a little longer than the vendor's, whose clock sees
// requests arrive and not start.
func margin(per time.Duration) time.Duration { return min(time.Second, per/10) }

// setRate changes the rate and keeps the log.
func (w *window) setRate(r relay.Rate) {
	w.rate = r
	if over := len(w.starts) - r.Count; over > 0 {
		w.starts = append([]time.Time(nil), w.starts[over:]...)
	}
}

// start notes that something starts.
func (w *window) start(now time.Time) {
	if w.rate.Count == 0 {
		return
	}
	if len(w.starts) == w.rate.Count {
		w.starts = append(w.starts[:0], w.starts[1:]...)
	}
	w.starts = append(w.starts, now)
}

// allowed is how many may start now.
func (w *window) allowed(now time.Time) int {
	if w.rate.Count == 0 {
		return unlimited
	}
	free := w.rate.Count - len(w.starts)
	for _, t := range w.starts {
		if now.Before(t.Add(w.rate.Per + margin(w.rate.Per))) {
			break
		}
		free++
	}
	return free
}

// unlimited is more than any lane has slots for.
const unlimited = 1 << 20

// next is when one more may start; now or earlier means at once.
func (w *window) next(now time.Time) time.Time {
	if w.allowed(now) > 0 {
		return now
	}
	return w.starts[0].Add(w.rate.Per + margin(w.rate.Per))
}
