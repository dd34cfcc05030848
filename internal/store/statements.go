package store

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// statements are all that the writer says to the database, prepared once.
type statements struct {
	begin, commit, rollback     *statement
	savepoint, release, undo    *statement
	checkpoint, truncate        *statement
	insertEvent, findEvent      *statement
	insertDelivery              *statement
	record, insertAttempt, slim *statement
	match, twin, group          *statement
	heldBack, source, accepted  *statement
	due, claim                  *statement
	pause, resume               *statement
	remove, restore             *statement
	waiting, bury, anyOpen      *statement
	heldLong, expire            *statement
	resend, forgetResend        *statement
	finished, unwanted          *statement
	dropDelivery, dropAttempts  *statement
	dropEvent, hasDelivery      *statement
	identify, forget            *statement
	mark, setMark               *statement
	unindexed, unindexedEvents  *statement
	indexedOne, eventFacets     *statement
	addText, dropText           *statement
	addFacet, dropFacet         *statement
	addSpan, dropSpans          *statement
	lowerDeliveries             *statement
	lowerEvents                 *statement
	sourceBySeq                 *statement
	eventSeq, ofEvent           *statement
	redactEvent, redactDelivery *statement
	redactAttempts              *statement
	ofPerson, eventTexts        *statement
	details, unmatch            *statement
	dropIdentities              *statement
	secureText                  *statement
}

