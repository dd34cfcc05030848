package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	sqlite "modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationFiles are the steps that this relay knows.
var migrationFiles fs.FS = migrations

// migrate brings the schema of the database at path to this relay's version,
// each step in a transaction of its own, and refuses a schema that is newer.
func migrate(ctx context.Context, path string) (err error) {
	name, err := dataSource(path, writePragmas())
	if err != nil {
		return err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)

	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system allows no write-ahead log (journal mode %q): the store needs a local disk", mode)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if has > knows {
		return fmt.Errorf("a newer relay wrote it (schema version %d; this relay knows %d): run that relay, or give this one a directory of its own", has, knows)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", has, knows, err)
	}
	return nil
}
