package delivery

import (
	"slices"

	"github.com/relay-sidecar/relay"
)

// A plugin that dies leaves several deliveries unanswered, and any of them may
// be what ended it. These are suspects: they are tried again one at a time, in a
// process that holds nothing else, while everything new goes on beside them.
// Only one that was alone when its process died gets a strike; any answer
// clears it.

// isolation is where the suspects of one plugin are tried.
type isolation struct {
	busy    bool
	waiting []relay.Claimed // claimed; at most what was in flight when the plugin died
	last    relay.Lane      // whose turn it was
}

// free says that the suspect on its way was answered.
func (i *isolation) free() {
	if i != nil {
		i.busy = false
	}
}

// suspect notes what a report says of a delivery, and returns its strikes.
func (e *Engine) suspect(r reported) int {
	switch {
	case !r.Lost:
		delete(e.suspects, r.ID)
	case r.Alone:
		e.suspects[r.ID]++
	default:
		e.suspects[r.ID] += 0
	}
	return e.suspects[r.ID]
}

func (e *Engine) isSuspect(c relay.Claimed) bool {
	_, is := e.suspects[c.ID]
	return is
}

func (e *Engine) isolation(l *lane) *isolation {
	i := e.isolated[l.Plugin]
	if i == nil {
		i = &isolation{}
		e.isolated[l.Plugin] = i
	}
	return i
}

// isolate sends the next suspect if none is on its way: by turns of the lanes,
// so that one whose receiver hangs does not hold up the others.
func (e *Engine) isolate(i *isolation) {
	for _, c := range slices.Clone(i.waiting) {
		if l := e.lane(c.Lane); !e.mayFeed(l) {
			e.giveBack(l) // the store knows when it may start
		}
	}
	for !i.busy {
		next := -1
		for n, c := range i.waiting {
			l := e.lane(c.Lane)
			if l.inflight >= l.Concurrency {
				continue
			}
			if next < 0 || i.waiting[next].Lane == i.last && c.Lane != i.last {
				next = n
			}
		}
		if next < 0 {
			return
		}
		c := i.waiting[next]
		i.waiting = append(i.waiting[:next:next], i.waiting[next+1:]...)
		i.last = c.Lane
		e.tryAlone(i, c)
	}
}

// tryAlone sends one suspect, or gives it back where it may not start now.
func (e *Engine) tryAlone(i *isolation, c relay.Claimed) {
	l, now := e.lane(c.Lane), e.o.Now()
	at := later(l.next(now), e.persons.next(l, c.User, now))
	switch {
	case unresolved(c):
		i.busy = e.askFor(l, []relay.Claimed{c}, i)
	case at.After(now):
		e.postpone(l, c, at)
		return
	default:
		i.busy = e.send(l, c, i)
	}
	if !i.busy { // its provider takes nothing now; the lane waits for that
		e.postpone(l, c, now)
	}
}

// takeBack removes a lane's suspects that wait.
func (i *isolation) takeBack(lane relay.Lane) (all []relay.Claimed) {
	kept := i.waiting[:0]
	for _, c := range i.waiting {
		if c.Lane == lane {
			all = append(all, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(i.waiting[len(kept):])
	i.waiting = kept
	return all
}
