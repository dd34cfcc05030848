package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/relay-sidecar/relay"
)

// Event is an event with the rows of its deliveries, or [relay.ErrNotFound].
func (s *Store) Event(ctx context.Context, id string) (relay.StoredEvent, error) {
	return s.event(ctx, "WHERE id = ?", id)
}

// EventByKey finds an event by its sender's key and source.
func (s *Store) EventByKey(ctx context.Context, key, source string) (relay.StoredEvent, error) {
	return s.event(ctx, "WHERE key <> '' AND key = ? AND source = ?", key, source)
}

func (s *Store) event(ctx context.Context, where string, args ...any) (e relay.StoredEvent, err error) {
	err = s.read(ctx, func(q query) error {
		var seq, created int64
		var body string
		row := q.tx.QueryRowContext(q.ctx, "SELECT seq, id, key, source, body, original, created FROM events "+where, args...)
		switch err := row.Scan(&seq, &e.ID, &e.Key, &e.Source, &body, &e.Original, &created); {
		case errors.Is(err, sql.ErrNoRows):
			return relay.ErrNotFound
		case err != nil:
			return err
		}
		e.Body, e.Created = json.RawMessage(body), fromMilli(created)
		return q.each(rowColumns+"deliveries AS d"+rowJoins+"d.event_seq = ? ORDER BY d.seq", []any{seq},
			func(scan func(...any) error) error {
				_, d, err := scanRow(scan)
				e.Deliveries = append(e.Deliveries, d)
				return err
			})
	})
	return e, err
}
