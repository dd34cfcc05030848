//go:build !windows

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
)

// progress is one line on a terminal that tells how far long work is. On
// anything else it says nothing.
type progress struct {
	to   io.Writer // nil: no terminal
	last time.Time
}

// progressEvery keeps a line readable.
const progressEvery = 100 * time.Millisecond

func (c *cli) progress() *progress {
	if f, ok := c.stderr.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return &progress{to: f}
	}
	return &progress{}
}

func (p *progress) say(format string, args ...any) {
	if p.to == nil || time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.to, "\r\x1b[K"+format, args...)
}

// end takes the line away.
func (p *progress) end() {
	if p.to != nil && !p.last.IsZero() {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}

// size is a number of bytes as people read it.
func size(n int64) string {
	const unit = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= unit && i < len(units)-1; i++ {
		f /= unit
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
