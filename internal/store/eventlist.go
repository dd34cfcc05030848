package store

import (
	"context"

	"github.com/relay-sidecar/relay"
)

// Events lists events, newest first, as Deliveries lists deliveries.
func (s *Store) Events(ctx context.Context, f relay.EventFilter) (rows []relay.EventRow, next int64, err error) {
	limit := pageLimit(f.Limit)
	err = s.read(ctx, func(q query) error {
		streams, err := q.eventPlan(f)
		if err != nil {
			return err
		}
		var last int64
		for _, from := range streams {
			err := q.each(`SELECT e.seq, e.id, e.key, e.source, e.type, e.level, e.title, e.created, e.deliveries FROM `+from.from+` WHERE `+from.where+
				" ORDER BY "+from.order+" LIMIT ?", append(from.args, limit+1-len(rows)), func(scan func(...any) error) error {
				if len(rows) == limit { // the one more says that there is a next page
					next = last
					return nil
				}
				var r relay.EventRow
				var created int64
				err := scan(&last, &r.ID, &r.Key, &r.Source, &r.Type, &r.Level, &r.Title, &created, &r.Deliveries)
				r.Created = stamp(created)
				rows = append(rows, r)
				return err
			})
			if err != nil || next != 0 {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return rows, next, nil
}

// eventPlan is the plan of a list of events: the streams come one after another.
func (q query) eventPlan(f relay.EventFilter) ([]stream, error) {
	mark, err := q.mark(indexedEvents)
	if err != nil {
		return nil, err
	}
	var all terms
	for _, c := range []struct{ part, value string }{
		{"e.source = ?", f.Source}, {"e.type = ?", f.Type}, {"e.level = ?", string(f.Level)},
	} {
		if c.value != "" {
			all.add(c.part, c.value)
		}
	}
	if f.Before > 0 {
		all.add("e.seq < ?", f.Before)
	}
	if !f.Since.IsZero() {
		all.add("e.created >= ?", unixMilli(f.Since))
	}
	if !f.Until.IsZero() {
		all.add("e.created < ?", unixMilli(f.Until))
	}
	const newest = "e.seq DESC"
	if f.Key != "" { // unique in each of the few sources
		return []stream{all.stream(`(WITH RECURSIVE s (source) AS (SELECT min(source) FROM events WHERE key <> ''
			UNION ALL SELECT (SELECT min(source) FROM events WHERE key <> '' AND source > s.source) FROM s WHERE s.source IS NOT NULL)
			SELECT source FROM s WHERE source IS NOT NULL) AS s CROSS JOIN events AS e INDEXED BY events_key ON e.source = s.source`,
			newest, "e.key <> '' AND e.key = ?", f.Key)}, nil
	}
	recent := all.stream("events AS e NOT INDEXED", newest, "e.seq > ?", mark)
	low, high, err := q.bounds("e", f.Since, f.Until, mark)
	if f.Before > 0 {
		high = min(high, f.Before-1)
	}
	facet := ""
	switch {
	case f.Type != "":
		facet = "T" + f.Type
	case f.Source != "":
		facet = "S" + f.Source
	default:
		return []stream{recent, all.stream("events AS e NOT INDEXED", newest, "e.seq BETWEEN ? AND ?", low, high)}, err
	}
	return []stream{recent, all.stream("log_facets AS t CROSS JOIN events AS e ON e.seq = t.seq", "t.seq DESC",
		"t.facet = ? AND t.seq BETWEEN ? AND ?", facet, low, high)}, err
}
