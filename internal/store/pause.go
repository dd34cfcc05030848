package store

import (
	"context"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// Pause keeps a pause, in place of an earlier one of the same lane. Its
// deliveries show as held from then on.
func (s *Store) Pause(ctx context.Context, p relay.Pause) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.pause.run(p.Destination, string(p.Part), p.Reason, unixMilli(p.Since), flag(p.Manual), p.Settings, flag(p.Probe)); err != nil {
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
		return q.each(`SELECT destination, part, reason, since, manual, settings, probe FROM pauses ORDER BY destination, part`, nil,
			func(scan func(...any) error) error {
				var p relay.Pause
				var since int64
				err := scan(&p.Destination, &p.Part, &p.Reason, &since, &p.Manual, &p.Settings, &p.Probe)
				p.Since = fromMilli(since)
				pauses = append(pauses, p)
				return err
			})
	})
	return pauses, err
}
