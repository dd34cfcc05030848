package delivery

import (
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
)

// lane is the state of one part of a destination.
type lane struct {
	Destination
	known    bool // named by the configuration
	gate     *gate
	inflight int
	queue    []relay.Claimed // claimed and not started: what a free slot takes next
	due      time.Time       // when the store has work; zero: nothing waits
	limits   []limit
	ledgers  []*ledger // of the limits, each once
	personal []Window  // limits on what one person gets
	failing  string    // the last error, logged once
	limited  time.Time // since when only the limits hold it back; zero: they do not

	fallBackAt time.Time // while it is held: when its events are looked through next

	removed *relay.Removal // something waits, and the configuration names it no more
	buryAt  time.Time      // what waits ends not before
}

// limit is a window of a lane with the log that it shares.
type limit struct {
	*ledger
	rate relay.Rate
}

// ahead is how many deliveries are claimed for each slot of a destination
// without a rate: one to send, the others at hand when the slot is free again,
// so that a slot does not wait for the disk. It bounds what a crash leaves to
// claim anew, and the memory of a backlog of any size.
const ahead = 4

// claims asks for as much of each destination as may start now or soon.
func (e *Engine) claims(now time.Time) []relay.ClaimRequest {
	var out []relay.ClaimRequest
	reserved := map[*ledger]int{} // by lanes that share a log
	probed := map[*gate]bool{}    // by one of the lanes that share it
	for _, l := range e.lanes {
		if !l.limited.IsZero() {
			e.o.Waited(l.Name, now.Sub(l.limited))
			l.limited = time.Time{}
		}
		probe := l.mayProbe() && !probed[l.gate] && !now.Before(l.gate.probeAt) && !l.due.After(now)
		if !probe && !l.open(now) || !e.o.Sender.Ready(l.Name) {
			continue
		}
		n := l.room()
		if probe {
			n = 1
		}
		room := n > 0
		for _, limit := range l.limits {
			n = min(n, limit.allowed(limit.rate, now)-reserved[limit.ledger])
		}
		if room && n <= 0 {
			l.limited = now
		}
		if n > 0 {
			probed[l.gate] = probe
			out = append(out, relay.ClaimRequest{Lane: l.lane(), Limit: n})
			for _, shared := range l.ledgers {
				reserved[shared] += n
			}
		}
	}
	return out
}

// open reports whether the lane has work that nothing forbids.
func (l *lane) open(now time.Time) bool {
	return l.mayStart() && !l.due.IsZero() && !l.due.After(now)
}

func (l *lane) mayStart() bool { return l.known && !l.Disabled && l.gate.pause == nil }

// mayProbe reports whether a refused destination may be tried with its oldest
// delivery, once it is time.
func (l *lane) mayProbe() bool {
	p := l.gate.pause
	return p != nil && p.Probe && l.known && !l.Disabled && l.gate.probing == nil && l.inflight == 0 && !l.due.IsZero()
}

// probeWait is the wait before the next probe: 1 min, 5 min, then always 15 min.
func probeWait(refused int) time.Duration {
	switch refused {
	case 0:
		return time.Minute
	case 1:
		return 5 * time.Minute
	}
	return 15 * time.Minute
}

// room is how many more deliveries may be claimed, but for rates. With a rate
// those are only the ones that start at once: the others wait in the store.
func (l *lane) room() int {
	held := l.inflight + len(l.queue)
	if l.rated() {
		return l.Concurrency - held
	}
	if held > l.Concurrency*ahead/2 {
		return 0 // wait for a batch that is worth a transaction
	}
	return l.Concurrency*ahead - held
}

func (l *lane) rated() bool {
	return slices.ContainsFunc(l.limits, func(limit limit) bool { return limit.rate.Count > 0 })
}

// next is when one more may start, as the limits go.
func (l *lane) next(now time.Time) time.Time {
	next := now
	for _, limit := range l.limits {
		if t := limit.next(limit.rate, now); t.After(next) {
			next = t
		}
	}
	return next
}

