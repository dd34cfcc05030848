package store

import (
	"context"
	"time"

	"github.com/relay-sidecar/relay"
)

// Pace is what a lane that was claimed with limits sent since a time, and the
// wait that its vendor asked for last. What was being sent when an earlier run
// ended counts as sent: nobody knows.
func (s *Store) Pace(ctx context.Context, lane relay.Lane, since time.Time) (p relay.Pace, err error) {
	direct, from := flag(lane.Part == relay.PartDirect), unixMilli(since)
	err = s.read(ctx, func(q query) error {
		err := q.each(`SELECT a.started, d.user FROM deliveries AS d INDEXED BY deliveries_paced
				CROSS JOIN attempts AS a ON a.key >= d.seq << 20 AND a.key < (d.seq + 1) << 20
				WHERE d.paced = 1 AND d.destination = ?1 AND d.direct = ?2 AND d.updated >= ?3 AND a.started >= ?3 AND (d.direct = 0 OR d.user <> '')
			UNION ALL
			SELECT updated, user FROM deliveries INDEXED BY deliveries_paced
				WHERE paced = 1 AND destination = ?1 AND direct = ?2 AND updated >= ?3 AND state = 'pending' AND claim = 0 AND (direct = 0 OR user <> '')
			ORDER BY 1`, []any{lane.Destination, direct, from}, func(scan func(...any) error) error {
			var at int64
			var start relay.Start
			err := scan(&at, &start.User)
			start.At = fromMilli(at)
			p.Starts = append(p.Starts, start)
			return err
		})
		if err != nil {
			return err
		}
		// An attempt that ended after now was noted before the clock was set back.
		now := unixMilli(s.now())
		return q.each(`SELECT coalesce(max(min(a.started + a.duration, ?) + a.retry_after), 0) FROM deliveries AS d INDEXED BY deliveries_open
			CROSS JOIN attempts AS a ON a.key = d.seq << 20 | min(d.attempts, 1048575)
			WHERE d.destination = ? AND d.direct = ? AND d.finished IS NULL AND d.due > ? AND d.attempts > 0 AND a.verdict = 'temporary'`,
			[]any{now, lane.Destination, direct, now}, func(scan func(...any) error) error {
				var until int64
				err := scan(&until)
				if until > 0 {
					p.Closed = fromMilli(until)
				}
				return err
			})
	})
	return p, err
}
