package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/relay-sidecar/relay"
)

// Deliveries lists the sent log, newest first, without the attempts. next is
// the Before of the following page, 0 after the last one: rows that arrive
// meanwhile shift nothing. Limit is 100 unless given, and at most 1,000.
func (s *Store) Deliveries(ctx context.Context, f relay.DeliveryFilter) (rows []relay.Delivery, next int64, err error) {
	limit := pageLimit(f.Limit)
	var found []listed
	err = s.read(ctx, func(q query) (err error) {
		found, err = q.deliveries(f, limit+1) // the one more says that there is a next page
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for _, r := range found[:min(limit, len(found))] {
		rows = append(rows, r.Delivery)
	}
	if len(found) > limit {
		next = found[limit-1].seq
	}
	return rows, next, nil
}

func pageLimit(asked int) int {
	if asked <= 0 {
		return defaultRows
	}
	return min(asked, maxRows)
}

// Finished lists the seqs of everything that a filter selects and that is over,
// newest first, whatever its Limit; unfinished counts the rest.
func (s *Store) Finished(ctx context.Context, f relay.DeliveryFilter) (seqs []int64, unfinished int, err error) {
	for {
		var page []listed
		err := s.read(ctx, func(q query) (err error) {
			page, err = q.deliveries(f, maxRows)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		for _, r := range page {
			if r.State.Final() {
				seqs = append(seqs, r.seq)
			} else {
				unfinished++
			}
		}
		if len(page) < maxRows {
			return seqs, unfinished, nil
		}
		f.Before = page[len(page)-1].seq
	}
}

// listed is a row with its place in the log.
type listed struct {
	seq int64
	relay.Delivery
}

// deliveries are the newest rows of a filter. A plan has streams of rows, each
// in order and each with no row more than the filter selects; those of one rank
// are disjoint from those of the next and come before them.
func (q query) deliveries(f relay.DeliveryFilter, limit int) ([]listed, error) {
	plan, err := q.plan(f)
	if err != nil {
		return nil, err
	}
	var out []listed
	for _, rank := range plan {
		var found []listed
		seen := map[int64]bool{}
		for _, s := range rank {
			err := q.each(rowColumns+s.from+rowJoins+s.where+" ORDER BY "+s.order+" LIMIT ?", append(s.args, limit-len(out)),
				func(scan func(...any) error) error {
					seq, d, err := scanRow(scan)
					if err == nil && !seen[seq] {
						seen[seq] = true
						found = append(found, listed{seq, d})
					}
					return err
				})
			if err != nil {
				return nil, err
			}
		}
		slices.SortFunc(found, func(a, b listed) int { return cmp.Compare(b.seq, a.seq) })
		if out = append(out, found...); len(out) >= limit {
			return out[:limit], nil
		}
	}
	return out, nil
}