// hold keeps everything that counts against the lane's limits until a time,
// because the vendor asked to wait.
func (l *lane) hold(until time.Time) {
	for _, shared := range l.ledgers {
		if until.After(shared.closed) {
			shared.closed = until
		}
	}
}

// held reports whether the vendor asked to wait.
func (l *lane) held(now time.Time) bool {
	return slices.ContainsFunc(l.ledgers, func(shared *ledger) bool { return now.Before(shared.closed) })
}

// feed starts what is queued as slots are free, and gives back what may not
// start any more.
func (e *Engine) feed(l *lane) {
	now := time.Now()
	mayStart := (l.mayStart() || l.gate.probing == l) && !e.stopping && !l.held(now)
	for len(l.queue) > 0 && mayStart && l.inflight < l.Concurrency {
		if unresolved(l.queue[0]) {
			if !e.resolve(l, now) {
				e.giveBack(l)
				e.WakeAll()
			}
			continue
		}
		if at := e.persons.next(l, l.queue[0].User, now); at.After(now) {
			e.record(relay.Outcome{Seq: l.queue[0].Seq, Claim: l.queue[0].Claim, State: relay.StatePending, Due: at}, now)
			l.queue = l.queue[1:]
			if l.due.IsZero() || l.due.After(at) {
				l.due = at
			}
			continue
		}
		c := l.queue[0]
		l.queue[0] = relay.Claimed{} // its event can go
		l.queue = l.queue[1:]
		if !e.send(l, c) {
			l.queue = append([]relay.Claimed{c}, l.queue...)
			e.giveBack(l)
			e.WakeAll() // the store is told; the lane waits until its provider is ready
		}
	}
	if !mayStart {
		e.giveBack(l)
	}
}

// giveBack returns what is queued to the store, in its place and not tried.
func (e *Engine) giveBack(l *lane) {
	now := time.Now()
	for _, c := range l.queue {
		e.record(relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StatePending}, now)
	}
	if len(l.queue) > 0 {
		l.due = now
	}
	l.queue = nil
	if l.gate.probing == l && l.inflight == 0 {
		l.gate.probing = nil // the probe was not sent
	}
}

// record puts an outcome on the list of those that the next step records.
func (e *Engine) record(o relay.Outcome, now time.Time) {
	if len(e.outcomes) == 0 {
		e.oldest = now
	}
	e.outcomes = append(e.outcomes, o)
}

// send hands a delivery over; false means that it was not tried.
func (e *Engine) send(l *lane, c relay.Claimed) bool {
	now := time.Now()
	err := e.o.Sender.Send(c, func(r relay.Report) { e.inbox.report(reported{c, r, now, time.Now()}) })
	if err != nil {
		return false
	}
	if l.rated() {
		for _, shared := range l.ledgers {
			shared.start(now)
		}
	}
	e.persons.start(l, c.User, now)
	l.inflight++
	e.inflight++
	return true
}

// unresolved reports whether nobody knows yet who the recipient is.
func unresolved(c relay.Claimed) bool { return c.Part == relay.PartDirect && c.User == "" }

// resolve has the recipients at the head of the queue looked up, as many as
// there are free slots; false means that nobody was asked.
func (e *Engine) resolve(l *lane, now time.Time) bool {
	n := 1
	for n < len(l.queue) && n < l.Concurrency-l.inflight && unresolved(l.queue[n]) {
		n++
	}
	batch := slices.Clone(l.queue[:n])
	err := e.o.Sender.Resolve(batch, func(answers []Resolution) {
		all := make([]resolved, len(batch))
		for i, c := range batch {
			all[i] = resolved{c, answers[i], now, time.Now()}
		}
		e.inbox.resolve(all)
	})
	if err != nil {
		return false
	}
	l.queue = slices.Delete(l.queue, 0, n)
	l.inflight += n
	e.inflight += n
	return true
}

func (e *Engine) ended(l *lane) {
	l.inflight--
	e.inflight--
}
