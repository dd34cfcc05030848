package render

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
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
	calm  atomic.Uint64 // what lived on the heap when it was last looked at
	since atomic.Int64  // when that was, in Unix nanoseconds
	one   sync.Mutex    // held while a script runs alone
}

// NewWatch makes the watch of a process.
func NewWatch() *Watch {
	// More renders than processors are no faster, and each may take memory. A
	// few more keep some that loop from holding up all others.
	return &Watch{slots: make(chan struct{}, max(4, 2*runtime.GOMAXPROCS(0)))}
}

// size is what lives on the heap before a script runs, seldom looked up.
func (w *Watch) size(now time.Time) uint64 {
	if w == nil {
		_, live := heap()
		return live
	}
	before := w.since.Load()
	if now.UnixNano()-before > int64(calmFor) && w.since.CompareAndSwap(before, now.UnixNano()) {
		_, live := heap()
		w.calm.Store(live)
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

// shared reports whether other scripts run beside the one that asks.
func (w *Watch) shared() bool { return w != nil && len(w.slots) > 1 }

// clear waits until no other script runs and keeps it so until done is called,
// once or more often.
func (w *Watch) clear() (done func()) {
	w.one.Lock()
	for range cap(w.slots) {
		w.enter()
	}
	return sync.OnceFunc(func() {
		for range cap(w.slots) {
			w.leave()
		}
		w.one.Unlock()
	})
}

// heap is the size of what is allocated and not yet collected, and of what of it
// lived at the last collection, in bytes.
func heap() (all, live uint64) {
	samples := [2]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples[:])
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// vigil is kept while one script runs.
type vigil struct {
	rt      *goja.Runtime
	limit   time.Duration
	started time.Time
	size    uint64                     // of what lived on the heap, when it started
	giveUp  func(*relay.TemplateError) // nil: there is nothing else to do
	name    string
	watch   *Watch
	accused atomic.Bool // of the process's memory, which may be that of others
	hasty   bool        // the last look did not wait for the collector; keep's own
	state   atomic.Int32
	timer   *time.Timer
}

// The states of a vigil.
const (
	running = iota
	ended
	givenUp
	over // it was given up, and ended after all
)

// watch begins a vigil. It costs a timer; the rest only a script that is late.
func (s *scope) watch(w *Watch, limit time.Duration, giveUp func(*relay.TemplateError)) *vigil {
	now := time.Now()
	v := &vigil{rt: s.rt, limit: limit, started: now, size: w.size(now), giveUp: giveUp, name: s.template.name, watch: w}
	v.timer = time.AfterFunc(tick, v.keep)
	return v
}

// end ends the vigil; false means that the script was given up before.
func (v *vigil) end() bool {
	v.timer.Stop()
	if v.state.CompareAndSwap(running, ended) {
		return true
	}
	v.state.Store(over)
	time.AfterFunc(tick, debug.FreeOSMemory) // sends may be in flight in this process, which is judged by what it has
	return false
}

// keep looks at a late script until it ends or is given up. It counts ticks,
// not time, once the script is told to end: a machine that slept is no loop.
func (v *vigil) keep() {
	var reason string
	memory := false
	ignored, sinceGC := 0, 0
	for ; v.state.Load() == running; time.Sleep(tick) {
		switch sinceGC--; {
		case reason != "":
			ignored++
			if v.giveUp == nil {
				if v.holds(lastMemory) {
					v.ceiling()
				}
				continue
			}
			if time.Duration(ignored)*tick <= grace && !v.holds(hardMemory) || !v.state.CompareAndSwap(running, givenUp) {
				continue
			}
			if memory && !v.holds(hardMemory) {
				reason = tookLonger(v.limit) // true by now, and whose the memory is is not known
			}
			go v.ceiling()
			v.giveUp(&relay.TemplateError{File: v.name, Fatal: true,
				Message: reason + " and could not be interrupted: the engine was busy in one call, such as a sort or a regular expression"})
			return
		case time.Since(v.started) >= v.limit:
			reason = tookLonger(v.limit)
		case sinceGC <= 0 && v.grown() > MaxMemory:
			sinceGC = 10 // a collection is not for nothing
			if memory = v.holds(MaxMemory); memory {
				reason = fmt.Sprintf("used more than %d MiB of memory", MaxMemory>>20)
				v.accused.Store(v.hasty || v.watch.shared())
			}
		}
		if reason != "" {
			v.rt.Interrupt(reason)
		}
	}
	if memory {
		debug.FreeOSMemory() // at once: the next script is measured against what lives
	}
}

// ceiling watches the memory of a script that does not end, mostly to the end of
// the process, and brings that end about when nothing else keeps the script from
// taking the machine's memory.
func (v *vigil) ceiling() {
	for !v.holds(lastMemory) {
		if v.state.Load() == over {
			return
		}
		time.Sleep(tick)
	}
	line, _ := json.Marshal(map[string]string{"@level": "error", "@message": fmt.Sprintf(
		"template %s used more than %d MiB of memory and could not be interrupted; the plugin ends at once", v.name, lastMemory>>20)})
	fmt.Fprintf(os.Stderr, "%s\n", line)
	os.Exit(1)
}

// grown is the growth with what may be garbage, from the least that lived: a
// script before may have left much.
func (v *vigil) grown() uint64 {
	all, live := heap()
	v.size = min(v.size, live)
	return max(all, v.size) - v.size
}

// holds reports whether the growth is more than a limit without the garbage of
// others, which is no fault of this script. The collector waits for a call of
// the engine that copies a long text, and then the script is in the next one,
// which may be many times as long. So where there is far more meanwhile, it is
// hasty, and may be wrong.
func (v *vigil) holds(limit uint64) bool {
	if v.grown() <= limit {
		return false
	}
	if v.hasty = false; v.watch == nil {
		runtime.GC()
		return v.grown() > limit
	}
	collected := make(chan struct{})
	go func() {
		runtime.GC()
		close(collected)
	}()
	for state := v.state.Load(); state != ended && state != over; state = v.state.Load() {
		if v.grown() > limit+MaxMemory {
			v.hasty = true
			return true
		}
		select {
		case <-collected:
			return v.grown() > limit
		case <-time.After(tick):
		}
	}
	return false
}

func tookLonger(limit time.Duration) string {
	return fmt.Sprintf("took longer than %d ms", limit.Milliseconds())
}
