package store_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
)

// firstSchema puts the database of a relay with schema version 1 into dir. That
// relay had delivered one event, tried one, given one up, held one for a
// paused destination, and was killed while it sent two.
func firstSchema(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open("testdata/schema-1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "relay.db"), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUpgrade opens the store of an older relay: nothing in it is lost, and a
// copy of what it was stays.
func TestUpgrade(t *testing.T) {
	dir := t.TempDir()
	firstSchema(t, dir)
	var log bytes.Buffer
	s, err := store.Open(t.Context(), dir, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Version: "9.8.7"})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]relay.State{
		"event-delivered": relay.StateDelivered, "event-retried": relay.StatePending, "event-dead": relay.StateDead,
		"event-pending": relay.StatePending, "event-held": relay.StateHeld, "event-sending": relay.StatePending,
	} {
		e, err := s.Event(t.Context(), id)
		if err != nil || len(e.Deliveries) != 1 || e.Deliveries[0].State != want {
			t.Errorf("%s: %+v (%v), want %s", id, e.Deliveries, err, want)
		}
	}
	claimed, _, err := s.Step(t.Context(), nil, []relay.ClaimRequest{{Lane: relay.Channel("hook"), Limit: 10}})
	if err != nil || len(claimed) != 3 {
		t.Errorf("claimed %v (%v), want the three that wait", claimed, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	integrity(t, dir)

	kept := filepath.Join(dir, "relay.db-schema-1")
	if !strings.Contains(log.String(), kept) {
		t.Errorf("the log does not name the copy: %s", &log)
	}
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("copy: %v (%v)", info, err)
	}
	old := t.TempDir()
	if err := os.Rename(kept, filepath.Join(old, "relay.db")); err != nil {
		t.Fatal(err)
	}
	var version, rows int
	if err := raw(t, old).QueryRow(`SELECT (SELECT max(version_id) FROM goose_db_version), (SELECT count(*) FROM deliveries)`).Scan(&version, &rows); err != nil || version != 1 || rows != 6 {
		t.Errorf("the copy has schema %d and %d deliveries (%v)", version, rows, err)
	}

	// An older relay that meets it says whose it is.
	if _, err := raw(t, dir).Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)`); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "a newer relay wrote it (relay 9.8.7, schema version 9000; this relay knows ")
}

// TestUpgradeWithoutACopyIsNone: where the copy finds no place, nothing is changed.
func TestUpgradeWithoutACopyIsNone(t *testing.T) {
	dir := t.TempDir()
	firstSchema(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "relay.db-schema-1.part"), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "keep a copy of the database before its schema goes from version 1 to ")
	var version int
	if err := raw(t, dir).QueryRow(`SELECT max(version_id) FROM goose_db_version`).Scan(&version); err != nil || version != 1 {
		t.Errorf("schema %d (%v)", version, err)
	}
}

// TestReserve: a full disk gives the reserve up for verdicts, refuses what is
// new, and has the reserve back when there is room.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	now := newClock()
	s, err := store.Open(t.Context(), dir, store.Options{Reserve: 1 << 20, Now: now.get})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(dir, "relay.reserve")
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	if size() != 1<<20 {
		t.Fatalf("the reserve has %d bytes", size())
	}
	mustAppend(t, s, event("first", "a"))
	claimed, _, err := s.Step(t.Context(), nil, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 1}})
	if err != nil || len(claimed) != 1 {
		t.Fatal(err)
	}
	if _, err := s.TestOnlyWriter("PRAGMA max_page_count = 1"); err != nil { // SQLite takes the size that it has
		t.Fatal(err)
	}
	large := event("large", "a")
	large.Body = bytes.Repeat([]byte("x"), 1<<20)
	if _, err := s.Append(t.Context(), []relay.Accepted{large}); !errors.Is(err, relay.ErrDiskFull) {
		t.Fatalf("append on a full disk: %v", err)
	}
	if size() != 1<<20 {
		t.Error("an event took the reserve")
	}
	verdict := relay.Outcome{Seq: claimed[0].Seq, Claim: claimed[0].Claim, State: relay.StateDelivered,
		Attempt: &relay.Attempt{Verdict: relay.Delivered, Receipt: strings.Repeat("x", 1<<20)}}
	if _, _, err := s.Step(t.Context(), []relay.Outcome{verdict}, nil); !errors.Is(err, relay.ErrDiskFull) {
		t.Fatalf("a verdict on a disk that is full in spite of it: %v", err)
	}
	if size() != 0 {
		t.Error("the reserve was not given up for a verdict")
	}
	if _, err := s.TestOnlyWriter("PRAGMA max_page_count = 4294967294"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Step(t.Context(), []relay.Outcome{verdict}, nil); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event("second", "a"))
	if size() != 1<<20 {
		t.Error("the reserve is not back")
	}
}
