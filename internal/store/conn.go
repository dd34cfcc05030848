package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	sqlite "modernc.org/sqlite"
)

// busyTimeoutMS is how long a connection waits for a lock that somebody else
// holds. Inside relay nobody does for long; an operator's sqlite3 shell may.
const busyTimeoutMS = 5000

// writePragmas are the settings of the connection that writes.
//
// synchronous=FULL syncs the log at every commit. wal_autocheckpoint=0, since
// the checkpoint that SQLite makes by itself keeps its errors to itself; the
// writer makes them (writer.go). foreign_keys stays off: only this package
// writes, always a parent with its children, and the checks cost a look-up a row.
func writePragmas() []string {
	pragmas := []string{
		"page_size(8192)", // of a new file: an event and its attempt fill most of 4 KiB, and every page of the log is two writes
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"wal_autocheckpoint(0)",
		"journal_size_limit(67108864)", // a log that a burst made longer shrinks to 64 MiB
		"cache_size(-8192)",            // KiB; holds the inner pages of the indexes of some million events
		"foreign_keys(OFF)",
		"temp_store(MEMORY)",
	}
	if runtime.GOOS == "darwin" {
		// There fsync leaves data in the drive's cache.
		pragmas = append(pragmas, "fullfsync(ON)", "checkpoint_fullfsync(ON)")
	}
	return pragmas
}

// dataSource is the name by which the driver opens the file at path.
func dataSource(path string, pragmas []string, parameters ...string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	query := append(parameters, fmt.Sprintf("_pragma=busy_timeout(%d)", busyTimeoutMS))
	for _, p := range pragmas {
		query = append(query, "_pragma="+p)
	}
	u := url.URL{Scheme: "file", Path: absolute}
	return u.String() + "?" + strings.Join(query, "&"), nil
}

// conn is one connection of the driver, used by one goroutine and without
// database/sql: there is no pool to manage, and every statement saves a few
// locks and copies.
type conn struct {
	raw        driver.Conn
	statements []*statement
}

func openConn(ctx context.Context, path string) (*conn, error) {
	name, err := dataSource(path, writePragmas())
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.stmt.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// pragma sets what takes effect when it is prepared, not when it is run.
func (c *conn) pragma(text string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), "PRAGMA "+text, nil)
	return err
}

// pagesWritten counts the pages that went to the log since it was last asked.
func (c *conn) pagesWritten() (int, error) {
	n, _, err := c.raw.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
	return n, err
}

// statement is a prepared statement. Its parameters are plain question marks:
// the driver looks numbered ones up one by one.
type statement struct {
	stmt driver.Stmt
	args []driver.NamedValue // used again by every call
	row  []driver.Value      // the same for results
}

func (c *conn) prepare(text string) (*statement, error) {
	stmt, err := c.raw.Prepare(text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, err)
	}
	s := &statement{stmt: stmt}
	c.statements = append(c.statements, s)
	return s, nil
}

// exec runs the statement and returns the number of rows changed and the rowid
// of the last one inserted. Values are int64, string, []byte or nil.
func (s *statement) exec(args ...driver.Value) (changed, inserted int64, err error) {
	result, err := s.stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.bind(args))
	if err != nil {
		return 0, 0, err
	}
	changed, _ = result.RowsAffected() // this driver's results know both
	inserted, _ = result.LastInsertId()
	return changed, inserted, nil
}

// query runs the statement and calls each for every row. The row is valid
// until each returns; the strings and slices in it stay.
func (s *statement) query(each func(row []driver.Value), args ...driver.Value) (err error) {
	rows, err := s.stmt.(driver.StmtQueryContext).QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	for {
		switch err := rows.Next(s.row); err {
		case nil:
			each(s.row)
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func (s *statement) bind(args []driver.Value) []driver.NamedValue {
	s.args = s.args[:0]
	for i, v := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return s.args
}

// text and number read a column that is never null.
func text(v driver.Value) string {
	s, _ := v.(string)
	return s
}

func number(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}
