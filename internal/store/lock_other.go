//go:build !linux && !darwin

package store

import (
	"fmt"
	"os"
	"runtime"
)

// takeLock refuses: without a lock two relays could write to one store.
func takeLock(string) (*os.File, error) {
	return nil, fmt.Errorf("relay does not run on %s yet", runtime.GOOS)
}
