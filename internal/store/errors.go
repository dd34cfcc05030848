package store

import (
	"errors"
	"fmt"

	"github.com/relay-sidecar/relay"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// refusal is the answer of an operation that says no and changed nothing, so
// that the others in its transaction are not concerned.
type refusal struct{ error }

// code is SQLite's extended result code, or 0 where err is not SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// primary is the class of an extended result code.
func primary(code int) int { return code & 0xff }

// diskFull reports whether a write failed for want of room. The shared-memory
// file of the log can meet the full disk as well, under a code of its own.
func diskFull(err error) bool {
	c := code(err)
	return primary(c) == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_IOERR_SHMSIZE
}

// busy reports whether another process held the database for too long.
func busy(err error) bool { return primary(code(err)) == sqlite3.SQLITE_BUSY }

// fatal reports whether nothing that the connection says can be trusted after
// err: a failed sync or write, or a file that is not what SQLite left there.
func fatal(err error) bool {
	if diskFull(err) {
		return false
	}
	switch primary(code(err)) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// explain adds to a fault of SQLite what an operator can do about it.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case diskFull(err):
		return fmt.Errorf("%w (%w)", relay.ErrDiskFull, err)
	}
	switch primary(code(err)) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s is damaged: bring it back from a backup, or move it away to begin anew: %w", databaseFile, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another process holds %s (is a database shell open?): %w", databaseFile, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the disk failed: %w", err)
	}
	return err
}
