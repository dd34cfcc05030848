//go:build linux || darwin

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// takeLock makes this process the only one that uses the store. The lock is the
// kernel's and ends with the process, however that ends; the file stays, and
// the number in it is only there to name the holder.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockAndSign(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func lockAndSign(f *os.File) error {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("another relay uses it (%s): stop that one, or give this one a directory of its own", holder(f))
	case err != nil:
		return fmt.Errorf("lock %s: %w (the store needs a local disk)", f.Name(), err)
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads who signed the lock file.
func holder(f *os.File) string {
	const longest = 32 // a process id and a line end, with room
	b, err := io.ReadAll(io.LimitReader(f, longest))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || convErr != nil {
		return "pid unknown"
	}
	return "pid " + strconv.Itoa(pid)
}
