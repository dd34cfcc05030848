package relay

import "errors"

// Errors that packages pass to each other through the interfaces of their callers.
var (
	// ErrBacklogFull: the store holds more unfinished deliveries than it may; nothing was stored.
	ErrBacklogFull = errors.New("too many unfinished deliveries")
	// ErrDiskFull: the disk is full; nothing was stored.
	ErrDiskFull = errors.New("the disk is full")
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrUnfinished: the delivery is not over yet.
	ErrUnfinished = errors.New("not finished")
	// ErrClosed: relay is shutting down.
	ErrClosed = errors.New("relay is shutting down")
	// ErrUnavailable: the plugin that would do it is not running now.
	ErrUnavailable = errors.New("plugin unavailable")
)
