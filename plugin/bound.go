package plugin

import (
	"math"
	"runtime/debug"
	"syscall"
)

// boundData keeps one call of a script from taking the machine's memory: a text
// can be made so long at once that nobody gets to look meanwhile, since the
// collector stops everything else until it is copied. Far beyond what relay lets
// the process have, the kernel refuses, and the process ends.
func boundData() {
	limit := debug.SetMemoryLimit(-1) // as relay says; it changes nothing
	if limit == math.MaxInt64 {
		return
	}
	most := uint64(max(leastData, 4*limit))
	var now syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &now) != nil || now.Cur < most {
		return
	}
	now.Cur = most
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &now) // where it cannot be, relay's look at the process is what there is
}

const leastData = 2 << 30
