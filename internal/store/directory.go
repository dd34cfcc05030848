package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files in the store's directory. SQLite adds relay.db-wal and relay.db-shm
// and gives them the mode of relay.db.
const (
	databaseFile = "relay.db"
	lockFile     = "relay.lock"
	reserveFile  = "relay.reserve"
)

// prepareDirectory makes dir fit for a store, for its owner only, and takes the
// lock. When it returns, the directory, its entry in its parent and the entry
// of the database file are synced, so that a synced database cannot vanish with
// an unsynced directory.
func prepareDirectory(dir string) (lock *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err = takeLock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	err = prepareDatabaseFile(filepath.Join(dir, databaseFile))
	if err == nil {
		err = errors.Join(syncDirectory(dir), syncDirectory(filepath.Dir(dir)))
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// prepareDatabaseFile sees to it that the database file exists with mode 0600
// before SQLite would create it with another. A log without a database means
// that the database was lost: starting with an empty one would hide that.
func prepareDatabaseFile(path string) error {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || info.Size() == 0 {
		if wal, werr := os.Stat(path + "-wal"); werr == nil && wal.Size() > 0 {
			return fmt.Errorf("%s is missing or empty, but %s-wal holds data: bring the file back from a backup, or move both away to begin anew", databaseFile, databaseFile)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil // a parent that we may enter but not read is not ours to sync
		}
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
