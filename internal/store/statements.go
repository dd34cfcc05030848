package store

import (
	"context"
	"database/sql/driver"
	"fmt"
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
	finished, unwanted          *statement
	dropDelivery, dropAttempts  *statement
	dropEvent, dropEventIfAlone *statement
	identify, forget            *statement
}

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
		{&s.insertDelivery, `INSERT INTO deliveries (id, event_seq, destination, provider, direct, recipient, fallback, fell_back, state, reason, due, created, updated, finished, replay_of)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_seq, destination) WHERE fell_back = 1 DO NOTHING`},

		// Final states set finished, pending ones due. The first factor of waited is 1
		// where the delivery stays due as it was, as in begin.
		{&s.record, `UPDATE deliveries SET state = ?, reason = ?, attempts = attempts + ?, ambiguous = ambiguous + ?,
			waited = max(0, waited - ? * max(0, updated - due)), updated = ?, due = coalesce(?, due), finished = ?
			WHERE seq = ? AND claim = ? AND state = 'sending'`},
		{&s.insertAttempt, `INSERT OR REPLACE INTO attempts (key, started, duration, verdict, template, template_revision, retry_after, receipt, error, detail)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.slim, `UPDATE attempts SET detail = json_remove(detail, '$.message', '$.request.body', '$.response.body') WHERE key = ?`},

		{&s.match, `UPDATE deliveries SET user = ?, match = ? WHERE seq = ?`},
		// Another recipient of the same event who is the same user.
		{&s.twin, `SELECT id FROM deliveries INDEXED BY deliveries_event
			WHERE event_seq = ? AND destination = ? AND direct = 1 AND user = ? AND replay_of IS NULL AND seq <> ? LIMIT 1`},
		// How the direct messages of an event to a destination stand. A recipient who
		// is another one's twin is skipped, and found all the same.
		{&s.group, `SELECT count(*) FILTER (WHERE finished IS NULL), count(*) FILTER (WHERE finished IS NULL AND user = ''),
			count(*) FILTER (WHERE user <> '' OR state = 'skipped'), count(*) FILTER (WHERE finished IS NOT NULL AND user = '' AND state <> 'skipped'),
			count(*) FILTER (WHERE state IN ('dead', 'expired')), count(*) FILTER (WHERE state = 'delivered' OR state = 'skipped' AND user <> ''),
			max(provider) FROM deliveries INDEXED BY deliveries_event
			WHERE event_seq = ? AND destination = ? AND direct = 1 AND replay_of IS NULL`},
		{&s.heldBack, `SELECT DISTINCT event_seq FROM deliveries AS d INDEXED BY deliveries_open
			WHERE destination = ? AND direct = 1 AND finished IS NULL AND fallback = 'none_delivered' AND replay_of IS NULL AND due <= ?
			AND NOT EXISTS (SELECT 1 FROM deliveries AS o INDEXED BY deliveries_event WHERE o.event_seq = d.event_seq AND o.destination = d.destination
				AND (o.fell_back = 1 OR o.direct = 1 AND o.replay_of IS NULL
				AND (o.state IN ('delivered', 'sending') OR o.state = 'skipped' AND o.user <> '')))
			LIMIT ?`},
		{&s.accepted, `SELECT created FROM events WHERE seq = ?`},
		{&s.source, `SELECT event_seq, destination, provider, direct, recipient, finished IS NOT NULL FROM deliveries WHERE id = ?`},

		{&s.due, `SELECT d.seq, d.id, d.provider, d.recipient, d.attempts, d.ambiguous, d.created, d.waited, d.due, e.id, e.type, e.body,
			d.user, d.event_seq, d.fallback, d.replay_of IS NOT NULL, e.trace
			FROM deliveries AS d INDEXED BY deliveries_open CROSS JOIN events AS e ON e.seq = d.event_seq
			WHERE d.destination = ? AND d.direct = ? AND d.finished IS NULL AND d.state = 'pending' ORDER BY d.due, d.seq LIMIT ?`},
		{&s.claim, `UPDATE deliveries INDEXED BY deliveries_open SET state = 'sending', claim = ?, waited = waited + max(0, ? - due), updated = ?
			WHERE destination = ? AND direct = ? AND finished IS NULL AND state = 'pending' AND (due, seq) <= (?, ?)`},

		{&s.pause, `INSERT OR REPLACE INTO pauses (destination, part, reason, since, manual, settings, probe) VALUES (?, ?, ?, ?, ?, ?, ?)`},
		{&s.resume, `DELETE FROM pauses WHERE destination = ? AND part = ?`},

		{&s.finished, `SELECT seq, event_seq FROM deliveries INDEXED BY deliveries_finished WHERE finished < ? ORDER BY finished LIMIT ?`},
		{&s.unwanted, `SELECT seq FROM events INDEXED BY events_unwanted WHERE deliveries = 0 AND created < ?
			AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_seq = events.seq) ORDER BY created LIMIT ?`},
		{&s.dropDelivery, `DELETE FROM deliveries WHERE seq = ?`},
		{&s.dropAttempts, `DELETE FROM attempts WHERE key >= ? AND key < ?`},
		{&s.dropEventIfAlone, `DELETE FROM events WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_seq = events.seq)`},
		{&s.dropEvent, `DELETE FROM events WHERE seq = ?`},

		{&s.identify, `INSERT OR REPLACE INTO identities (account, by, value, user, until) VALUES (?, ?, ?, ?, ?)`},
		{&s.forget, `DELETE FROM identities WHERE until < ?`},
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
func newWriter(ctx context.Context, s *Store, path string) (_ *writer, err error) {
	c, err := openConn(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	w := &writer{store: s, conn: c, open: map[string]int{}, sending: map[int64]sending{}}
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
	if err := w.once(`UPDATE deliveries SET state = 'pending', claim = 0, waited = max(0, waited - max(0, updated - due))
		WHERE finished IS NULL AND state = 'sending' RETURNING seq`, func([]driver.Value) { back++ }); err != nil {
		return err
	}
	if back > 0 {
		w.store.log.Info("deliveries whose sending was interrupted are tried again", "count", back)
	}
	return w.once(`SELECT destination, count(*) FROM deliveries INDEXED BY deliveries_open WHERE finished IS NULL GROUP BY destination`,
		func(row []driver.Value) {
			w.open[text(row[0])] = int(number(row[1]))
			w.openAll += int(number(row[1]))
		})
}

// once prepares and runs a statement that the store needs a single time.
func (w *writer) once(query string, each func(row []driver.Value)) error {
	st, err := w.conn.prepare(query)
	if err != nil {
		return err
	}
	return st.query(each)
}
