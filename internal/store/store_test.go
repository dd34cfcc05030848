package store_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(dir string, o storetest.Options) (storetest.Store, error) {
		return store.Open(t.Context(), dir, store.Options{
			MaxPending: o.MaxPending, MaxPendingPerDestination: o.MaxPendingPerDestination, Now: o.Now,
		})
	})
}

var _ storetest.Store = (*store.Store)(nil)

// clock is a time that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) get() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestClockSetBack: what waited when the clock was set back waits no longer
// for that.
func TestClockSetBack(t *testing.T) {
	dir, now := t.TempDir(), newClock()
	open := func() *store.Store {
		s, err := store.Open(t.Context(), dir, store.Options{Now: now.get})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	claim := func(s *store.Store) int {
		claimed, _, err := s.Step(t.Context(), nil, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 10}})
		if err != nil {
			t.Fatal(err)
		}
		return len(claimed)
	}
	s := open()
	e := event("new", "a")
	e.At = now.get()
	mustAppend(t, s, e)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now.move(-time.Hour)
	s = open()
	if n := claim(s); n != 1 {
		t.Errorf("an hour back, %d are due, want 1", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSize follows what is in use, not what the file takes up.
func TestSize(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	size := func() int64 {
		n, err := s.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := size()
	for i := range 10 {
		e := event(fmt.Sprint("e", i))
		e.Body = bytes.Repeat([]byte("x"), 100<<10)
		mustAppend(t, s, e)
	}
	grown := size()
	if grown-before < 900<<10 {
		t.Errorf("10 events of 100 KiB took %d bytes", grown-before)
	}
	if n, err := s.Prune(t.Context(), time.Now().Add(time.Hour), 100); n != 10 || err != nil {
		t.Fatalf("pruned %d (%v)", n, err)
	}
	if left := size(); left-before > 100<<10 {
		t.Errorf("%d bytes are left of %d", left-before, grown-before)
	}
}
