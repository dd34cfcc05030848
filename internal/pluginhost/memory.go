package pluginhost

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
)

// residentSize is the memory of a process that is in RAM, in bytes; 0: unknown.
func residentSize(pid int) int64 {
	if pid <= 0 {
		return 0
	}
	if runtime.GOOS == "linux" {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			return 0
		}
		if fields := bytes.Fields(data); len(fields) > 1 {
			pages, _ := strconv.ParseInt(string(fields[1]), 10, 64) // no number: unknown
			return pages * int64(os.Getpagesize())
		}
		return 0
	}
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0
	}
	kib, _ := strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
	return kib << 10
}
