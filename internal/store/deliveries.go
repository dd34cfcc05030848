package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// defaultRows is the length of a list that names none, maxRows the longest.
const (
	defaultRows = 100
	maxRows     = 1000
)

// rowColumns are what scanRow reads; rowJoins are the tables that they come
// from, beside deliveries AS d. A pending delivery of a destination that was
// removed or is paused is held, for that reason. CROSS JOIN: the order is as
// written, since the planner has no statistics to find a better one by.
const (
	rowColumns = `SELECT d.seq, d.id, e.id, e.type, d.destination, d.provider, d.direct, d.recipient, d.user, d.fell_back,
	CASE WHEN d.state = 'pending' AND (p.destination IS NOT NULL OR r.destination IS NOT NULL) THEN 'held' ELSE d.state END,
	` + shownReason + `, d.attempts, d.created, d.updated, d.due, d.replay_of FROM `
	rowJoins = ` CROSS JOIN events AS e ON e.seq = d.event_seq
	LEFT JOIN pauses AS p ON p.destination = d.destination AND p.part = CASE d.direct WHEN 1 THEN 'direct' ELSE 'channel' END
	LEFT JOIN removals AS r ON r.destination = d.destination AND r.part = CASE d.direct WHEN 1 THEN 'direct' ELSE 'channel' END WHERE `
	shownReason = `CASE WHEN d.state = 'pending' THEN coalesce(r.reason, p.reason, d.reason) ELSE d.reason END`
)

func scanRow(scan func(...any) error) (seq int64, d relay.Delivery, err error) {
	var recipient string
	var direct bool
	var created, updated, due int64
	err = scan(&seq, &d.ID, &d.EventID, &d.EventType, &d.Destination, &d.Provider, &direct, &recipient, &d.User, &d.Fallback, &d.State, &d.Reason,
		&d.Attempts, &created, &updated, &due, &d.ReplayOf)
	if recipient != "" {
		d.Recipient = json.RawMessage(recipient)
	}
	d.Part = partOf(direct)
	d.Created, d.Updated = stamp(created), stamp(updated)
	if d.State == relay.StatePending {
		d.NextAttempt = new(stamp(due))
	}
	return seq, d, err
}

// Delivery is one delivery with its attempts, or [relay.ErrNotFound].
func (s *Store) Delivery(ctx context.Context, id string) (d relay.Delivery, err error) {
	err = s.read(ctx, func(q query) error {
		found := false
		var seq int64
		err := q.each(rowColumns+"deliveries AS d"+rowJoins+"d.id = ?", []any{id}, func(scan func(...any) error) (err error) {
			found = true
			seq, d, err = scanRow(scan)
			return err
		})
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrNotFound
		}
		if err := q.more(seq, &d); err != nil {
			return err
		}
		d.Log, err = q.attempts(seq)
		return err
	})
	return d, err
}

// more reads what is only shown of one delivery: who was found for its
// recipient, how long it was due before it was claimed, and what a relay that
// ended left in doubt.
func (q query) more(seq int64, d *relay.Delivery) error {
	return q.each(`SELECT match, waited, interrupted FROM deliveries WHERE seq = ?`, []any{seq}, func(scan func(...any) error) error {
		var kept []byte
		var interrupted int64
		if err := scan(&kept, &d.WaitedMS, &interrupted); err != nil {
			return err
		}
		if interrupted > 0 {
			d.Interrupted = new(stamp(interrupted))
		}
		if kept == nil {
			return nil
		}
		if err := json.Unmarshal(kept, &d.Match); err != nil {
			return fmt.Errorf("match: %w", err)
		}
		return nil
	})
}

// attempts reads the log of a delivery, in order.
func (q query) attempts(delivery int64) (log []relay.Attempt, err error) {
	err = q.each(`SELECT attempt, started, duration, template, template_revision, verdict, retry_after, receipt, error, detail
		FROM attempts WHERE key >= ? AND key < ? ORDER BY key`, []any{attemptKey(delivery, 0), attemptKey(delivery+1, 0)},
		func(scan func(...any) error) error {
			var a relay.Attempt
			var started int64
			var kept []byte
			err := scan(&a.Attempt, &started, &a.DurationMS, &a.Template, &a.TemplateRevision, &a.Verdict, &a.RetryAfterMS,
				&a.Receipt, &a.Error, &kept)
			if err != nil {
				return err
			}
			if len(kept) > 0 {
				var d detail
				if err := json.Unmarshal(kept, &d); err != nil {
					return fmt.Errorf("attempt %d: %w", a.Attempt, err)
				}
				a.Lost, a.TemplateError, a.Message = d.Lost, d.TemplateError, d.Message
				a.Steps, a.Request, a.Response, a.Resent = d.Steps, d.Request, d.Response, d.Resent
			}
			a.Started = stamp(started)
			log = append(log, a)
			return nil
		})
	return log, err
}
