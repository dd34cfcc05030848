package store

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// Remove keeps that a lane is named no more, in place of what was kept of it.
// Its deliveries show as held from then on.
func (s *Store) Remove(ctx context.Context, r relay.Removal) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.remove.run(r.Destination, string(r.Part), r.Reason, unixMilli(r.Since)); err != nil {
			return fmt.Errorf("remove %q: %w", r.Destination, err)
		}
		return nil
	})
}

// Restore undoes Remove. Undoing none is no error.
func (s *Store) Restore(ctx context.Context, lane relay.Lane) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.restore.run(lane.Destination, string(lane.Part)); err != nil {
			return fmt.Errorf("restore %q: %w", lane.Destination, err)
		}
		return nil
	})
}

// Removals lists what was removed and not restored, by destination and part.
func (s *Store) Removals(ctx context.Context) ([]relay.Removal, error) {
	var removals []relay.Removal
	err := s.read(ctx, func(q query) error {
		return q.each(`SELECT destination, part, reason, since FROM removals ORDER BY destination, part`, nil,
			func(scan func(...any) error) error {
				var r relay.Removal
				var since int64
				err := scan(&r.Destination, &r.Part, &r.Reason, &since)
				r.Since = fromMilli(since)
				removals = append(removals, r)
				return err
			})
	})
	return removals, err
}

// Bury ends up to limit pending deliveries of a lane as dead. Where fallBack
// says so, the fallback of their events is decided as for any that ends. With
// the last of them the removal goes; left says that there are more, or some that
// are being sent.
func (s *Store) Bury(ctx context.Context, r relay.Removal, fallBack bool, limit int) (ended int, left bool, err error) {
	err = s.write(ctx, limit, func(t *transaction) (err error) {
		ended, left, err = t.bury(r, fallBack, limit)
		if err != nil {
			err = fmt.Errorf("end the deliveries of %q: %w", r.Destination, err)
		}
		return err
	})
	return ended, left, err
}

func (t *transaction) bury(r relay.Removal, fallBack bool, limit int) (ended int, left bool, err error) {
	direct := flag(r.Part == relay.PartDirect)
	t.fell = nil
	var rows []began
	err = t.sql.waiting.query(func(row []driver.Value) {
		b := began{number(row[0]), sending{Lane: r.Lane, event: number(row[1]), late: number(row[3]) == 1}}
		if !b.row.late {
			b.row.fallback = relay.Fallback(text(row[2]))
		}
		rows = append(rows, b)
	}, r.Destination, direct, int64(limit))
	if err != nil {
		return 0, false, err
	}
	for _, b := range rows {
		if err := t.sql.bury.run(r.Reason, t.nowMS, t.nowMS, b.seq); err != nil {
			return 0, false, err
		}
		t.over = append(t.over, over{r.Destination, relay.StateDead})
		t.count(r.Destination, -1)
		if b.row.late {
			t.countLate(r.Lane, -1)
		}
		if fallBack && b.row.fallback != "" {
			if err := t.decideFallback(b.row); err != nil {
				return 0, false, err
			}
		}
	}
	if err := t.sql.anyOpen.query(func([]driver.Value) { left = true }, r.Destination, direct); err != nil || left {
		return len(rows), left, err
	}
	return len(rows), false, t.sql.restore.run(r.Destination, string(r.Part))
}
