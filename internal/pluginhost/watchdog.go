package pluginhost

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// watch notices a hung process: a delivery that is not answered within its
// timeout and graceTime. It is told to stop that delivery first. And it notices
// one that has outgrown its memory.
func (s *session) watch() {
	over := 0 // ticks in a row
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stream.Context().Done():
			return
		case <-s.proc.Conn.Exited.Done():
			return
		case now := <-tick.C:
			if s.overdue(now) {
				s.end(fmt.Errorf("plugin %s hangs: a delivery was not answered %s after its timeout", s.name, graceTime))
			}
			over = s.outgrown(over)
		}
	}
}

// overTicks is for how many seconds a process may be above its memory: a burst
// passes, and the collector has its chance.
const overTicks = 3

// peakTime is how long a process may have twice its memory: a render that is
// ended for what it takes gives it back at once, and the sends beside it are
// worth the wait.
const peakTime = time.Second

// outgrown ends a session whose process stays above its memory; what it holds
// is answered first. One that keeps twice as much is killed before the machine
// runs out of it. It returns for how many ticks the process has been above.
func (s *session) outgrown(over int) int {
	if s.memory <= 0 || runtime.GOOS != "linux" { // elsewhere a look costs a process
		return 0
	}
	resident := residentSize(s.proc.PID)
	if resident <= s.memory {
		return 0
	}
	far := resident > 2*s.memory
	if far {
		time.Sleep(peakTime)
		resident = residentSize(s.proc.PID)
		far = resident > 2*s.memory
	}
	if over++; over < overTicks && !far {
		return over
	}
	s.outgrew.Store(true)
	s.end(fmt.Errorf("plugin %s has %d MiB of memory in use, more than its bound of %d MiB", s.name, resident>>20, s.memory>>20))
	if far {
		syscall.Kill(-s.proc.PID, syscall.SIGKILL)
	}
	return over
}

// overdue cancels flights that are late and reports whether one is past hope.
func (s *session) overdue(now time.Time) (hung bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ticket, f := range s.inflight {
		late := now.Sub(f.deadline)
		if late > cancelTime && !f.cancelled {
			f.cancelled = true
			s.cancels = append(s.cancels, ticket)
			s.signal()
		}
		hung = hung || late > graceTime
	}
	return hung
}
