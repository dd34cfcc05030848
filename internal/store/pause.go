package store

import (
	"context"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// partChannel is the part of a destination that its channel deliveries belong
// to. The table has the column for direct messages, whose pauses are apart.
const partChannel = "channel"

// Pause keeps a pause, in place of an earlier one of the same destination.
// Deliveries of the destination show as held from then on.
func (s *Store) Pause(ctx context.Context, p relay.Pause) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.pause.run(p.Destination, partChannel, p.Reason, unixMilli(p.Since), flag(p.Manual), p.Settings, flag(p.Probe)); err != nil {
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

// Resume ends a destination's pause. Ending none is no error.
func (s *Store) Resume(ctx context.Context, destination string) error {
	return s.write(ctx, 1, func(t *transaction) error {
		if err := t.sql.resume.run(destination, partChannel); err != nil {
			return fmt.Errorf("resume %q: %w", destination, err)
		}
		return nil
	})
}

// Pauses lists what is paused, by destination.
func (s *Store) Pauses(ctx context.Context) ([]relay.Pause, error) {
	var pauses []relay.Pause
	err := s.read(ctx, func(q query) error {
		return q.each(`SELECT destination, reason, since, manual, settings, probe FROM pauses WHERE part = 'channel' ORDER BY destination`, nil,
			func(scan func(...any) error) error {
				var p relay.Pause
				var since int64
				err := scan(&p.Destination, &p.Reason, &since, &p.Manual, &p.Settings, &p.Probe)
				p.Since = fromMilli(since)
				pauses = append(pauses, p)
				return err
			})
	})
	return pauses, err
}
