package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
)

// TestOlderStoreIsMigrated: a store of the schema before keeps what it holds.
func TestOlderStoreIsMigrated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "relay.db")
	undo := store.OlderSchema("0001_first.sql", "0002_direct.sql", "0003_removals.sql", "0004_faults.sql")
	if _, err := store.Open(t.Context(), dir, store.Options{}); err == nil {
		t.Fatal("a relay of today works with the schema of before")
	}
	undo()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`INSERT INTO events (id, key, source, type, level, title, body, digest, created, deliveries) VALUES ('e1', '', 'app', 'x', 'info', 'an old title', '{}', x'00', 1, 2)`,
		`INSERT INTO deliveries (id, event_seq, destination, provider, recipient, state, due, created, updated) VALUES ('d1', 1, 'a', 'chat', '', 'pending', 1, 1, 1)`,
		`INSERT INTO deliveries (id, event_seq, destination, provider, recipient, state, due, created, updated, replay_of) VALUES ('d2', 1, 'a', 'chat', '', 'pending', 0, 1, 1, 'd0')`,
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s := mustOpen(t, dir)
	if err := s.Index(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, _, err := s.Deliveries(t.Context(), relay.DeliveryFilter{Query: "old title"})
	if err != nil || len(rows) != 2 {
		t.Errorf("found %v (%v)", rows, err)
	}
	claimed, _, err := s.Step(t.Context(), nil, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 2}})
	if err != nil || len(claimed) != 2 || claimed[0].ID != "d1" {
		t.Errorf("claimed %v (%v), want the replay last", claimed, err)
	}
}
