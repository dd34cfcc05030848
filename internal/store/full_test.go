package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
)

// TestDiskFull bounds the database's size, which SQLite reports as it reports a
// full disk.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustAppend(t, s, event("first", "a"))
	pages, err := s.TestOnlyWriter("PRAGMA page_count")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TestOnlyWriter(fmt.Sprintf("PRAGMA max_page_count = %d", pages.(int64)+2)); err != nil {
		t.Fatal(err)
	}

	// A large slice meets the end half way, small work in the same batches does not.
	large := []relay.Accepted{event("small", "b"), event("large", "b")}
	large[1].Body = bytes.Repeat([]byte("x"), 1<<20)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := s.Append(context.Background(), large); !errors.Is(err, relay.ErrDiskFull) {
				t.Errorf("got error %v, want %v", err, relay.ErrDiskFull)
			}
		})
		wg.Go(func() {
			if err := s.Pause(context.Background(), relay.Pause{Lane: relay.Channel(fmt.Sprint("d", i))}); err != nil {
				t.Errorf("small work beside it: %v", err)
			}
		})
	}
	wg.Wait()
	if _, err := s.Event(t.Context(), "small"); !errors.Is(err, relay.ErrNotFound) {
		t.Errorf("half of a slice is stored (%v)", err)
	}
	pauses, err := s.Pauses(t.Context())
	if err != nil || len(pauses) != 20 {
		t.Errorf("got %d pauses (%v), want 20", len(pauses), err)
	}
	backlogs, err := s.Backlogs(t.Context())
	if err != nil || len(backlogs) != 1 {
		t.Errorf("got backlogs %v (%v), want one of a", backlogs, err)
	}
	claimed, _, err := s.Step(t.Context(), nil, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 1}})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claiming on a full disk: %v (%v)", claimed, err)
	}
	select {
	case err := <-s.Failed():
		t.Fatalf("a full disk counts as a fault: %v", err)
	default:
	}

	// A step that finds no room changes nothing: its claim, its attempt number
	// and the claim of the next attempt are as if it had not been.
	outcome := relay.Outcome{Seq: claimed[0].Seq, Claim: claimed[0].Claim, State: relay.StatePending,
		Attempt: &relay.Attempt{Verdict: relay.Temporary, Error: strings.Repeat("x", 1<<20)}}
	_, _, err = s.Step(t.Context(), []relay.Outcome{outcome}, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 1}})
	if !errors.Is(err, relay.ErrDiskFull) {
		t.Fatalf("got error %v, want %v", err, relay.ErrDiskFull)
	}

	if _, err := s.TestOnlyWriter("PRAGMA max_page_count = 4294967294"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, large...)
	again, _, err := s.Step(t.Context(), []relay.Outcome{outcome}, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 1}})
	if err != nil || len(again) != 1 || again[0].Attempt != 2 {
		t.Fatalf("after the disk had room: %v (%v)", again, err)
	}
	d, err := s.Delivery(t.Context(), again[0].ID)
	if err != nil || len(d.Log) != 1 || d.Log[0].Attempt != 1 {
		t.Errorf("got log of %d attempts (%v), want the first", len(d.Log), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	integrity(t, dir)
}
