package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	sqlite "modernc.org/sqlite"
)

// Backup writes a copy of the store as it is at one moment to file, which must
// not exist, for its owner only. The store goes on meanwhile. The copy is a
// store's database: put into an empty directory as relay.db, it is the store.
func (s *Store) Backup(ctx context.Context, file string) error {
	return writeBackup(file, func() error {
		conn, err := s.reads.Conn(ctx)
		if err != nil {
			return s.readError(ctx, err)
		}
		defer conn.Close()
		_, err = conn.ExecContext(ctx, "VACUUM INTO ?", file)
		return s.readError(ctx, err)
	})
}

// BackupClosed does the same for a store that no relay has open, and changes
// nothing of it. It takes the store's lock for that time.
func BackupClosed(ctx context.Context, dir, file string) error {
	path := filepath.Join(dir, databaseFile)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("there is no store in %s: %w", dir, err)
	}
	if info.Size() == 0 {
		return fmt.Errorf("%s is empty: there is nothing of the store to copy", path)
	}
	lock, err := takeLock(filepath.Join(dir, lockFile))
	if err != nil {
		return fmt.Errorf("open store %q: %w", dir, err)
	}
	defer lock.Close()
	name, err := dataSource(path, nil)
	if err != nil {
		return err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	return writeBackup(file, func() (err error) {
		defer func() { err = errors.Join(err, db.Close()) }()
		_, err = db.ExecContext(ctx, "VACUUM INTO ?", file)
		return explain(err)
	})
}

// writeBackup makes an empty file for the copy, so that nothing is overwritten
// and nobody else can read it, and syncs it; a copy that failed is removed.
func writeBackup(file string, copyTo func() error) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already; a backup overwrites nothing", file)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(file)
		}
	}()
	if err := copyTo(); err != nil {
		return err
	}
	return errors.Join(f.Sync(), syncDirectory(filepath.Dir(file)))
}
