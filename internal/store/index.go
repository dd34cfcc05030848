package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
)

const (
	// indexEvery is how often the index of the log is brought up to date, where
	// nothing else is done.
	indexEvery = time.Second
	// indexStep is how many rows one operation adds: a few milliseconds.
	indexStep = 256
	// busyRows written within indexEvery mean that others have work for the
	// writer; then the index waits, unless more than maxUnindexed rows do.
	busyRows     = 500
	maxUnindexed = 200_000
	// spanBits is the size of a block of rows whose times are kept together.
	spanBits = 10
)

// The marks in meta up to which the index goes.
const (
	indexedDeliveries = "indexed_deliveries"
	indexedEvents     = "indexed_events"
)

// Index brings the index of the log up to date. The store does so by itself
// when it has little else to do; lists are right before and after.
func (s *Store) Index(ctx context.Context) error {
	for {
		if n, err := s.indexSome(ctx); err != nil || n == 0 {
			return err
		}
	}
}

func (s *Store) indexSome(ctx context.Context) (n int, err error) {
	err = s.write(ctx, indexStep, func(t *transaction) (err error) {
		n, err = t.index(indexStep)
		return err
	})
	return n, err
}

// indexWhenIdle runs until ctx ends. A full disk or a closed store shows
// elsewhere; the index waits.
func (s *Store) indexWhenIdle(ctx context.Context) {
	tick := time.NewTicker(indexEvery)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		done := s.written.Load()
		busy := done-seen > busyRows
		seen = done
		for s.unindexed.Load() > 0 && (!busy || s.unindexed.Load() > maxUnindexed) && ctx.Err() == nil {
			n, err := s.indexSome(ctx)
			if err != nil && !errors.Is(err, relay.ErrDiskFull) && ctx.Err() == nil && s.usable() == nil {
				s.log.Warn("the log's index was not brought up to date; searching it takes longer", "error", err)
			}
			if err != nil || n == 0 {
				break
			}
			if now := s.written.Load(); now-seen > busyRows {
				busy, seen = true, now
			}
		}
	}
}

// index adds the next rows, and reports how many there were.
func (t *transaction) index(limit int) (int, error) {
	events, err := t.indexEvents(limit)
	if err != nil {
		return 0, err
	}
	deliveries, err := t.indexDeliveries(limit)
	if err != nil {
		return 0, err
	}
	n := events + deliveries
	if n == 0 {
		t.store.unindexed.Store(0)
	} else {
		t.store.unindexed.Add(-int64(n))
	}
	return n, nil
}

func (t *transaction) mark(name string) (seq int64, err error) {
	err = t.sql.mark.query(func(row []driver.Value) { seq = number(row[0]) }, name)
	return seq, err
}

func (t *transaction) indexEvents(limit int) (int, error) {
	mark, err := t.mark(indexedEvents)
	if err != nil {
		return 0, err
	}
	type row struct {
		seq, created int64
		kind, source string
	}
	var rows []row
	err = t.sql.unindexedEvents.query(func(r []driver.Value) {
		rows = append(rows, row{number(r[0]), number(r[1]), text(r[2]), text(r[3])})
	}, mark, int64(limit))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	for _, r := range rows {
		for _, facet := range []string{"T" + r.kind, "S" + r.source} {
			if err := t.sql.addFacet.run(facet, r.seq); err != nil {
				return 0, err
			}
		}
		if err := t.sql.addSpan.run("e", r.seq>>spanBits, r.created, r.created); err != nil {
			return 0, err
		}
	}
	return len(rows), t.sql.setMark.run(rows[len(rows)-1].seq, indexedEvents)
}

// indexed is what the index holds of a delivery.
type indexed struct {
	seq, created           int64
	destination, eventType string
	texts, recipient       string
}

func indexedRow(r []driver.Value) indexed {
	i := indexed{seq: number(r[0]), created: number(r[1]), destination: text(r[2]), eventType: text(r[3])}
	i.texts = fold(text(r[4]) + gap + text(r[5]) + gap)
	for _, value := range slices.Sorted(slices.Values(personTexts(text(r[6])))) { // what leaves the index must be what came in
		i.recipient += fold(value) + gap
	}
	return i
}

func (t *transaction) indexDeliveries(limit int) (int, error) {
	mark, err := t.mark(indexedDeliveries)
	if err != nil {
		return 0, err
	}
	var rows []indexed
	err = t.sql.unindexed.query(func(r []driver.Value) { rows = append(rows, indexedRow(r)) }, mark, int64(limit))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	for _, r := range rows {
		if err := t.addToIndex(r); err != nil {
			return 0, err
		}
		if err := t.sql.addSpan.run("d", r.seq>>spanBits, r.created, r.created); err != nil {
			return 0, err
		}
	}
	return len(rows), t.sql.setMark.run(rows[len(rows)-1].seq, indexedDeliveries)
}

func (t *transaction) addToIndex(r indexed) error {
	if err := t.sql.addText.run(r.seq, r.texts, r.recipient); err != nil {
		return err
	}
	for _, facet := range []string{"d" + r.destination, "t" + r.eventType} {
		if err := t.sql.addFacet.run(facet, r.seq); err != nil {
			return err
		}
	}
	return nil
}

// dropDelivery deletes a delivery, with its attempts and what the index holds
// of it.
func (t *transaction) dropDelivery(seq int64) error {
	if _, err := t.unindex(seq); err != nil {
		return err
	}
	if err := t.sql.dropAttempts.run(attemptKey(seq, 0), attemptKey(seq+1, 0)); err != nil {
		return err
	}
	return t.sql.dropDelivery.run(seq)
}

// unindex takes a delivery out of the index, and reports whether it was there.
func (t *transaction) unindex(seq int64) (bool, error) {
	mark, err := t.mark(indexedDeliveries)
	if err != nil || seq > mark {
		return false, err
	}
	var old []indexed
	err = t.sql.indexedOne.query(func(r []driver.Value) { old = append(old, indexedRow(r)) }, seq)
	for _, r := range old {
		err = errors.Join(err, t.sql.dropText.run(r.seq, r.texts, r.recipient),
			t.sql.dropFacet.run("d"+r.destination, seq), t.sql.dropFacet.run("t"+r.eventType, seq))
	}
	return len(old) > 0, err
}

// reindex puts a delivery back whose texts have changed.
func (t *transaction) reindex(seq int64) error {
	var rows []indexed
	err := t.sql.indexedOne.query(func(r []driver.Value) { rows = append(rows, indexedRow(r)) }, seq)
	for _, r := range rows {
		err = errors.Join(err, t.addToIndex(r))
	}
	return err
}

// unindexEvent does the same for an event that is about to be deleted.
func (t *transaction) unindexEvent(seq int64) error {
	var facets []string
	err := t.sql.eventFacets.query(func(r []driver.Value) {
		facets = []string{"T" + text(r[0]), "S" + text(r[1])}
	}, seq)
	for _, facet := range facets {
		err = errors.Join(err, t.sql.dropFacet.run(facet, seq))
	}
	return err
}

// lowerMarks follows a deletion. SQLite gives the seqs of the newest rows out
// again when these are gone: what comes then is not indexed yet.
func (t *transaction) lowerMarks() error {
	return errors.Join(t.sql.lowerDeliveries.run(), t.sql.lowerEvents.run(), t.sql.dropSpans.run())
}
