package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	sqlite "modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationFiles are the steps that this relay knows.
var migrationFiles fs.FS = migrations

// migrate brings the schema of the database at path to this relay's version,
// each step in a transaction of its own, and refuses a schema that is newer.
// Before an older schema is changed the database is copied, so that the relay
// that wrote it can be gone back to.
func migrate(ctx context.Context, path string, log *slog.Logger) (err error) {
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
		return fmt.Errorf("a newer relay wrote it (%sschema version %d; this relay knows %d): run that relay, or give this one a directory of its own", writtenBy(ctx, db), has, knows)
	}
	if has > 0 && has < knows {
		kept := fmt.Sprintf("%s-schema-%d", path, has)
		if err := copyDatabase(ctx, db, kept); err != nil {
			return fmt.Errorf("keep a copy of the database before its schema goes from version %d to %d (it needs as much room again): %w", has, knows, err)
		}
		log.Info("the schema of the store is brought up to date", "from", has, "to", knows, "copy", kept)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", has, knows, err)
	}
	return nil
}

// writtenBy is the version of the relay that had the store last, where it says so.
func writtenBy(ctx context.Context, db *sql.DB) string {
	var version string
	if db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'relay'`).Scan(&version) != nil {
		return ""
	}
	return "relay " + version + ", "
}

// copyDatabase writes a copy of the database that is whole or not there.
func copyDatabase(ctx context.Context, db *sql.DB, to string) (err error) {
	half := to + ".part"
	defer func() {
		if err != nil {
			os.Remove(half)
		}
	}()
	f, err := os.OpenFile(half, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) // SQLite would create it for others to read
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", half); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(half, to); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(to))
}
