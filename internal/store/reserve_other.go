//go:build !linux

package store

import "os"

// allocate takes up room for a file.
func allocate(f *os.File, size int64) error { return fillWithZeros(f, size) }
