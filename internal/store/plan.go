package store

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// stream is a question whose answer comes in the order of the log.
type stream struct {
	from  string // gives deliveries AS d
	where string
	args  []any
	order string
}

// terms are conditions that all must hold.
type terms struct {
	parts []string
	args  []any
}

func (t *terms) add(part string, values ...any) {
	t.parts = append(t.parts, part)
	t.args = append(t.args, values...)
}

// stream makes a question of a table expression, whose parameters are none, and
// of the terms after first ones of its own.
func (t terms) stream(from, order, first string, values ...any) stream {
	parts := append([]string{first}, t.parts...)
	return stream{from, strings.Join(parts, " AND "), append(values, t.args...), order}
}

const newest = "d.seq DESC"

// recentRows is how many of the newest rows are looked through for what is
// open, before all that is open is sorted.
const recentRows = 5_000

// plan chooses how to find the rows of a filter. All conditions stand in every
// stream; a plan chooses which index leads. Open and failed rows and
// those of an event are few, and have indexes of their own. Everything else is
// led by the index of the log; what is newer than that is looked through.
func (q query) plan(f relay.DeliveryFilter) ([][]stream, error) {
	mark, err := q.mark(indexedDeliveries)
	if err != nil {
		return nil, err
	}
	all := conditions(f)
	if f.Query != "" {
		all.add(`(has(e.title, ?) OR has(e.key, ?) OR person_has(d.recipient, ?) OR has(`+shownReason+`, ?))`,
			fold(f.Query), fold(f.Query), fold(f.Query), fold(f.Query))
	}
	one := func(s ...stream) [][]stream { return [][]stream{s} }
	switch {
	case f.EventID != "":
		return one(all.stream("deliveries AS d", newest, "d.event_seq = (SELECT seq FROM events WHERE id = ?)", f.EventID)), nil
	case f.State != "" && !f.State.Final():
		recent := int64(0)
		err := q.each(`SELECT coalesce(max(seq), 0) FROM deliveries`, nil, func(scan func(...any) error) error { return scan(&recent) })
		if f.Before > 0 {
			recent = min(recent, f.Before)
		}
		recent -= recentRows
		return [][]stream{
			{all.stream("deliveries AS d NOT INDEXED", newest, "d.seq > ? AND d.finished IS NULL", recent)},
			{all.stream("deliveries AS d INDEXED BY deliveries_open", newest, "d.seq <= ? AND d.finished IS NULL", recent)},
		}, err
	case f.State != "" && f.State != relay.StateDelivered:
		return one(all.stream("deliveries AS d INDEXED BY deliveries_failed", newest,
			"d.finished IS NOT NULL AND d.state <> 'delivered' AND d.state = ?", string(f.State))), nil
	}
	recent := []stream{all.stream("deliveries AS d NOT INDEXED", newest, "d.seq > ?", mark)}
	indexed, err := q.indexed(f, all, mark)
	if err != nil || f.Query == "" {
		return [][]stream{recent, indexed}, err
	}
	reasons, err := q.byReason(f, all)
	return one(append(append(reasons, recent...), indexed...)...), err
}

// indexed leads through what the index of the log holds.
func (q query) indexed(f relay.DeliveryFilter, all terms, mark int64) ([]stream, error) {
	low, high, err := q.bounds("d", f.Since, f.Until, mark)
	if err != nil {
		return nil, err
	}
	if f.Before > 0 {
		high = min(high, f.Before-1)
	}
	match, plain, err := q.words(f)
	switch {
	case err != nil:
		return nil, err
	case match != "":
		return []stream{all.stream("log_text AS t CROSS JOIN deliveries AS d ON d.seq = t.rowid", "t.rowid DESC",
			"log_text MATCH ? AND t.rowid BETWEEN ? AND ?", match, low, high)}, nil
	case !plain:
		return nil, nil // no text of the index holds it
	case f.Destination != "" && f.Type != "":
		return []stream{all.stream("log_facets AS t CROSS JOIN log_facets AS u ON u.facet = "+literal("t"+f.Type)+" AND u.seq = t.seq CROSS JOIN deliveries AS d ON d.seq = t.seq",
			"t.seq DESC", "t.facet = ? AND t.seq BETWEEN ? AND ?", "d"+f.Destination, low, high)}, nil
	case f.Destination != "" || f.Type != "":
		facet := "d" + f.Destination
		if f.Type != "" {
			facet = "t" + f.Type
		}
		return []stream{all.stream("log_facets AS t CROSS JOIN deliveries AS d ON d.seq = t.seq", "t.seq DESC",
			"t.facet = ? AND t.seq BETWEEN ? AND ?", facet, low, high)}, nil
	case !f.Since.IsZero() || !f.Until.IsZero():
		spans, args := within("d", f.Since, f.Until)
		return []stream{all.stream(`log_spans AS t CROSS JOIN deliveries AS d ON d.seq >= t.block << 10 AND d.seq < (t.block + 1) << 10`, "t.block DESC, d.seq DESC",
			spans+" AND t.block BETWEEN ? AND ? AND d.seq BETWEEN ? AND ?", append(args, low>>spanBits, high>>spanBits, low, high)...)}, nil
	}
	return []stream{all.stream("deliveries AS d NOT INDEXED", newest, "d.seq BETWEEN ? AND ?", low, high)}, nil
}

