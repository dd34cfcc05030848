package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

// Pause keeps a pause, in place of an earlier one of the same lane. Its
// deliveries show as held from then on.
func (s *Store) Pause(ctx context.Context, p relay.Pause) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.pause.run(p.Destination, string(p.Part), p.Reason, unixMilli(p.Since), flag(p.Manual), p.Settings, flag(p.Probe), flag(p.Unavailable)); err != nil {
			return fmt.Errorf("pause %q: %w", p.Destination, err)
		}
		return nil
	})
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// partOf is the part that a row of deliveries belongs to.
func partOf(direct bool) relay.Part {
	if direct {
		return relay.PartDirect
	}
	return relay.PartChannel
}

// Resume ends a lane's pause. Ending none is no error.
func (s *Store) Resume(ctx context.Context, lane relay.Lane) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.resume.run(lane.Destination, string(lane.Part)); err != nil {
			return fmt.Errorf("resume %q: %w", lane.Destination, err)
		}
		return nil
	})
}

// Pauses lists what is paused, by destination and part.
func (s *Store) Pauses(ctx context.Context) ([]relay.Pause, error) {
	var pauses []relay.Pause
	err := s.read(ctx, func(q query) error {
		return q.each(`SELECT destination, part, reason, since, manual, settings, probe, unavailable FROM pauses ORDER BY destination, part`, nil,
			func(scan func(...any) error) error {
				var p relay.Pause
				var since int64
				err := scan(&p.Destination, &p.Part, &p.Reason, &since, &p.Manual, &p.Settings, &p.Probe, &p.Unavailable)
				p.Since = fromMilli(since)
				pauses = append(pauses, p)
				return err
			})
	})
	return pauses, err
}

// Expire ends deliveries of a lane that were due at or before a time and have
// waited since, at most limit of them. It returns how many, and which lanes got
// a delivery by a fallback.
func (s *Store) Expire(ctx context.Context, lane relay.Lane, due time.Time, reason string, limit int) (n int, fell []relay.Due, err error) {
	err = s.write(ctx, limit, func(t *transaction) error {
		t.fell = nil
		rows := map[int64]sending{}
		var order []int64
		err := t.sql.heldLong.query(func(r []driver.Value) {
			row := sending{Lane: lane, event: number(r[1]), late: number(r[3]) == 1}
			if !row.late {
				row.fallback = relay.Fallback(text(r[2]))
			}
			rows[number(r[0])] = row
			order = append(order, number(r[0]))
		}, lane.Destination, flag(lane.Part == relay.PartDirect), unixMilli(due), int64(limit))
		if err != nil {
			return fmt.Errorf("look for what %q held for long: %w", lane.Destination, err)
		}
		for _, seq := range order {
			if err := t.sql.expire.run(reason, t.nowMS, t.nowMS, seq); err != nil {
				return err
			}
			t.over = append(t.over, over{lane.Destination, relay.StateExpired})
			t.count(lane.Destination, -1)
			if rows[seq].late {
				t.countLate(lane, -1)
			}
			if rows[seq].fallback == "" {
				continue
			}
			if err := t.decideFallback(rows[seq]); err != nil {
				return err
			}
		}
		n, fell = len(order), t.fell
		return nil
	})
	return n, fell, err
}
