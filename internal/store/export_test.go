package store

import (
	"context"
	"database/sql/driver"
	"io/fs"
	"testing/fstest"
)

// TestOnlyWriter runs a statement on the connection that writes, outside of any
// transaction, and returns the first column of its last row.
func (s *Store) TestOnlyWriter(statement string) (result any, err error) {
	err = s.write(context.Background(), 1, func(t *transaction) error {
		if err := t.sql.commit.run(); err != nil {
			return err
		}
		if err := t.once(statement, func(row []driver.Value) { result = row[0] }); err != nil {
			return err
		}
		return t.sql.begin.run()
	})
	return result, err
}

// OlderSchema makes new stores those of an older schema until it is undone.
func OlderSchema(files ...string) (undo func()) {
	all := migrations
	older := fstest.MapFS{}
	for _, name := range files {
		data, err := fs.ReadFile(all, "migrations/"+name)
		if err != nil {
			panic(err)
		}
		older["migrations/"+name] = &fstest.MapFile{Data: data}
	}
	migrationFiles = older
	return func() { migrationFiles = all }
}
