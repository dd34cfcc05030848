package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
	_ "modernc.org/sqlite"
)

func mustOpen(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// refused opens the store in dir and wants words in the error.
func refused(t *testing.T, dir string, words ...string) {
	t.Helper()
	s, err := store.Open(context.Background(), dir, store.Options{})
	if err == nil {
		s.Close()
		t.Fatal("the store was opened")
	}
	for _, w := range append(words, dir) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// raw opens the database file beside the store, as an operator's tool would.
func raw(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func event(id string, destinations ...string) relay.Accepted {
	e := relay.Accepted{ID: id, Source: "app", Type: "issue.created", Level: relay.LevelInfo, Title: "a title", Body: []byte(`{}`), At: time.Now()}
	for _, d := range destinations {
		e.Deliveries = append(e.Deliveries, relay.NewDelivery{Destination: d, Provider: "chat"})
	}
	return e
}

func mustAppend(t testing.TB, s *store.Store, events ...relay.Accepted) {
	t.Helper()
	if _, err := s.Append(context.Background(), events); err != nil {
		t.Fatal(err)
	}
}

func TestOpenIsForItsOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20", "store") // a path that a URL would misread
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir)
	mustAppend(t, s, event("e1", "a"))
	if _, err := s.Event(t.Context(), "e1"); err != nil { // brings up a reader's files too
		t.Fatal(err)
	}
	names := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
		names[d.Name()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"relay.db", "relay.db-wal", "relay.db-shm", "relay.lock"} {
		if !names[want] {
			t.Errorf("no %s in %v", want, names)
		}
	}
}

func TestOpenTwiceIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	refused(t, dir, "another relay", fmt.Sprintf("pid %d", os.Getpid()))
	mustAppend(t, s, event("e1", "a")) // the first one is not disturbed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir)
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	dir := t.TempDir()
	if err := mustOpen(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, dir)
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "newer relay", "99", "this relay knows")
	if _, err := db.Exec(`DELETE FROM goose_db_version WHERE version_id = 99`); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir)
}

func TestOpenReportsDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(path string) error
		words  []string
	}{
		{"not a database", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 500)), 0o600)
		}, []string{"relay.db is damaged", "backup"}},
		{"first page overwritten", func(path string) error { return overwritePage(path, 1) }, []string{"relay.db is damaged"}},
		{"second half gone", func(path string) error { return os.Truncate(path, 8192) }, []string{"relay.db is damaged"}},
		{"file gone, log left", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path+"-wal", []byte("what was not written back"), 0o600)
		}, []string{"relay.db is missing or empty", "relay.db-wal"}},
		{"emptied", func(path string) error { return os.Truncate(path, 0) }, []string{"relay.db is empty", "backup"}},
		{"emptied, lock gone", func(path string) error {
			return errors.Join(os.Truncate(path, 0), os.Remove(filepath.Join(filepath.Dir(path), "relay.lock")))
		}, []string{"relay.db is empty", "backup"}},
		{"emptied, reserve left", func(path string) error {
			return errors.Join(os.Truncate(path, 0), os.WriteFile(filepath.Join(filepath.Dir(path), "relay.reserve"), []byte("room"), 0o600))
		}, []string{"relay.db is empty", "relay.reserve", "backup"}},
		{"gone, reserve left", func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(filepath.Join(filepath.Dir(path), "relay.reserve"), []byte("room"), 0o600))
		}, []string{"relay.db is missing", "relay.reserve", "backup"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			mustAppend(t, s, event("e1", "a"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "relay.db")
			if err := c.damage(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			refused(t, dir, c.words...)
			if err := store.BackupClosed(t.Context(), dir, filepath.Join(t.TempDir(), "copy.db")); err == nil {
				t.Error("what is damaged was copied")
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

// TestFirstStartIsKilled: what it leaves before there is a database is no store
// that was lost.
func TestFirstStartIsKilled(t *testing.T) {
	for name, left := range map[string][]string{
		"before the database was begun":   {"relay.lock"},
		"while the database was made":     {"relay.lock", "relay.db.new"},
		"while its first page was in log": {"relay.lock", "relay.db.new", "relay.db.new-wal", "relay.db.new-shm"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range left {
				if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := mustOpen(t, dir)
			mustAppend(t, s, event("e1", "a"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if made, _ := filepath.Glob(filepath.Join(dir, "relay.db.new*")); made != nil {
				t.Errorf("%s stays", made)
			}
			mustOpen(t, dir)
		})
	}
}

// overwritePage fills a page, counted from 1, with junk.
func overwritePage(path string, page int64) error {
	const size = 4096
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(strings.Repeat("\xee", size)), (page-1)*size)
	return err
}

// TestDamageIsFatal damages a page that only writing reads.
func TestDamageIsFatal(t *testing.T) {
	dir := t.TempDir()
	if err := mustOpen(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	var page int64
	db := raw(t, dir)
	if err := db.QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries_event'`).Scan(&page); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if err := overwritePage(filepath.Join(dir, "relay.db"), page); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Append(t.Context(), []relay.Accepted{event("e1", "a")})
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("got error %v", err)
	}
	if failure := <-s.Failed(); failure.Error() == "" {
		t.Fatal("no reason")
	}
	if _, err := s.Event(t.Context(), "e1"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a read after the fault got %v", err)
	}
	if err := s.Pause(t.Context(), relay.Pause{Lane: relay.Channel("a")}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a write after the fault got %v", err)
	}
}

// TestSettings reads back what durability rests on.
func TestSettings(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	for pragma, want := range map[string]any{"journal_mode": "wal", "synchronous": int64(2), "wal_autocheckpoint": int64(0), "busy_timeout": int64(5000)} {
		if got, err := s.TestOnlyWriter("PRAGMA " + pragma); err != nil || got != want {
			t.Errorf("%s is %v (%v), want %v", pragma, got, err, want)
		}
	}
}

// TestCloseLeavesOneFile: after a clean end the database is whole by itself.
func TestCloseLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustAppend(t, s, event("e1", "a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "relay.db-wal")); err == nil {
		t.Error("the log is still there")
	}
	integrity(t, dir)
}

func integrity(t *testing.T, dir string) {
	t.Helper()
	var result string
	if err := raw(t, dir).QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("integrity check: %s (%v)", result, err)
	}
}

// TestLockIsNotInherited: a child that outlives relay must not keep the store.
func TestLockIsNotInherited(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	child := exec.Command("cat")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	mustOpen(t, dir)
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}