// A limit is LIMIT 0 + ?: of a parameter alone SQLite makes a plan for its value,
// and so prepares the statement anew for every call (a quarter of a step).
func prepareStatements(c *conn) (*statements, error) {
	s := &statements{}
	for _, p := range []struct {
		to   **statement
		text string
	}{
		{&s.begin, `BEGIN IMMEDIATE`},
		{&s.commit, `COMMIT`},
		{&s.rollback, `ROLLBACK`},
		{&s.savepoint, `SAVEPOINT slice`},
		{&s.release, `RELEASE slice`},
		{&s.undo, `ROLLBACK TO slice`},
		{&s.checkpoint, `PRAGMA wal_checkpoint(PASSIVE)`},
		{&s.truncate, `PRAGMA wal_checkpoint(TRUNCATE)`},

		{&s.insertEvent, `INSERT INTO events (id, key, source, type, level, title, body, original, digest, created, deliveries, trace)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, key) WHERE key <> '' DO NOTHING`},
		{&s.findEvent, `SELECT id, digest, deliveries FROM events WHERE source = ? AND key = ? AND key <> ''`},
		{&s.insertDelivery, `INSERT INTO deliveries (id, event_seq, destination, provider, direct, recipient, fallback, fell_back, state, reason, due, created, updated, finished, replay_of, late)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_seq, destination) WHERE fell_back = 1 DO NOTHING`},

		// Final states set finished, pending ones due. The first factor of waited is 1
		// where the delivery stays due as it was, as in begin.
		{&s.record, `UPDATE deliveries SET state = ?, reason = ?, attempts = attempts + ?, ambiguous = ambiguous + ?,
			waited = max(0, waited - ? * max(0, updated - due)), updated = ?, due = coalesce(?, due), finished = ?
			WHERE seq = ? AND claim = ? AND state = 'sending'`},
		{&s.insertAttempt, `INSERT OR REPLACE INTO attempts (key, started, duration, verdict, template, template_revision, retry_after, receipt, error, detail)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.slim, `UPDATE attempts SET detail = slim(detail) WHERE key = ?`},
		{&s.forgetResend, `UPDATE attempts SET detail = json_remove(detail, '$.resend') WHERE key = ? AND verdict = 'ambiguous'`},
		{&s.resend, `SELECT CAST(detail ->> '$.resend' AS TEXT) FROM attempts WHERE key = ? AND verdict = 'ambiguous' AND detail ->> '$.resend' IS NOT NULL`},

		{&s.match, `UPDATE deliveries SET user = ?, match = ? WHERE seq = ?`},
		{&s.unmatch, `UPDATE deliveries SET user = '' WHERE seq = ? AND user <> ''`},
		// Another recipient of the same event who is the same user.
		{&s.twin, `SELECT id FROM deliveries INDEXED BY deliveries_event
			WHERE event_seq = ? AND destination = ? AND direct = 1 AND user = ? AND late = 0 AND seq <> ? LIMIT 1`},
		// How the direct messages of an event to a destination stand. A recipient who
		// is another one's twin is skipped, and found all the same.
		{&s.group, `SELECT count(*) FILTER (WHERE finished IS NULL), count(*) FILTER (WHERE finished IS NULL AND user = ''),
			count(*) FILTER (WHERE user <> '' OR state = 'skipped'), count(*) FILTER (WHERE finished IS NOT NULL AND user = '' AND state <> 'skipped'),
			count(*) FILTER (WHERE state IN ('dead', 'expired')), count(*) FILTER (WHERE state = 'delivered' OR state = 'skipped' AND user <> ''),
			max(provider) FROM deliveries INDEXED BY deliveries_event
			WHERE event_seq = ? AND destination = ? AND direct = 1 AND late = 0`},
		{&s.heldBack, `SELECT DISTINCT event_seq FROM deliveries AS d INDEXED BY deliveries_open
			WHERE destination = ? AND direct = 1 AND finished IS NULL AND fallback = 'none_delivered' AND late = 0 AND due <= ?
			AND NOT EXISTS (SELECT 1 FROM deliveries AS o INDEXED BY deliveries_event WHERE o.event_seq = d.event_seq AND o.destination = d.destination
				AND (o.fell_back = 1 OR o.direct = 1 AND o.late = 0
				AND (o.state IN ('delivered', 'sending') OR o.state = 'skipped' AND o.user <> '')))
			LIMIT 0 + ?`},
		{&s.accepted, `SELECT created FROM events WHERE seq = ?`},
		{&s.source, `SELECT event_seq, destination, provider, direct, recipient, finished IS NOT NULL, id FROM deliveries WHERE id = ?`},
		{&s.sourceBySeq, `SELECT event_seq, destination, provider, direct, recipient, finished IS NOT NULL, id FROM deliveries WHERE seq = ?`},
		{&s.eventSeq, `SELECT seq FROM events WHERE id = ?`},
		{&s.ofEvent, `SELECT id, destination, recipient, finished IS NOT NULL FROM deliveries WHERE event_seq = ? ORDER BY seq`},

		{&s.due, `SELECT d.seq, d.id, d.provider, d.recipient, d.attempts, d.ambiguous, d.created, d.waited, d.due, e.id, e.type, e.body,
			d.user, d.event_seq, d.fallback, e.trace
			FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN events AS e ON e.seq = d.event_seq
			WHERE d.destination = ? AND d.direct = ? AND d.late = ? AND d.finished IS NULL AND d.state = 'pending' ORDER BY d.due, d.seq LIMIT 0 + ?`},
		{&s.claim, `UPDATE deliveries INDEXED BY deliveries_open SET state = 'sending', claim = ?, waited = waited + max(0, ? - due), updated = ?, paced = ?
			WHERE destination = ? AND direct = ? AND late = ? AND finished IS NULL AND state = 'pending' AND (due, seq) <= (?, ?)`},

		{&s.pause, `INSERT OR REPLACE INTO pauses (destination, part, reason, since, manual, settings, probe, unavailable) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.resume, `DELETE FROM pauses WHERE destination = ? AND part = ?`},

		{&s.remove, `INSERT OR REPLACE INTO removals (destination, part, reason, since) VALUES (?, ?, ?, ?)`},
		{&s.restore, `DELETE FROM removals WHERE destination = ? AND part = ?`},
		{&s.waiting, `SELECT seq, event_seq, fallback, late FROM deliveries INDEXED BY deliveries_open
			WHERE destination = ? AND direct = ? AND finished IS NULL AND state = 'pending' ORDER BY late, due, seq LIMIT 0 + ?`},
		{&s.bury, `UPDATE deliveries SET state = 'dead', reason = ?, updated = ?, finished = ? WHERE seq = ?`},
		{&s.anyOpen, `SELECT 1 FROM deliveries INDEXED BY deliveries_open WHERE destination = ? AND direct = ? AND finished IS NULL LIMIT 1`},
		{&s.heldLong, `SELECT seq, event_seq, fallback, replay_of IS NOT NULL FROM deliveries INDEXED BY deliveries_open
			WHERE destination = ? AND direct = ? AND finished IS NULL AND state = 'pending' AND due <= ? ORDER BY due, seq LIMIT 0 + ?`},
		{&s.expire, `UPDATE deliveries SET state = 'expired', reason = ?, updated = ?, finished = ? WHERE seq = ?`},

		{&s.finished, `SELECT seq, event_seq FROM deliveries INDEXED BY deliveries_finished WHERE finished < ? ORDER BY finished LIMIT 0 + ?`},
		{&s.unwanted, `SELECT seq FROM events INDEXED BY events_unwanted WHERE deliveries = 0 AND created < ?
			AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_seq = events.seq) ORDER BY created LIMIT 0 + ?`},
		{&s.dropDelivery, `DELETE FROM deliveries WHERE seq = ?`},
		{&s.dropAttempts, `DELETE FROM attempts WHERE key >= ? AND key < ?`},
		{&s.hasDelivery, `SELECT 1 FROM deliveries WHERE event_seq = ? LIMIT 1`},
		{&s.dropEvent, `DELETE FROM events WHERE seq = ?`},

		{&s.identify, `INSERT OR REPLACE INTO identities (account, by, value, user, until) VALUES (?, ?, ?, ?, ?)`},
		{&s.forget, `DELETE FROM identities WHERE until < ?`},

		// What names a person is found in small steps, by reading (purge.go).
		{&s.redactEvent, `UPDATE events SET key = ?, title = ?, body = ?, original = NULL WHERE seq = ?`},
		{&s.redactDelivery, `UPDATE deliveries SET reason = redacted(reason, ?) WHERE seq = ?`},
		{&s.redactAttempts, `UPDATE attempts SET receipt = redacted(receipt, ?), error = redacted(error, ?),
			detail = json_remove(detail, '$.template_error', '$.message', '$.steps', '$.request', '$.response') WHERE key >= ? AND key < ?`},
		{&s.ofPerson, `SELECT seq, destination, direct, late, recipient, fallback, finished IS NOT NULL, user FROM deliveries WHERE event_seq = ?`},
		{&s.details, `SELECT coalesce(detail, '') FROM attempts WHERE key >= ? AND key < ?`},
		{&s.eventTexts, `SELECT key, title, body, original FROM events WHERE seq = ?`},
		{&s.dropIdentities, `DELETE FROM identities WHERE value = ? OR user <> '' AND user = ?`},
		{&s.secureText, `INSERT INTO log_text (log_text, rank) VALUES ('secure-delete', ?)`},

		{&s.mark, `SELECT value FROM meta WHERE name = ?`},
		{&s.setMark, `UPDATE meta SET value = ? WHERE name = ?`},
		{&s.unindexed, `SELECT d.seq, d.created, d.destination, e.type, e.title, e.key, d.recipient
			FROM deliveries AS d CROSS JOIN events AS e ON e.seq = d.event_seq WHERE d.seq > ? ORDER BY d.seq LIMIT 0 + ?`},
		{&s.indexedOne, `SELECT d.seq, d.created, d.destination, e.type, e.title, e.key, d.recipient
			FROM deliveries AS d CROSS JOIN events AS e ON e.seq = d.event_seq WHERE d.seq = ?`},
		{&s.unindexedEvents, `SELECT seq, created, type, source FROM events WHERE seq > ? ORDER BY seq LIMIT 0 + ?`},
		{&s.eventFacets, `SELECT type, source FROM events WHERE seq = ?`},
		{&s.addText, `INSERT INTO log_text (rowid, text, recipient) VALUES (?, ?, ?)`},
		{&s.dropText, `INSERT INTO log_text (log_text, rowid, text, recipient) VALUES ('delete', ?, ?, ?)`},
		{&s.addFacet, `INSERT OR REPLACE INTO log_facets (facet, seq) VALUES (?, ?)`},
		{&s.dropFacet, `DELETE FROM log_facets WHERE facet = ? AND seq = ?`},
		{&s.addSpan, `INSERT INTO log_spans (kind, block, low, high) VALUES (?, ?, ?, ?)
			ON CONFLICT (kind, block) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)`},
		{&s.dropSpans, `DELETE FROM log_spans WHERE kind = 'd' AND block < (SELECT coalesce(min(seq), 0) >> 10 FROM deliveries)
			OR kind = 'e' AND block < (SELECT coalesce(min(seq), 0) >> 10 FROM events)`},
		{&s.lowerDeliveries, `UPDATE meta SET value = min(value, (SELECT coalesce(max(seq), 0) FROM deliveries)) WHERE name = 'indexed_deliveries'`},
		{&s.lowerEvents, `UPDATE meta SET value = min(value, (SELECT coalesce(max(seq), 0) FROM events)) WHERE name = 'indexed_events'`},
	} {
		var err error
		if *p.to, err = c.prepare(p.text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// run is exec for statements whose numbers say nothing.
func (s *statement) run(args ...driver.Value) error {
	_, _, err := s.exec(args...)
	return err
}

// newWriter opens the connection that writes, begins a new run and gives back
// what an earlier run was sending when it ended.
func newWriter(ctx context.Context, s *Store, path string, reserve *reserve) (_ *writer, err error) {
	c, err := openConn(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	w := &writer{store: s, conn: c, open: map[string]int{}, late: map[relay.Lane]int{}, sending: map[int64]sending{}, reserve: reserve}
	if w.sql, err = prepareStatements(c); err != nil {
		return nil, err
	}
	if err := w.sql.begin.run(); err != nil {
		return nil, err
	}
	if err := w.begin(); err != nil {
		return nil, err // closing the connection undoes it
	}
	return w, w.sql.commit.run()
}

// begin is what a new run does first, in one transaction.
//
// A delivery that was being sent keeps the time at which it was due, and with
// it its place before those that came later; the wait that its claim had added
// is taken off again, since the next claim counts from the same time.
func (w *writer) begin() error {
	if err := w.once(`UPDATE meta SET value = value + 1 WHERE name = 'run' RETURNING value`, func(row []driver.Value) {
		w.run = number(row[0])
	}); err != nil {
		return err
	}
	if w.run == 0 {
		return fmt.Errorf("the store has no run number: %s is damaged", databaseFile)
	}
	back := 0
	if err := w.once(`UPDATE deliveries SET state = 'pending', claim = 0, interrupted = updated, waited = max(0, waited - max(0, updated - due))
		WHERE finished IS NULL AND state = 'sending' RETURNING seq`, func([]driver.Value) { back++ }); err != nil {
		return err
	}
	if back > 0 {
		w.store.log.Info("deliveries whose sending was interrupted are tried again", "count", back)
	}
	if err := w.turnBack(unixMilli(w.store.now())); err != nil {
		return err
	}
	if w.store.version != "" {
		err := w.once(`INSERT OR REPLACE INTO meta (name, value) VALUES ('relay', ?) RETURNING value`, func([]driver.Value) {}, w.store.version)
		if err != nil {
			return err
		}
	}
	return w.once(`SELECT destination, direct, late, count(*) FROM deliveries INDEXED BY deliveries_open WHERE finished IS NULL GROUP BY destination, direct, late`,
		func(row []driver.Value) {
			n := int(number(row[3]))
			w.open[text(row[0])] += n
			w.openAll += n
			if number(row[2]) == 1 {
				w.late[relay.Lane{Destination: text(row[0]), Part: partOf(number(row[1]) == 1)}] = n
			}
		})
}

// turnBack mends the times of a clock that was set back since: what would be
// due only when the clock has come so far again is due as if it had not been.
func (w *writer) turnBack(now int64) error {
	moved := 0
	err := w.once(`UPDATE deliveries SET due = max(0, due - (updated - ?)), updated = ?
		WHERE finished IS NULL AND updated > ? RETURNING seq`, func([]driver.Value) { moved++ }, now, now, now)
	if moved > 0 {
		w.store.log.Warn("the clock was set back since relay ran last; what waits is due by the clock of now", "deliveries", moved)
	}
	return err
}

// once prepares and runs a statement that the store needs a single time.
func (w *writer) once(query string, each func(row []driver.Value), args ...driver.Value) error {
	st, err := w.conn.prepare(query)
	if err != nil {
		return err
	}
	return st.query(each, args...)
}
