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
	easing   bool      // it was held and starts at half its rate, until what was held has gone
	limited  time.Time // since when only the limits hold it back; zero: they do not

	fallBackAt time.Time // while it is held: when its events are looked through next

	removed   *relay.Removal // something waits, and the configuration names it no more or disables it
	buryAt    time.Time      // what waits ends not before
	expireAt  time.Time      // the same, for what is held too long
	downSince time.Time      // its plugin takes nothing since then
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
			n = min(n, limit.allowed(l.pace(limit.rate), now)-reserved[limit.ledger])
		}
		if room && n <= 0 {
			l.limited = now
		}
		if n > 0 {
			probed[l.gate] = probe
			out = append(out, relay.ClaimRequest{Lane: l.lane(), Limit: n, Paced: l.rated() || len(l.personal) > 0})
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

// pace is the rate that the lane keeps to: half of its own after it was held,
// so that a vendor who just began to take messages again is not flooded.
func (l *lane) pace(r relay.Rate) relay.Rate {
	switch {
	case !l.easing:
	case r.Count > 1:
		r.Count /= 2
	default:
		r.Per *= 2
	}
	return r
}

// next is when one more may start, as the limits go.
func (l *lane) next(now time.Time) time.Time {
	next := now
	for _, limit := range l.limits {
		if t := limit.next(l.pace(limit.rate), now); t.After(next) {
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

// told reports whether the vendor asked to wait.
func (l *lane) told(now time.Time) bool {
	return slices.ContainsFunc(l.ledgers, func(shared *ledger) bool { return now.Before(shared.closed) })
}

// mayFeed reports whether what is claimed of the lane may start.
func (e *Engine) mayFeed(l *lane) bool {
	return (l.mayStart() || l.gate.probing == l) && !e.stopping && !l.told(e.o.Now())
}

// feed starts what is queued as slots are free, and gives back what may not
// start any more.
func (e *Engine) feed(l *lane) {
	if !e.mayFeed(l) {
		e.giveBack(l)
	}
	if i := e.isolated[l.Plugin]; i != nil {
		e.isolate(i)
	}
	now := e.o.Now()
	for len(l.queue) > 0 && l.inflight < l.Concurrency {
		c := l.queue[0]
		if e.isSuspect(c) {
			l.drop(1)
			i := e.isolation(l)
			i.waiting = append(i.waiting, c)
			e.isolate(i)
			continue
		}
		if unresolved(c) {
			if !e.resolve(l) {
				e.giveBack(l)
				e.WakeAll()
			}
			continue
		}
		if at := e.persons.next(l, c.User, now); at.After(now) {
			l.drop(1)
			e.postpone(l, c, at)
			continue
		}
		if !e.send(l, c, nil) {
			e.giveBack(l)
			e.WakeAll() // the store is told; the lane waits until its provider is ready
			continue
		}
		l.drop(1)
	}
}

// drop takes what was started off the queue, so that its events can go.
func (l *lane) drop(n int) {
	clear(l.queue[:n])
	l.queue = l.queue[n:]
}

// postpone gives a claim back, due at a time.
func (e *Engine) postpone(l *lane, c relay.Claimed, at time.Time) {
	e.record(relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StatePending, Due: at}, e.o.Now())
	if l.due.IsZero() || l.due.After(at) {
		l.due = at
	}
}

// giveBack returns what is queued to the store, in its place and not tried.
func (e *Engine) giveBack(l *lane) {
	now := e.o.Now()
	back := l.queue
	if i := e.isolated[l.Plugin]; i != nil {
		back = append(back, i.takeBack(l.lane())...)
	}
	for _, c := range back {
		e.record(relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StatePending}, now)
	}
	if len(back) > 0 {
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

// send hands a delivery over, alone where it is isolated; false means that it
// was not tried.
func (e *Engine) send(l *lane, c relay.Claimed, from *isolation) bool {
	now := e.o.Now()
	err := e.o.Sender.Send(c, from != nil, func(r relay.Report) { e.inbox.report(reported{c, r, now, e.o.Now(), from}) })
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
func (e *Engine) resolve(l *lane) bool {
	n := 1
	for n < len(l.queue) && n < l.Concurrency-l.inflight && unresolved(l.queue[n]) && !e.isSuspect(l.queue[n]) {
		n++
	}
	if !e.askFor(l, slices.Clone(l.queue[:n]), nil) {
		return false
	}
	l.drop(n)
	return true
}

// askFor has recipients looked up; false means that nobody was asked.
func (e *Engine) askFor(l *lane, batch []relay.Claimed, from *isolation) bool {
	now := e.o.Now()
	err := e.o.Sender.Resolve(batch, from != nil, func(answers []Resolution) {
		all := make([]resolved, len(batch))
		for i, c := range batch {
			all[i] = resolved{c, answers[i], now, e.o.Now(), from}
		}
		e.inbox.resolve(all)
	})
	if err != nil {
		return false
	}
	l.inflight += len(batch)
	e.inflight += len(batch)
	return true
}

func (e *Engine) ended(l *lane) {
	l.inflight--
	e.inflight--
}
