package delivery

import (
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
)

// Window is a limit on starts: in every window of Rate.Per at most Rate.Count,
// counted over all destinations that name the same Key.
type Window struct {
	Key     string
	Rate    relay.Rate // zero: no limit, but a wait that the vendor asks for holds all the same
	PerUser bool       // counted for each person apart
}

// ledger is the log of starts under one key. A rate is kept over every window
// of its length, not only on average: a bucket that refills would let nearly
// twice the number through, and get a robot banned.
type ledger struct {
	starts []time.Time // oldest first; those that a window may still hold
	closed time.Time   // the vendor asked for no more until then
}

// margin makes the window a little longer than the vendor's, whose clock sees
// requests arrive and not start.
func margin(per time.Duration) time.Duration { return min(time.Second, per/10) }

// longestWindow is the longest unit of a relay.Rate, with its margin.
const longestWindow = time.Hour + time.Second

// start notes that something starts.
func (l *ledger) start(now time.Time) {
	l.starts = append(l.starts, now)
	if old := now.Add(-longestWindow); l.starts[0].Before(old) {
		i, _ := slices.BinarySearchFunc(l.starts, old, time.Time.Compare)
		l.starts = slices.Delete(l.starts, 0, i)
	}
}

// within are the starts that a window which ends now holds.
func (l *ledger) within(r relay.Rate, now time.Time) []time.Time {
	from := now.Add(-r.Per - margin(r.Per))
	i, _ := slices.BinarySearchFunc(l.starts, from, func(t, from time.Time) int {
		if t.After(from) {
			return 1 // one that is as old as the window is outside of it
		}
		return -1
	})
	return l.starts[i:]
}

// allowed is how many may start now.
func (l *ledger) allowed(r relay.Rate, now time.Time) int {
	switch {
	case now.Before(l.closed):
		return 0
	case r.Count == 0:
		return unlimited
	}
	return max(0, r.Count-len(l.within(r, now)))
}

// unlimited is more than any destination has slots for.
const unlimited = 1 << 20

// next is when one more may start; now or earlier means at once.
func (l *ledger) next(r relay.Rate, now time.Time) time.Time {
	next := l.closed
	if held := l.within(r, now); r.Count > 0 && len(held) >= r.Count {
		// Room is made when the first of the last Count starts leaves.
		free := held[len(held)-r.Count].Add(r.Per + margin(r.Per))
		if free.After(next) {
			next = free
		}
	}
	return next
}

// personLedgers are the logs of starts to single persons, where a vendor limits
// what one of them gets. A person who got nothing for as long as the longest
// window has none.
type personLedgers struct {
	all    map[personKey]*ledger
	tidyAt int // when there are so many, the old ones are dropped
}

type personKey struct{ window, user string }

// next is when a person may get another message; now or earlier means at once.
func (p *personLedgers) next(l *lane, user string, now time.Time) time.Time {
	next := now
	for _, w := range l.personal {
		if log := p.all[personKey{w.Key, user}]; log != nil {
			next = later(next, log.next(w.Rate, now))
		}
	}
	return next
}

// start notes that a message to a person starts.
func (p *personLedgers) start(l *lane, user string, now time.Time) {
	noted := map[personKey]bool{} // several windows share a key
	for _, w := range l.personal {
		k := personKey{w.Key, user}
		if noted[k] {
			continue
		}
		noted[k] = true
		log := p.all[k]
		if log == nil {
			p.tidy(now)
			log = &ledger{}
			p.all[k] = log
		}
		log.start(now)
	}
}

// tidy makes room for one more.
func (p *personLedgers) tidy(now time.Time) {
	if p.all == nil {
		p.all = map[personKey]*ledger{}
	}
	if len(p.all) < p.tidyAt {
		return
	}
	for k, log := range p.all {
		if log.starts[len(log.starts)-1].Before(now.Add(-longestWindow)) {
			delete(p.all, k)
		}
	}
	p.tidyAt = max(1000, 2*len(p.all))
}
