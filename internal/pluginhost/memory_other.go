//go:build !linux

package pluginhost

// residentBytes is not known here; Go's own collector keeps to the bound.
func residentBytes(int) int64 { return 0 }
