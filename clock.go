package relay

import (
	"sync"
	"time"
)

// Clock is a clock that never goes back. What waits, waits for a time of the
// wall's clock, since it is on disk; when that clock is set back by an hour,
// everything would wait an hour longer. Set forward, it is followed. The zero
// value is good, and its methods may be called concurrently.
type Clock struct {
	// Wall is the clock to follow. nil: time.Now.
	Wall func() time.Time
	// Steady is a time that only passes, from any beginning. nil: the machine's.
	Steady func() time.Duration

	mu     sync.Mutex
	began  time.Time // what Steady begins with, where it is nil
	last   time.Time
	lastAt time.Duration
}

// Now is the time of the wall's clock, or where that was set back, the time
// that it would show if it had not been.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, at := c.read()
	if !c.last.IsZero() {
		if steady := c.last.Add(at - c.lastAt); now.Before(steady) {
			now = steady
		}
	}
	c.last, c.lastAt = now, at
	return now
}

// read asks both clocks. Without the monotonic reading times compare and print
// as the wall says.
func (c *Clock) read() (now time.Time, at time.Duration) {
	if c.began.IsZero() {
		c.began = time.Now()
	}
	now, at = time.Now(), time.Since(c.began)
	if c.Wall != nil {
		now = c.Wall()
	}
	if c.Steady != nil {
		at = c.Steady()
	}
	return now.Round(0), at
}
