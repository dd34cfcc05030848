package store

import (
	"fmt"
	"log/slog"
	"os"
	"time"
)

// reserve is a file that only takes up room. When the disk is full it is given
// up, so that what became of deliveries can still be written down; from then on
// nothing new is taken until the disk has room for the file again. It belongs
// to the writer.
type reserve struct {
	path string
	size int64
	log  *slog.Logger

	held   bool
	wanted bool      // it was given up for verdicts and is not back yet
	next   time.Time // when to try again to have it back
}

// reserveRetry is the time between tries to have the reserve back.
const reserveRetry = time.Second

// newReserve takes up the room. A disk without so much of it is no reason not
// to run; then there is no reserve.
func newReserve(path string, size int64, log *slog.Logger) *reserve {
	r := &reserve{path: path, size: size, log: log}
	if size <= 0 {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			log.Warn("an unused reserve stays behind", "error", err)
		}
		return r
	}
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		r.held = true // from the last run
		return r
	}
	if err := r.take(); err != nil {
		log.Warn("the disk has no room for store.reserve; when it is full, verdicts find no room either", "reserve", size, "error", err)
	}
	return r
}

func (r *reserve) take() error {
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = allocate(f, r.size)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(r.path) // gives back what it got
		return fmt.Errorf("keep a reserve: %w", err)
	}
	r.held = true
	return nil
}

// give makes room for verdicts; false means that there is none to make.
func (r *reserve) give() bool {
	if !r.held {
		return false
	}
	if err := os.Remove(r.path); err != nil {
		r.log.Error("the reserve cannot be given up", "error", err)
		return false
	}
	r.held, r.wanted = false, true
	r.log.Error("the disk is full: the reserve is given up for what becomes of deliveries; events are refused until there is room",
		"reserve", r.size)
	return true
}

// whole reports whether new things may be stored: unless the reserve was given
// up and the disk has no room for it yet.
func (r *reserve) whole(now time.Time) bool {
	if r.held || r.size <= 0 || now.Before(r.next) {
		return !r.wanted
	}
	r.next = now.Add(reserveRetry)
	if r.take() != nil {
		return !r.wanted
	}
	r.wanted = false
	r.log.Info("the disk has room for the reserve again")
	return true
}

// fillWithZeros takes up room where the file system cannot be asked for it.
func fillWithZeros(f *os.File, size int64) error {
	block := make([]byte, 1<<20)
	for size > 0 {
		n, err := f.Write(block[:min(size, int64(len(block)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return f.Sync() // a file system that delays finding room finds it now
}
