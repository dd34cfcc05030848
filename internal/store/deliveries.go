package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/relay-sidecar/relay"
)

// defaultRows is the length of a list that names none, maxRows the longest.
const (
	defaultRows = 100
	maxRows     = 1000
)

// rowColumns are what scanRow reads. A pending delivery of a destination that
// was removed or is paused is held, for that reason.
const rowColumns = `SELECT d.seq, d.id, e.id, e.type, d.destination, d.provider, d.direct, d.recipient, d.user, d.fell_back,
	CASE WHEN d.state = 'pending' AND (p.destination IS NOT NULL OR r.destination IS NOT NULL) THEN 'held' ELSE d.state END,
	CASE WHEN d.state = 'pending' THEN coalesce(r.reason, p.reason, d.reason) ELSE d.reason END,
	d.attempts, d.created, d.updated, d.due, d.replay_of
	FROM deliveries AS d %s JOIN events AS e ON e.seq = d.event_seq
	LEFT JOIN pauses AS p ON p.destination = d.destination AND p.part = CASE d.direct WHEN 1 THEN 'direct' ELSE 'channel' END
	LEFT JOIN removals AS r ON r.destination = d.destination AND r.part = CASE d.direct WHEN 1 THEN 'direct' ELSE 'channel' END `

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
	d.Created, d.Updated = fromMilli(created), fromMilli(updated)
	if d.State == relay.StatePending {
		next := fromMilli(due)
		d.NextAttempt = &next
	}
	return seq, d, err
}

// Deliveries lists the sent log, newest first, without the attempts. next is
// the Before of the following page, 0 after the last one: rows that arrive
// meanwhile shift nothing. Limit is 100 unless given, and at most 1,000.
func (s *Store) Deliveries(ctx context.Context, f relay.DeliveryFilter) (rows []relay.Delivery, next int64, err error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultRows
	}
	limit = min(limit, maxRows)
	index, where, args := conditions(f)
	text := fmt.Sprintf(rowColumns, index) + where + " ORDER BY d.seq DESC LIMIT ?"
	err = s.read(ctx, func(q query) error {
		var last int64
		return q.each(text, append(args, limit+1), func(scan func(...any) error) error {
			if len(rows) == limit { // the one more says that there is a next page
				next = last
				return nil
			}
			seq, d, err := scanRow(scan)
			last, rows = seq, append(rows, d)
			return err
		})
	})
	if err != nil {
		return nil, 0, err
	}
	return rows, next, nil
}

// conditions turns a filter into SQL. Open and failed rows are few among many
// that went well, and have indexes of their own; the planner is told, since it
// has no statistics to find out by.
func conditions(f relay.DeliveryFilter) (index, where string, args []any) {
	var parts []string
	add := func(part string, values ...any) {
		parts = append(parts, part)
		args = append(args, values...)
	}
	switch f.State {
	case "":
	case relay.StatePending:
		index = "INDEXED BY deliveries_open"
		add("d.finished IS NULL AND d.state = 'pending' AND p.destination IS NULL AND r.destination IS NULL")
	case relay.StateHeld:
		index = "INDEXED BY deliveries_open"
		add("d.finished IS NULL AND d.state = 'pending' AND (p.destination IS NOT NULL OR r.destination IS NOT NULL)")
	case relay.StateSending:
		index = "INDEXED BY deliveries_open"
		add("d.finished IS NULL AND d.state = 'sending'")
	case relay.StateDelivered:
		add("d.state = 'delivered'")
	default:
		index = "INDEXED BY deliveries_failed"
		add("d.finished IS NOT NULL AND d.state <> 'delivered' AND d.state = ?", string(f.State))
	}
	if f.EventID != "" {
		index = "" // an event has few rows
		add("d.event_seq = (SELECT seq FROM events WHERE id = ?)", f.EventID)
	}
	if f.Before > 0 {
		add("d.seq < ?", f.Before)
	}
	if f.Destination != "" {
		add("d.destination = ?", f.Destination)
	}
	if f.Type != "" {
		add("e.type = ?", f.Type)
	}
	if f.Recipient != "" {
		add(`EXISTS (SELECT 1 FROM json_tree(nullif(d.recipient, '')) WHERE atom LIKE ? ESCAPE '\')`,
			"%"+likeEscaper.Replace(f.Recipient)+"%")
	}
	if !f.Since.IsZero() {
		add("d.created >= ?", unixMilli(f.Since))
	}
	if !f.Until.IsZero() {
		add("d.created < ?", unixMilli(f.Until))
	}
	if len(parts) > 0 {
		where = "WHERE " + strings.Join(parts, " AND ")
	}
	return index, where, args
}

// likeEscaper makes a text match only itself in LIKE. It never changes.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Delivery is one delivery with its attempts, or [relay.ErrNotFound].
func (s *Store) Delivery(ctx context.Context, id string) (d relay.Delivery, err error) {
	err = s.read(ctx, func(q query) error {
		found := false
		var seq int64
		err := q.each(fmt.Sprintf(rowColumns, "")+"WHERE d.id = ?", []any{id}, func(scan func(...any) error) (err error) {
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
		if d.Match, err = q.match(seq); err != nil {
			return err
		}
		d.Log, err = q.attempts(seq)
		return err
	})
	return d, err
}

// match reads who was found for a delivery's recipient, or nil.
func (q query) match(delivery int64) (m *relay.Match, err error) {
	err = q.each(`SELECT match FROM deliveries WHERE seq = ? AND match IS NOT NULL`, []any{delivery}, func(scan func(...any) error) error {
		var kept []byte
		if err := scan(&kept); err != nil {
			return err
		}
		if err := json.Unmarshal(kept, &m); err != nil {
			return fmt.Errorf("match: %w", err)
		}
		return nil
	})
	return m, err
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
			a.Started = fromMilli(started)
			log = append(log, a)
			return nil
		})
	return log, err
}
