package main

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpuTimes is the CPU time of relay's processes, by what they do.
type cpuTimes map[string]time.Duration

func (c cpuTimes) total() time.Duration {
	var sum time.Duration
	for _, d := range c {
		sum += d
	}
	return sum
}

func keys(c cpuTimes) iter.Seq[string] { return maps.Keys(c) }

// cpu reads user and system time of relay and its children from /proc, or asks
// ps where there is no /proc.
func (r *running) cpu() (cpuTimes, error) {
	out := cpuTimes{}
	for name, pid := range r.processes() {
		t, err := processTime(pid)
		if err != nil {
			return nil, err
		}
		out[name] += t
	}
	return out, nil
}

// processes are relay and its plugins.
func (r *running) processes() map[string]int {
	all := map[string]int{"relay": r.cmd.Process.Pid}
	list, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return all
	}
	for line := range strings.Lines(string(list)) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == strconv.Itoa(r.cmd.Process.Pid) && f[3] == "plugin" {
			if pid, err := strconv.Atoi(f[0]); err == nil {
				all["plugin "+f[5]] = pid
			}
		}
	}
	return all
}

// clockTicks is USER_HZ, which Linux has fixed at 100 for user space.
const clockTicks = 100

func processTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return psTime(pid)
	}
	// The fields after the name, which is in parentheses and may hold spaces.
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read the CPU time of process %d", pid)
	}
	return time.Duration(user+system) * time.Second / clockTicks, nil
}

// psTime reads "minutes:seconds.hundredths", as on macOS.
func psTime(pid int) (time.Duration, error) {
	out, err := exec.Command("ps", "-o", "time=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ask ps for the CPU time of process %d: %w", pid, err)
	}
	minutes, seconds, _ := strings.Cut(strings.TrimSpace(string(out)), ":")
	m, err1 := strconv.Atoi(minutes)
	s, err2 := strconv.ParseFloat(seconds, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("ps gives the CPU time of process %d as %q", pid, out)
	}
	return time.Duration(m)*time.Minute + time.Duration(s*float64(time.Second)), nil
}

// memory is the resident memory of every process: RSS, and PSS where the
// system tells, which counts shared pages once.
func (r *running) memory() string {
	var parts []string
	rss, pss := 0, 0
	for name, pid := range r.processes() {
		status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
		if err != nil {
			return "not told by this system"
		}
		one := kilobytes(string(status), "Rss:")
		rss += one
		pss += kilobytes(string(status), "Pss:")
		parts = append(parts, fmt.Sprintf("%s %d MiB", name, one/1024))
	}
	return fmt.Sprintf("%d MiB resident, %d MiB with shared pages counted once (%s)", rss/1024, pss/1024, strings.Join(parts, ", "))
}

func kilobytes(text, key string) int {
	_, after, _ := strings.Cut(text, key)
	f := strings.Fields(after)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(f[0])
	return n
}
