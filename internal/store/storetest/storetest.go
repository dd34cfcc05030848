// Package storetest is what any store of relay must do. A store's own test
// calls [Run] with a function that opens it; what is peculiar to one store
// (locks, files, migrations) it tests by itself.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
)

// Store is what the suite exercises.
type Store interface {
	Append(ctx context.Context, events []relay.Accepted) ([]relay.Appended, error)
	Step(ctx context.Context, outcomes []relay.Outcome, claims []relay.ClaimRequest) ([]relay.Claimed, []relay.Due, error)
	Deliveries(ctx context.Context, f relay.DeliveryFilter) (rows []relay.Delivery, next int64, err error)
	Delivery(ctx context.Context, id string) (relay.Delivery, error)
	Event(ctx context.Context, id string) (relay.StoredEvent, error)
	EventByKey(ctx context.Context, key, source string) (relay.StoredEvent, error)
	Backlogs(ctx context.Context) ([]relay.Backlog, error)
	Dues(ctx context.Context) ([]relay.Due, error)
	Full(ctx context.Context) (full, nearly []string, err error)
	Pause(ctx context.Context, p relay.Pause) error
	Resume(ctx context.Context, lane relay.Lane) error
	Pauses(ctx context.Context) ([]relay.Pause, error)
	Remove(ctx context.Context, r relay.Removal) error
	Restore(ctx context.Context, lane relay.Lane) error
	Removals(ctx context.Context) ([]relay.Removal, error)
	Bury(ctx context.Context, r relay.Removal, fallBack bool, limit int) (ended int, left bool, err error)
	Pace(ctx context.Context, lane relay.Lane, since time.Time) (relay.Pace, error)
	Expire(ctx context.Context, lane relay.Lane, due time.Time, reason string, limit int) (n int, fell []relay.Due, err error)
	Size(ctx context.Context) (int64, error)
	Prune(ctx context.Context, before time.Time, limit int) (deleted int, err error)
	FallBackHeld(ctx context.Context, destination string, due time.Time, limit int) (made int, err error)
	Replay(ctx context.Context, id string) (made string, lane relay.Lane, err error)
	Finished(ctx context.Context, f relay.DeliveryFilter) (seqs []int64, unfinished int, err error)
	ReplayAll(ctx context.Context, seqs []int64) (taken, made int, lanes []relay.Lane, err error)
	Reroute(ctx context.Context, event string, deliveries []relay.NewDelivery) (made []string, err error)
	Events(ctx context.Context, f relay.EventFilter) (rows []relay.EventRow, next int64, err error)
	Index(ctx context.Context) error
	Purge(ctx context.Context, name string) (relay.Purged, error)
	Backup(ctx context.Context, file string) error
	Identify(ctx context.Context, all []relay.Identity) error
	Identities(ctx context.Context) ([]relay.Identity, error)
	LostClaims() int64
	Close() error
}

// Options are what a store under test must heed.
type Options struct {
	MaxPending               int
	MaxPendingPerDestination int
	Now                      func() time.Time
}

// Open opens a store. The same dir is the same store: what was put there before
// is there again. dir is a fresh directory of the test at first.
type Open func(dir string, o Options) (Store, error)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"append: what was accepted is read back, also after reopening", appendReadsBack},
		{"append: the same key and digest is a duplicate", appendDuplicate},
		{"append: of many concurrent equal posts one is accepted", appendConcurrentDuplicates},
		{"append: duplicates within one slice", appendDuplicateInSlice},
		{"append: a conflict stores nothing of the slice", appendConflict},
		{"append: a key belongs to its source", appendKeyPerSource},
		{"append: a context that is over is refused", appendContextOver},
		{"append: concurrent callers all get their own answer", appendConcurrent},
		{"backlog: the whole store is bounded, duplicates are not refused", backlogFull},
		{"backlog: one destination is bounded, the rest is dead at once", backlogFullDestination},
		{"backlog: counts survive reopening", backlogReopened},
		{"step: claims in the order of due time and acceptance", stepOrder},
		{"step: due says when to come back", stepDue},
		{"step: destinations are claimed apart", stepDestinations},
		{"step: outcomes and attempts are recorded", stepRecords},
		{"step: a retry waits and has the next number", stepRetry},
		{"step: a release keeps number and place", stepRelease},
		{"step: a stale claim changes nothing", stepFence},
		{"step: an outcome and the next claim share a step", stepOutcomeThenClaim},
		{"step: waiting time is summed up", stepWaited},
		{"step: an unknown state is refused", stepBadState},
		{"step: bodies of middle attempts are dropped", stepSlims},
		{"step: an ambiguous attempt leaves what it sent", stepResend},
		{"reopen: what was being sent is due again with the same number", reopenSending},
		{"reopen: a claim from before is lost", reopenFence},
		{"pause: pending deliveries show as held", pauseHeld},
		{"pause: survives reopening", pauseReopened},
		{"removed: pending deliveries show as held, also after reopening", removedHeld},
		{"removed: what waits is ended in steps, what is being sent is not", removedBuried},
		{"removed: direct messages fall back where the channel is left", removedFallsBack},
		{"pace: what was sent is told after reopening", paceReopened},
		{"pace: a vendor's wait is told while somebody waits for it", paceWait},
		{"expire: what is held for long ends, the oldest first", expireHeld},
		{"expire: an expired look-up falls back", expireFallsBack},
		{"direct: the parts of a destination are claimed and paused apart", directApart},
		{"direct: a match is kept, and its delivery keeps its place", directMatch},
		{"direct: a person gets one message", directTwin},
		{"direct: every fallback, decided once", directFallback},
		{"direct: a fallback takes its event's place", directFallbackPlace},
		{"direct: held messages fall back where the policy says so", directHeld},
		{"direct: a fallback survives a crash", directReopened},
		{"replay: a new delivery of the same, which never falls back", replayDirect},
		{"identities: kept until they end", identitiesKept},
		{"log: filters", logFilters},
		{"log: a cursor is steady while rows arrive", logCursor},
		{"log: what is not there is not found", logNotFound},
		{"log: texts are found, with and without the index", logQuery},
		{"log: the index changes no list", logIndexAgrees},
		{"log: what is pruned leaves the index", logIndexPruned},
		{"replay: many at once, which start after all others", replayAll},
		{"replay: bounded like everything new", replayAllBounded},
		{"replay: an event is routed again", reroute},
		{"purge: forgets a person and nobody else", purgePerson},
		{"purge: forgets who is only in what was sent", purgeFromMessages},
		{"backup: a copy of one moment", backUp},
		{"prune: takes finished deliveries and their events only", pruneFinished},
		{"prune: stops at its limit and takes unwanted events", pruneLimit},
		{"close: twice is harmless, and later calls are told", closeTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(newBench(t, open))
		})
	}
}
