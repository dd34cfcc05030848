package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// pruneStep is how many rows one operation of Prune deletes at most. A delivery
// takes its attempts and perhaps its event along; a step takes a few
// milliseconds, and what else is queued goes on between two steps.
const pruneStep = 200

// Prune deletes deliveries that finished before a time, with their attempts. An
// event goes with its last delivery; one that never had any goes when it was
// accepted before that time. It deletes at most limit deliveries and events
// without any, the oldest first, and returns how many: fewer than limit means
// that no more are left.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	for deleted < limit {
		step := min(pruneStep, limit-deleted)
		n := 0
		err := s.write(ctx, 4*step, func(t *transaction) (err error) {
			n, err = t.prune(unixMilli(before), step)
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("prune: %w", err)
		}
		if deleted += n; n < step {
			break
		}
	}
	return deleted, nil
}

func (t *transaction) prune(before int64, limit int) (int, error) {
	var deliveries, owners, unwanted []int64
	err := t.sql.finished.query(func(row []driver.Value) {
		deliveries = append(deliveries, number(row[0]))
		owners = append(owners, number(row[1]))
	}, before, int64(limit))
	if err != nil {
		return 0, err
	}
	if room := limit - len(deliveries); room > 0 {
		err := t.sql.unwanted.query(func(row []driver.Value) {
			unwanted = append(unwanted, number(row[0]))
		}, before, int64(room))
		if err != nil {
			return 0, err
		}
	}
	for i, seq := range deliveries {
		if err := t.dropDelivery(seq); err != nil {
			return 0, err
		}
		if err := t.dropEventIfAlone(owners[i]); err != nil {
			return 0, err
		}
	}
	for _, seq := range unwanted {
		if err := t.dropEventIfAlone(seq); err != nil {
			return 0, err
		}
	}
	return len(deliveries) + len(unwanted), t.lowerMarks()
}

// dropEventIfAlone deletes an event that has no deliveries left.
func (t *transaction) dropEventIfAlone(seq int64) error {
	has := false
	if err := t.sql.hasDelivery.query(func([]driver.Value) { has = true }, seq); err != nil || has {
		return err
	}
	return errors.Join(t.unindexEvent(seq), t.sql.dropEvent.run(seq))
}

// Size is how much of the database file is in use, in bytes. What pruning gives
// free is used again, and the file does not shrink.
func (s *Store) Size(ctx context.Context) (size int64, err error) {
	err = s.read(ctx, func(q query) error {
		return q.tx.QueryRowContext(q.ctx, `SELECT (page_count - freelist_count) * page_size
			FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&size)
	})
	return size, err
}