// literal is a text in SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// byReason leads through the rows whose reason holds the query: their own, or
// that of the pause or the removal which holds them.
func (q query) byReason(f relay.DeliveryFilter, all terms) ([]stream, error) {
	// Reasons are few beside the rows that have them.
	out := []stream{all.stream("deliveries AS d INDEXED BY deliveries_reason", newest,
		`d.reason <> '' AND d.reason IN (WITH RECURSIVE r (reason) AS (SELECT min(reason) FROM deliveries WHERE reason <> ''
		UNION ALL SELECT (SELECT min(reason) FROM deliveries WHERE reason <> '' AND reason > r.reason) FROM r WHERE r.reason IS NOT NULL)
		SELECT reason FROM r WHERE reason IS NOT NULL AND has(reason, ?))`, fold(f.Query))}
	var lanes []string
	err := q.each(`SELECT destination, part = 'direct' FROM pauses WHERE has(reason, ?1)
		UNION SELECT destination, part = 'direct' FROM removals WHERE has(reason, ?1)`, []any{fold(f.Query)},
		func(scan func(...any) error) error {
			var name string
			var direct bool
			err := scan(&name, &direct)
			lanes = append(lanes, fmt.Sprintf("(d.destination = %s AND d.direct = %d)", literal(name), flag(direct)))
			return err
		})
	for _, lane := range lanes {
		out = append(out, all.stream("deliveries AS d INDEXED BY deliveries_open", newest, "d.finished IS NULL AND "+lane))
	}
	return out, err
}

// words is what log_text is asked for a filter, empty where it is not asked:
// plain then says that the rows are to be looked through.
func (q query) words(f relay.DeliveryFilter) (match string, plain bool, err error) {
	var parts []string
	for _, p := range []struct{ column, text string }{{"", f.Query}, {"recipient : ", f.Recipient}} {
		folded := fold(p.text)
		if folded == "" {
			continue
		}
		found, common, err := q.terms(folded)
		switch {
		case err != nil:
			return "", false, err
		case common:
			continue
		case found == "":
			return "", false, nil
		}
		parts = append(parts, p.column+"("+found+")")
	}
	return strings.Join(parts, " AND "), len(parts) == 0, nil
}

// commonTerms is how many different runs of three characters a shorter text
// may begin before it counts as common: a page of rows with it is soon found.
const commonTerms = 200

// terms is how log_text is asked for a text. One that is shorter than the terms
// of the index is asked for by the terms that it begins.
func (q query) terms(folded string) (match string, common bool, err error) {
	all, join := triples(folded), " AND "
	if len(all) == 0 {
		join = " OR "
		err = q.each(`SELECT term FROM log_terms WHERE term >= ? AND term < ? LIMIT ?`, []any{folded, folded + "\U0010FFFF", commonTerms},
			func(scan func(...any) error) error {
				var term string
				err := scan(&term)
				all = append(all, term)
				return err
			})
		if len(all) == commonTerms {
			return "", true, err
		}
	}
	for i := range all {
		all[i] = quoted(all[i])
	}
	return strings.Join(all, join), false, err
}

// bounds are the first and the last seq that the index holds of rows created
// within a time.
func (q query) bounds(kind string, since, until time.Time, mark int64) (low, high int64, err error) {
	low, high = 0, mark
	if since.IsZero() && until.IsZero() {
		return low, high, nil
	}
	spans, args := within(kind, since, until)
	err = q.each(`SELECT coalesce(min(block), ?) << 10, coalesce((max(block) + 1) << 10, 0) - 1 FROM log_spans AS t WHERE `+spans,
		append([]any{math.MaxInt32}, args...), func(scan func(...any) error) error {
			var last int64
			err := scan(&low, &last)
			high = min(high, last)
			return err
		})
	return low, high, err
}

// within selects the spans that may hold rows created within a time.
func within(kind string, since, until time.Time) (where string, args []any) {
	first, last := int64(math.MinInt64), int64(math.MaxInt64)
	if !since.IsZero() {
		first = unixMilli(since)
	}
	if !until.IsZero() {
		last = unixMilli(until)
	}
	return "t.kind = ? AND t.high >= ? AND t.low < ?", []any{kind, first, last}
}

// mark is up to which seq the index goes.
func (q query) mark(name string) (seq int64, err error) {
	err = q.each(`SELECT value FROM meta WHERE name = ?`, []any{name}, func(scan func(...any) error) error { return scan(&seq) })
	return seq, err
}

// conditions are what every row of a filter must meet, but for its query.
func conditions(f relay.DeliveryFilter) terms {
	var t terms
	switch f.State {
	case "":
	case relay.StatePending:
		t.add("d.state = 'pending' AND p.destination IS NULL AND r.destination IS NULL")
	case relay.StateHeld:
		t.add("d.state = 'pending' AND (p.destination IS NOT NULL OR r.destination IS NOT NULL)")
	default:
		t.add("d.state = ?", string(f.State))
	}
	if f.Before > 0 {
		t.add("d.seq < ?", f.Before)
	}
	if f.Destination != "" {
		t.add("d.destination = ?", f.Destination)
	}
	if f.Type != "" {
		t.add("e.type = ?", f.Type)
	}
	if f.Recipient != "" {
		t.add("person_has(d.recipient, ?)", fold(f.Recipient))
	}
	if !f.Since.IsZero() {
		t.add("d.created >= ?", unixMilli(f.Since))
	}
	if !f.Until.IsZero() {
		t.add("d.created < ?", unixMilli(f.Until))
	}
	return t
}
