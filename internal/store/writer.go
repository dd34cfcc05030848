package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/relay-sidecar/relay"
)

const (
	// maxBatchOperations bounds one transaction, and the queue before it: what
	// waits beyond that waits in the callers.
	maxBatchOperations = 256
	// maxBatchRows bounds a transaction by what it writes, so that a caller of
	// one row does not wait for many thousand. An operation that is larger has
	// a transaction of its own.
	maxBatchRows = 2048
	// checkpointPages is how much of the log is written before it is copied into
	// the database: 8 MiB. Less copies the same page more often, more makes the
	// pause longer, a few milliseconds as it is.
	checkpointPages = 1024
)

// operation is a call that waits for the writer.
type operation struct {
	rows int // about how many it writes
	// fresh brings something new: it is refused while the disk has room for
	// verdicts only.
	fresh bool
	// apply does it within a transaction. It may be called again when that
	// transaction failed, so it starts from nothing every time. An error that is
	// no refusal undoes the transaction.
	apply func(*transaction) error
	done  chan error // buffered, answered once
}

// write queues an operation and waits until it is committed. A ctx that is over
// is refused; once admitted the operation runs to its end even if ctx ends,
// since "cancelled" must not stand for a change that is on disk after all.
func (s *Store) write(ctx context.Context, rows int, apply func(*transaction) error) error {
	return s.do(ctx, &operation{rows: rows, apply: apply})
}

// bring is write for what is new: on a full disk it gives way to what is not.
func (s *Store) bring(ctx context.Context, rows int, apply func(*transaction) error) error {
	return s.do(ctx, &operation{rows: rows, apply: apply, fresh: true})
}

func (s *Store) do(ctx context.Context, op *operation) error {
	op.done = make(chan error, 1)
	if err := s.admit(ctx, op); err != nil {
		return err
	}
	return <-op.done
}

func (s *Store) admit(ctx context.Context, op *operation) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return relay.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.operations <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writer is the one goroutine that changes the database.
type writer struct {
	store *Store
	conn  *conn
	sql   *statements

	run      int64              // how often the store was opened, this time included
	claims   int64              // made in this run
	open     map[string]int     // unfinished deliveries of each destination
	openAll  int                // the sum of open
	late     map[relay.Lane]int // unfinished replays of each lane
	sending  map[int64]sending
	unsaved  int  // pages in the log since the last checkpoint
	crowded  bool // the last checkpoint found the disk full; said once
	reserve  *reserve
	wipe     bool // what was deleted must not stay in the log either
	heldOver *operation
}

// sending is what recording the end of a claim needs to know of the row. The
// rows themselves say the same, but updating and asking at once costs twice as
// much as updating. Whether the claim holds, only the row says.
type sending struct {
	relay.Lane
	attempt  int
	event    int64          // its seq
	late     bool           // a replay, which is alone: neither twins nor a fallback concern it
	fallback relay.Fallback // empty: what becomes of the row decides nothing
}

// began is a row that a transaction claims.
type began struct {
	seq int64
	row sending
}

// transaction is what an operation works with. What the writer remembers
// changes in it first, and in the writer when the transaction is committed.
type transaction struct {
	*writer
	nowMS   int64
	change  map[string]int     // of open
	added   int                // to openAll
	later   map[relay.Lane]int // change of late
	created int64              // deliveries and events
	ended   []int64            // rows that are no longer sending
	began   []began
	fell    []relay.Due // lanes that got a delivery by a fallback
	over    []over      // what ended
}

// over is the end of a delivery.
type over struct {
	destination string
	state       relay.State
}

// openOf is the number of unfinished deliveries of a destination.
func (t *transaction) openOf(destination string) int {
	return t.writer.open[destination] + t.change[destination]
}

// openTotal is the number of unfinished deliveries of the store.
func (t *transaction) openTotal() int { return t.openAll + t.added }

func (t *transaction) count(destination string, n int) {
	t.change[destination] += n
	t.added += n
}

// countLate counts replays as they come and end.
func (t *transaction) countLate(lane relay.Lane, n int) {
	if t.later == nil {
		t.later = map[relay.Lane]int{}
	}
	t.later[lane] += n
}

// loop runs until Close has closed the queue and everything in it is answered.
func (w *writer) loop() {
	batch := make([]*operation, 0, maxBatchOperations)
	for {
		batch = w.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		w.commit(batch)
		w.checkpointWhenDue()
		clear(batch)
	}
}

