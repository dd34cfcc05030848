package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// purgeStep is how many events one operation of Purge forgets a person in, and
// readStep how many it looks through at a time.
const (
	purgeStep = 50
	readStep  = 2_000
)

// Purge forgets a person, who is named by an email, a phone or an id: the
// deliveries to the person go with their attempts, finished or not; events lose
// the person, what a source's sender sent, and the bodies that were sent and
// answered to others about them; an event of which nothing else is left goes as
// a whole. What look-ups said of the person is forgotten, too. It returns what
// was done also where it fails.
//
// What is deleted is overwritten. Where rows lay before they moved, SQLite may
// leave bytes in unused parts of pages until these are used again; a Backup has
// none of them.
func (s *Store) Purge(ctx context.Context, name string) (relay.Purged, error) {
	p := newPerson(name)
	var done relay.Purged
	forget := map[string]bool{p.folded: true} // the values of identities
	users := map[string]bool{}
	for from := int64(-1); ; {
		var events []int64
		last := from
		err := s.read(ctx, func(q query) error { // recipients and messages carry what their event says, and what relay.yaml knows
			return q.each(`SELECT seq, mentioned(body, ?1) OR mentioned(coalesce(original, ''), ?1) OR mentioned(key, ?1) OR EXISTS
				(SELECT 1 FROM deliveries AS d WHERE d.event_seq = e.seq AND d.recipient <> '' AND mentioned(d.recipient, ?1)) OR EXISTS
				(SELECT 1 FROM deliveries AS d CROSS JOIN attempts AS a ON a.key >= d.seq << 20 AND a.key < (d.seq + 1) << 20
				WHERE d.event_seq = e.seq AND mentioned(coalesce(a.detail, ''), ?1))
				FROM events AS e WHERE seq > ?2 ORDER BY seq LIMIT ?3`, []any{p.folded, from, readStep}, func(scan func(...any) error) error {
				var mentioned bool
				err := scan(&last, &mentioned)
				if mentioned {
					events = append(events, last)
				}
				return err
			})
		})
		if err != nil {
			return done, err
		}
		for len(events) > 0 {
			n := min(purgeStep, len(events))
			step := purge{person: p, name: name, forget: forget, users: users}
			err := s.write(ctx, 20*n, func(t *transaction) error {
				step.done = relay.Purged{}
				return t.securely(func() error { return t.purge(&step, events[:n]) })
			})
			if err != nil {
				return done, fmt.Errorf("purge: %w", err)
			}
			done.Events += step.done.Events
			done.Redacted += step.done.Redacted
			done.Deliveries += step.done.Deliveries
			done.Attempts += step.done.Attempts
			events = events[n:]
		}
		if last == from {
			break
		}
		from = last
	}
	err := s.write(ctx, 1, func(t *transaction) error {
		done.Identities = 0
		return t.securely(func() error {
			drop := func(value, user string) error {
				n, _, err := t.sql.dropIdentities.exec(value, user)
				done.Identities += int(n)
				return err
			}
			for value := range forget {
				if err := drop(value, ""); err != nil {
					return err
				}
			}
			for user := range users {
				if err := drop("", user); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return done, err
}

// securely has what is deleted overwritten, in the database and in its log.
func (t *transaction) securely(f func() error) (err error) {
	if err := errors.Join(t.conn.pragma("secure_delete = ON"), t.sql.secureText.run(int64(1))); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.sql.secureText.run(int64(0)), t.conn.pragma("secure_delete = OFF")) }()
	t.wipe = true
	return f()
}

// purge is one step.
type purge struct {
	person
	name          string
	done          relay.Purged
	forget, users map[string]bool
}

func (t *transaction) purge(p *purge, events []int64) error {
	for _, seq := range events {
		if err := t.purgeEvent(p, seq); err != nil {
			return fmt.Errorf("event %d: %w", seq, err)
		}
	}
	return t.lowerMarks()
}

// ofEvent is a delivery of an event that is purged.
type ofEvent struct {
	seq       int64
	lane      relay.Lane
	late      bool
	recipient string
	fallback  relay.Fallback
	finished  bool
	user      string
}

func (t *transaction) purgeEvent(p *purge, event int64) error {
	var theirs, others []ofEvent
	err := t.sql.ofPerson.query(func(r []driver.Value) {
		d := ofEvent{number(r[0]), relay.Lane{Destination: text(r[1]), Part: partOf(number(r[2]) == 1)}, number(r[3]) == 1,
			text(r[4]), relay.Fallback(text(r[5])), number(r[6]) == 1, text(r[7])}
		if p.is(d.recipient) {
			theirs = append(theirs, d)
		} else {
			others = append(others, d)
		}
	}, event)
	if err != nil {
		return err
	}
	var key, title, body, original string
	err = t.sql.eventTexts.query(func(r []driver.Value) {
		key, title, body = text(r[0]), text(r[1]), text(r[2])
		sent, _ := r[3].([]byte)
		original = string(sent)
	}, event)
	if err != nil {
		return err
	}
	redacted, changed := p.redactEvent(body)
	if !changed && len(theirs) == 0 && p.redact(key) == key && !p.inOriginal(original) {
		if sent, err := t.inAttempts(p, others); err != nil || !sent {
			return err // what looked like the person is somebody else
		}
	}
	for _, d := range theirs {
		if err := t.purgeDelivery(p, d); err != nil {
			return err
		}
	}
	if len(others) == 0 {
		p.done.Events++
		return t.dropEventIfAlone(event)
	}
	p.done.Redacted++
	return t.redact(p, event, others, theirs, []driver.Value{p.redact(key), p.redact(title), redacted, event})
}

// inAttempts reports whether something that was sent names the person.
func (t *transaction) inAttempts(p *purge, all []ofEvent) (found bool, err error) {
	for _, d := range all {
		err := t.sql.details.query(func(r []driver.Value) {
			found = found || p.redact(text(r[0])) != text(r[0])
		}, attemptKey(d.seq, 0), attemptKey(d.seq+1, 0))
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// purgeDelivery drops a delivery to the person, wherever it stands. One that is
// being sent ends unrecorded.
func (t *transaction) purgeDelivery(p *purge, d ofEvent) error {
	p.done.Deliveries++
	for _, key := range keys(d.recipient) {
		if key != "" {
			p.forget[key] = true
		}
	}
	if d.user != "" {
		p.users[d.user] = true
	}
	if !d.finished {
		t.count(d.lane.Destination, -1)
		if d.late {
			t.countLate(d.lane, -1)
		}
		t.ended = append(t.ended, d.seq)
	}
	return t.dropDelivery(d.seq)
}

// redact takes the person out of an event that goes on, and out of what was
// sent and answered for its other deliveries.
func (t *transaction) redact(p *purge, event int64, others, theirs []ofEvent, texts []driver.Value) error {
	var indexed []int64
	for _, d := range others {
		was, err := t.unindex(d.seq)
		if err != nil {
			return err
		}
		if was {
			indexed = append(indexed, d.seq)
		}
		if err := t.sql.redactDelivery.run(p.name, d.seq); err != nil {
			return err
		}
		n, _, err := t.sql.redactAttempts.exec(p.name, p.name, attemptKey(d.seq, 0), attemptKey(d.seq+1, 0))
		if err != nil {
			return err
		}
		p.done.Attempts += int(n)
	}
	if err := t.sql.redactEvent.run(texts...); err != nil {
		return err
	}
	for _, seq := range indexed {
		if err := t.reindex(seq); err != nil {
			return err
		}
	}
	for _, d := range theirs { // the fallback may have waited for this one only
		if d.finished || d.late || d.fallback == "" {
			continue
		}
		if err := t.decideFallback(sending{Lane: d.lane, event: event, fallback: d.fallback}); err != nil {
			return err
		}
	}
	return nil
}
