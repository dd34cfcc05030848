package store

import (
	"context"
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
	newFile      = "relay.db.new" // a database that is being made
)

// prepareDirectory makes dir fit for a store, for its owner only, and takes the
// lock. When it returns, the directory, its entry in its parent and the entry
// of the database file are synced, so that a synced database cannot vanish with
// an unsynced directory.
func prepareDirectory(ctx context.Context, dir string) (lock *os.File, err error) {
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
	err = prepareDatabaseFile(ctx, dir)
	if err == nil {
		err = errors.Join(syncDirectory(dir), syncDirectory(filepath.Dir(dir)))
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// prepareDatabaseFile sees to it that there is a database with mode 0600. One
// that was lost is not made anew, which would hide that: a log or a reserve
// shows that there was one, and an empty file is nothing that relay leaves.
func prepareDatabaseFile(ctx context.Context, dir string) error {
	path := filepath.Join(dir, databaseFile)
	info, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	if !missing && info.Size() > 0 {
		return os.Chmod(path, 0o600)
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return fmt.Errorf("%s is missing or empty, but %s-wal holds data: bring the file back from a backup, or move both away to begin anew", databaseFile, databaseFile)
	}
	if !missing {
		return fmt.Errorf("%s is empty, which relay never leaves it: bring the file back from a backup, or move it and %s away to begin anew", databaseFile, reserveFile)
	}
	if _, err := os.Stat(filepath.Join(dir, reserveFile)); err == nil {
		return fmt.Errorf("%s is missing, but %s shows that there was one: bring the file back from a backup, or move the other away as well to begin anew", databaseFile, reserveFile)
	}
	return makeDatabase(ctx, filepath.Join(dir, newFile), path)
}

// makeDatabase makes a database that has nothing in it. It gets its name when
// it is on disk, so that whatever ends relay leaves it whole or not there.
func makeDatabase(ctx context.Context, unfinished, path string) error {
	for _, left := range []string{"", "-wal", "-shm", "-journal"} { // by a relay that was killed
		if err := os.Remove(unfinished + left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite would create it for others to read
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := openConn(ctx, unfinished)
	if err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 { // going over to the log writes the first page
		return errors.New("the file system allows no write-ahead log: the store needs a local disk")
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
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
