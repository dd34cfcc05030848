package store

import (
	"context"
	"slices"

	"github.com/relay-sidecar/relay"
)

// Backlogs counts the unfinished deliveries of every destination that has any,
// held ones and those being sent included.
func (s *Store) Backlogs(ctx context.Context) ([]relay.Backlog, error) {
	var backlogs []relay.Backlog
	err := s.read(ctx, func(q query) error {
		// The index answers the inner question alone; the oldest row is the lowest.
		return q.each(`SELECT b.destination, b.n, d.created FROM
			(SELECT destination, count(*) AS n, min(seq) AS first FROM deliveries INDEXED BY deliveries_open
				WHERE finished IS NULL GROUP BY destination) AS b
			JOIN deliveries AS d ON d.seq = b.first ORDER BY b.destination`, nil,
			func(scan func(...any) error) error {
				var b relay.Backlog
				var oldest int64
				err := scan(&b.Destination, &b.Pending, &oldest)
				b.Oldest = fromMilli(oldest)
				backlogs = append(backlogs, b)
				return err
			})
	})
	return backlogs, err
}

// Full names the destinations that have as many unfinished deliveries as one
// may have, so that what else comes for them is dead at once, and those that are
// nearly there: a backlog that is full goes up and down by one.
func (s *Store) Full(ctx context.Context) (full, nearly []string, err error) {
	most := s.limits.perDestination
	if most <= 0 {
		return nil, nil, nil
	}
	err = s.write(ctx, 0, func(t *transaction) error {
		full, nearly = nil, nil
		for name := range t.writer.open {
			switch open := t.openOf(name); {
			case open >= most:
				full = append(full, name)
			case open >= most-most/10:
				nearly = append(nearly, name)
			}
		}
		slices.Sort(full)
		slices.Sort(nearly)
		return nil
	})
	return full, nearly, err
}

// Dues names every lane with pending deliveries and when its first one
// is due, paused or not.
func (s *Store) Dues(ctx context.Context) ([]relay.Due, error) {
	var dues []relay.Due
	err := s.read(ctx, func(q query) error {
		return q.each(`SELECT destination, direct, min(due) FROM deliveries INDEXED BY deliveries_open
			WHERE finished IS NULL AND state = 'pending' GROUP BY destination, direct ORDER BY destination, direct`, nil,
			func(scan func(...any) error) error {
				var d relay.Due
				var at int64
				var direct bool
				err := scan(&d.Destination, &direct, &at)
				d.Part, d.At = partOf(direct), fromMilli(at)
				dues = append(dues, d)
				return err
			})
	})
	return dues, err
}
