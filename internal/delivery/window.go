package delivery

import (
	"context"
	"fmt"
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
	starts []time.Time   // oldest first; those that a window may still hold
	keep   time.Duration // how long one of them matters
	closed time.Time     // the vendor asked for no more until then
}

// remember makes the log long enough for a rate, also at half of it.
func (l *ledger) remember(r relay.Rate) { l.keep = max(l.keep, 2*(r.Per+margin(r.Per))) }

// margin makes the window a little longer than the vendor's, whose clock sees
// requests arrive and not start.
func margin(per time.Duration) time.Duration { return min(time.Second, per/10) }

// longestWindow is the longest unit of a relay.Rate, with its margin, at half
// the rate.
const longestWindow = 2 * (time.Hour + time.Second)

// start notes that something starts.
func (l *ledger) start(now time.Time) {
	l.starts = append(l.starts, now)
	if old := now.Add(-l.keep); l.starts[0].Before(old) {
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
			next = later(next, log.next(l.pace(w.Rate), now))
		}
	}
	return next
}

// start notes that a message to a person starts.
func (p *personLedgers) start(l *lane, user string, now time.Time) {
	noted := map[personKey]bool{} // several windows share a key
	for _, w := range l.personal {
		k := personKey{w.Key, user}
		log := p.all[k]
		if log == nil {
			p.tidy(now)
			log = &ledger{}
			p.all[k] = log
		}
		log.remember(w.Rate)
		if !noted[k] {
			log.start(now)
		}
		noted[k] = true
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

// recall fills the logs of starts with what earlier runs of relay sent, once:
// the vendor counts it, too, and does not know of restarts.
func (e *Engine) recall(ctx context.Context) error {
	if e.paced {
		return nil
	}
	e.paced = true
	now := e.o.Now()
	touched := map[*ledger]bool{}
	for _, l := range e.lanes {
		if len(l.ledgers)+len(l.personal) == 0 {
			continue
		}
		var longest time.Duration
		for _, limit := range l.limits {
			longest = max(longest, limit.rate.Per)
		}
		for _, w := range l.personal {
			longest = max(longest, w.Rate.Per)
		}
		past, err := e.o.Store.Pace(ctx, l.lane(), now.Add(-longest-margin(longest)))
		if err != nil {
			return fmt.Errorf("read what %s sent before: %w", l.Name, err)
		}
		if !past.Closed.IsZero() {
			l.hold(earlier(past.Closed, now.Add(longestHint)))
		}
		for _, s := range past.Starts {
			at := earlier(s.At, now) // a clock that was set back makes no later start
			if l.rated() {
				for _, shared := range l.ledgers {
					shared.starts = append(shared.starts, at)
					touched[shared] = true
				}
			}
			e.persons.start(l, s.User, at)
		}
	}
	for _, log := range e.persons.all {
		touched[log] = true
	}
	for log := range touched { // several lanes may share one
		slices.SortFunc(log.starts, time.Time.Compare)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
