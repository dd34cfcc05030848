// Package store keeps events, deliveries, attempts and pauses on disk, in one
// SQLite database. It is the only package of relay that writes data.
//
// # What it promises
//
//   - A call that changes something returns nil only after the change was
//     committed and synced (WAL, synchronous=FULL): it survives kill -9 and
//     power loss. A change is there as a whole or not at all.
//   - An error other than a refusal ([relay.ErrBacklogFull], [relay.ErrNotFound])
//     or [relay.ErrDiskFull] leaves open whether the change is there; posting or
//     recording the same again is safe.
//   - A delivery is claimed by one caller at a time. The outcome of a claim
//     that is over changes nothing.
//   - Opening the store gives back what a killed process was sending: pending,
//     due, with the same attempt number.
//   - A full disk refuses writes, undoes what was half written, and is over
//     when there is room again. What became of deliveries still finds the room
//     that was kept for it (Options.Reserve). A failed sync or any other fault of the disk is
//     final: after it the kernel may have forgotten pages, so the store answers
//     everything with that fault, and [Store.Failed] reports it.
//
// # How it is built
//
// One goroutine owns the only connection that writes, checkpoints included. It
// takes whatever operations are queued, runs them in one transaction, syncs
// once and answers all: at one caller that is one transaction a call, under
// load it is a hundred calls a sync, and there is no timer (writer.go). Reads
// have a small pool of read-only connections (read.go).
//
// # What it leaves to others
//
// Which deliveries an event gets, when to try again, when to give up and what
// to do about a paused destination. The store hands out what it is asked for,
// paused or not, and derives the state "held" only where rows are shown.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay"
)

// Options are what Open does not need. The zero value is good.
type Options struct {
	// Logger: nil discards.
	Logger *slog.Logger
	// MaxPending bounds the unfinished deliveries of the whole store: above it
	// Append answers relay.ErrBacklogFull. 0: no bound.
	MaxPending int
	// MaxPendingPerDestination bounds those of one destination: what comes above
	// it is stored as dead at once, with the reason "backlog full". 0: no bound.
	MaxPendingPerDestination int
	// Reserve is room on the disk that is given up for verdicts when the disk is
	// full, in bytes. 0: none.
	Reserve int64
	// Version is relay's own, which a store tells to an older relay.
	Version string
	// Ended is told of every delivery that is over, once that is on disk: by the
	// writer, which everybody waits for. nil: nobody is told.
	Ended func(destination string, state relay.State)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Store is an open store. All methods may be called concurrently.
type Store struct {
	log     *slog.Logger
	now     func() time.Time
	limits  limits
	version string
	told    func(destination string, state relay.State)
	lock    *os.File
	reads   *sql.DB

	operations chan *operation
	ended      chan struct{} // closed when the writer has ended
	failed     chan error
	failure    atomic.Pointer[error] // the fault that ended the store's work
	lostClaims atomic.Int64
	written    atomic.Int64 // rows that came or went on, ever
	unindexed  atomic.Int64 // about how many rows the index of the log lacks
	idle       context.CancelFunc
	indexing   sync.WaitGroup

	mu       sync.RWMutex // guards closed, and operations against being closed while somebody sends
	closed   bool
	closeErr error // what Close met; written before ended is closed
}

// limits are the bounds of Options.
type limits struct{ all, perDestination int }

// Open opens the store in dir and creates it if there is none. The directory
// and its files are for their owner only. It fails when another process has the
// store open, when a newer relay wrote it, or when it is damaged; it never
// replaces what it cannot read.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	s, err := open(ctx, dir, o)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	return s, nil
}

func open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ended == nil {
		o.Ended = func(string, relay.State) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := registerFunctions(); err != nil {
		return nil, err
	}
	lock, err := prepareDirectory(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	path := filepath.Join(dir, databaseFile)
	if err := migrate(ctx, path, o.Logger); err != nil {
		return nil, explain(err)
	}
	s := &Store{
		log:        o.Logger,
		now:        o.Now,
		limits:     limits{all: o.MaxPending, perDestination: o.MaxPendingPerDestination},
		version:    o.Version,
		told:       o.Ended,
		lock:       lock,
		operations: make(chan *operation, maxBatchOperations),
		ended:      make(chan struct{}),
		failed:     make(chan error, 1),
	}
	w, err := newWriter(ctx, s, path, newReserve(filepath.Join(dir, reserveFile), o.Reserve, o.Logger))
	if err != nil {
		return nil, explain(err)
	}
	if s.reads, err = openReads(ctx, path); err != nil {
		return nil, errors.Join(explain(err), w.conn.close())
	}
	go w.runAndClose()   // Close waits for it
	s.unindexed.Store(1) // perhaps; looking tells
	var idle context.Context
	idle, s.idle = context.WithCancel(context.Background())
	s.indexing.Go(func() { s.indexWhenIdle(idle) })
	return s, nil
}

// Close lets the queued operations finish, writes the log back into the
// database and closes it. Calls after it answer relay.ErrClosed; closing again
// does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ended
		return nil
	}
	s.closed = true
	s.idle()
	close(s.operations)
	s.mu.Unlock()
	s.indexing.Wait()
	<-s.ended
	// Closing the lock file gives the directory free, so it comes last.
	return errors.Join(s.closeErr, s.lock.Close())
}

// Failed yields the fault that ended the store's work, if there ever is one: a
// failed sync, an unreadable or damaged file. The process should end then; what
// was promised is on disk, and opening the store again recovers it.
func (s *Store) Failed() <-chan error { return s.failed }

// LostClaims counts the outcomes that were dropped because their claim was over.
func (s *Store) LostClaims() int64 { return s.lostClaims.Load() }

// fail makes err the answer to everything from now on.
func (s *Store) fail(err error) {
	if s.failure.CompareAndSwap(nil, &err) {
		s.log.Error("store failed", "error", err)
		s.failed <- err
	}
}

// usable says why the store answers nothing any more, or nil.
func (s *Store) usable() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// unixMilli and fromMilli are the two directions of every time in the database.
func unixMilli(t time.Time) int64 { return t.UnixMilli() }

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func stamp(ms int64) relay.Time { return relay.Time{Time: fromMilli(ms)} }

var _ interface {
	Append(context.Context, []relay.Accepted) ([]relay.Appended, error)
	Step(context.Context, []relay.Outcome, []relay.ClaimRequest) ([]relay.Claimed, []relay.Due, error)
} = (*Store)(nil)
