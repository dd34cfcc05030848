package render

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"

	"github.com/relay-sidecar/relay"
)

// Limits that the engine does not keep by itself.
const (
	// MaxMemory is how much the heap of the process may grow while a script
	// runs. A message takes some ten kilobytes; garbage of others is collected
	// before a script is blamed.
	MaxMemory = 128 << 20

	// hardMemory is the growth from which on a script that does not hear its
	// interrupt is given up at once, and lastMemory the one that ends the
	// process without a wait: the machine's memory would be next.
	hardMemory = 512 << 20
	lastMemory = 1 << 30

	// grace is what a script may take to hear its interrupt: a regular
	// expression ends shortly after the limit, and a busy machine is slow.
	grace = time.Second

	// tick is how often a script that is late is looked at. The usual one is
	// over long before the first time.
	tick = 5 * time.Millisecond

	// calmFor is how long a look at the heap serves as the size from which
	// growth counts.
	calmFor = 100 * time.Millisecond
)

// Watch bounds all renders of one process: how many run at a time, and what
// becomes of one that cannot be ended. The engine has loops of its own that do
// not hear the interrupt; such a render is given up, its goroutine runs on, and
// only the end of the process ends it.
type Watch struct {
	slots chan struct{}
	calm  atomic.Uint64 // the heap's size when it was last looked at
	since atomic.Int64  // when that was, in Unix nanoseconds
}

// NewWatch makes the watch of a process.
func NewWatch() *Watch {
	// More renders than processors are no faster, and each may take memory. A
	// few more keep some that loop from holding up all others.
	return &Watch{slots: make(chan struct{}, max(4, 2*runtime.GOMAXPROCS(0)))}
}

// size is the heap's size before a script runs, seldom looked up.
func (w *Watch) size(now time.Time) uint64 {
	if w == nil {
		return heap()
	}
	before := w.since.Load()
	if now.UnixNano()-before > int64(calmFor) && w.since.CompareAndSwap(before, now.UnixNano()) {
		w.calm.Store(heap())
	}
	return w.calm.Load()
}

func (w *Watch) enter() {
	if w != nil {
		w.slots <- struct{}{}
	}
}

func (w *Watch) leave() {
	if w != nil {
		<-w.slots
	}
}

// heap is the size of what is allocated and not yet collected, in bytes.
func heap() uint64 {
	sample := [1]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample[:])
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return math.MaxUint64 // growth then counts as none
	}
	return sample[0].Value.Uint64()
}

// vigil is kept while one script runs.
type vigil struct {
	rt      *goja.Runtime
	limit   time.Duration
	started time.Time
	size    uint64                     // of the heap, when it started
	giveUp  func(*relay.TemplateError) // nil: there is nothing else to do
	name    string
	state   atomic.Int32
	timer   *time.Timer
}

// The states of a vigil.
const (
	running = iota
	ended
	givenUp
)

// watch begins a vigil. It costs a timer; the rest only a script that is late.
func (s *scope) watch(w *Watch, limit time.Duration, giveUp func(*relay.TemplateError)) *vigil {
	now := time.Now()
	v := &vigil{rt: s.rt, limit: limit, started: now, size: w.size(now), giveUp: giveUp, name: s.template.name}
	v.timer = time.AfterFunc(tick, v.keep)
	return v
}

// end ends the vigil; false means that the script was given up before.
func (v *vigil) end() bool {
	v.timer.Stop()
	return v.state.CompareAndSwap(running, ended)
}

// keep looks at a late script until it ends or is given up. It counts ticks,
// not time, once the script is told to end: a machine that slept is no loop.
func (v *vigil) keep() {
	var reason string
	ignored, sinceGC := 0, 0
	for ; v.state.Load() == running; time.Sleep(tick) {
		grown := v.grown()
		switch sinceGC--; {
		case reason != "":
			ignored++
			if (time.Duration(ignored)*tick > grace || grown > hardMemory) && v.giveUp != nil && v.state.CompareAndSwap(running, givenUp) {
				go v.ceiling()
				v.giveUp(&relay.TemplateError{File: v.name, Fatal: true,
					Message: reason + " and could not be interrupted: the engine was busy in one call, such as a sort or a regular expression"})
				return
			}
			v.last(grown)
			continue
		case time.Since(v.started) >= v.limit:
			reason = tookLonger(v.limit)
		case grown > MaxMemory && sinceGC <= 0:
			runtime.GC() // others' garbage is not its fault
			if sinceGC = 10; v.grown() > MaxMemory {
				reason = fmt.Sprintf("used more than %d MiB of memory", MaxMemory>>20)
			}
		}
		if reason != "" {
			v.rt.Interrupt(reason)
		}
	}
}

// ceiling watches the memory of a script that was given up, to the end of the
// process.
func (v *vigil) ceiling() {
	for ; ; time.Sleep(tick) {
		v.last(v.grown())
	}
}

// last ends the process when nothing else keeps it from taking the machine's
// memory.
func (v *vigil) last(grown uint64) {
	if v.giveUp != nil && grown > lastMemory {
		fmt.Fprintf(os.Stderr, "template %s used more than %d MiB of memory and could not be interrupted; the plugin ends at once\n", v.name, lastMemory>>20)
		os.Exit(1)
	}
}

// grown counts from the least that there was: garbage from before the script may
// be collected while it runs.
func (v *vigil) grown() uint64 {
	now := heap()
	v.size = min(v.size, now)
	return now - v.size
}

func tookLonger(limit time.Duration) string {
	return fmt.Sprintf("took longer than %d ms", limit.Milliseconds())
}