// take waits for an operation and then takes what else is queued, within the
// bounds of a batch. It returns none when the queue is closed and empty.
func (w *writer) take(batch []*operation) []*operation {
	first, ok := w.heldOver, true
	if w.heldOver = nil; first == nil {
		if first, ok = <-w.store.operations; !ok {
			return batch
		}
	}
	batch = append(batch, first)
	for rows := first.rows; len(batch) < maxBatchOperations; {
		select {
		case op, ok := <-w.store.operations:
			if !ok {
				return batch
			}
			if rows += op.rows; rows > maxBatchRows {
				w.heldOver = op
				return batch
			}
			batch = append(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction and answers everybody in it. If that
// fails, each runs alone, so that only those get an error whom it concerns: a
// large insert may meet a full disk where a verdict still finds room. Where
// somebody else holds the database, one wait is enough for all.
func (w *writer) commit(batch []*operation) {
	answers, err := w.transact(batch)
	if len(batch) == 1 && !batch[0].fresh && errors.Is(err, relay.ErrDiskFull) && w.reserve.give() {
		w.commit(batch)
		return
	}
	if err == nil || len(batch) == 1 || busy(err) || w.store.usable() != nil {
		for i, op := range batch {
			if err != nil {
				op.done <- err
			} else {
				op.done <- answers[i]
			}
		}
		return
	}
	for i := range batch {
		w.commit(batch[i : i+1])
	}
}

// transact runs a batch in one transaction. The error is that of the whole
// transaction, which then left nothing behind; answers are of the single
// operations. After a fault of the disk the store has failed.
func (w *writer) transact(batch []*operation) (answers []error, err error) {
	if err := w.store.usable(); err != nil {
		return nil, err
	}
	t := &transaction{writer: w, nowMS: unixMilli(w.store.now()), change: map[string]int{}}
	answers = make([]error, len(batch))
	if err := w.sql.begin.run(); err != nil {
		return nil, w.judge(err)
	}
	for i, op := range batch {
		if op.fresh && !w.reserve.whole(w.store.now()) {
			answers[i] = fmt.Errorf("%w, and what is left of it is for what became of deliveries", relay.ErrDiskFull)
			continue
		}
		err := op.apply(t)
		var no refusal
		if errors.As(err, &no) {
			answers[i] = no.error
		} else if err != nil {
			return nil, w.undo(err)
		}
	}
	if err := w.sql.commit.run(); err != nil {
		return nil, w.undo(err)
	}
	for destination, n := range t.change {
		if w.open[destination] += n; w.open[destination] == 0 {
			delete(w.open, destination)
		}
	}
	w.openAll += t.added
	for lane, n := range t.later {
		if w.late[lane] += n; w.late[lane] == 0 {
			delete(w.late, lane)
		}
	}
	for _, seq := range t.ended {
		delete(w.sending, seq)
	}
	w.store.written.Add(t.created + int64(len(t.ended)))
	w.store.unindexed.Add(t.created)
	for _, o := range t.over {
		w.store.told(o.destination, o.state)
	}
	for _, b := range t.began { // after ended: a row may be given back and claimed again
		w.sending[b.seq] = b.row
	}
	return answers, nil
}

// undo ends a transaction that met err. SQLite may have undone it already; that
// a transaction is still open shows when the next one begins.
func (w *writer) undo(err error) error {
	verdict := w.judge(err)
	if rollback := w.sql.rollback.run(); rollback != nil && fatal(rollback) {
		w.judge(rollback)
	}
	return verdict
}

// judge explains err, and ends the store's work if the disk can't be trusted.
func (w *writer) judge(err error) error {
	explained := explain(err)
	if fatal(err) {
		w.store.fail(explained)
	}
	return explained
}

// checkpointWhenDue copies the log into the database when it has grown enough.
// Readers do not wait for it, and it leaves to the next time what they still
// need. A full disk is no fault here: the log holds everything, and goes on.
func (w *writer) checkpointWhenDue() {
	n, err := w.conn.pagesWritten()
	if err != nil || w.store.usable() != nil {
		return
	}
	if w.unsaved += n; w.unsaved < checkpointPages && !w.wipe {
		return
	}
	w.unsaved = 0
	if w.wipe {
		w.wipe = false
		err = w.sql.truncate.run()
	} else {
		err = w.sql.checkpoint.run()
	}
	switch {
	case err == nil:
		w.crowded = false
	case fatal(err):
		w.store.fail(fmt.Errorf("checkpoint: %w", explain(err)))
	case !w.crowded:
		w.crowded = true
		w.store.log.Warn("the log cannot be written back and grows", "error", explain(err))
	}
}

// runAndClose is the writer's goroutine: loop, then the end of all connections.
// Readers go first, so that the last checkpoint meets nobody and the log ends
// empty.
func (w *writer) runAndClose() {
	defer close(w.store.ended)
	w.loop()
	err := w.store.reads.Close()
	if w.store.usable() == nil {
		if last := w.sql.truncate.run(); !diskFull(last) { // the log keeps what found no room
			err = errors.Join(err, last)
		}
	}
	w.store.closeErr = errors.Join(err, w.conn.close())
}
