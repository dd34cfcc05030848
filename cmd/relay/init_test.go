package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inNamespace is the command that makes what follows process 1 of a PID
// namespace, as in a container. It skips the test where that is not allowed.
func inNamespace(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("unshare (util-linux) makes the PID namespace, and is not installed")
	}
	command := []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		command = append(command, "--user", "--map-root-user")
	}
	if out, err := exec.Command(command[0], append(command[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no PID namespace may be made here: %s", out)
	}
	return command
}

// children are the processes that a process has, by their names.
func children(t *testing.T, parent int) map[string]int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, rest, _ := strings.Cut(string(stat), " (")
		name, rest, _ := strings.Cut(rest, ") ")
		fields := strings.Fields(rest) // the state, the parent, …
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			found[name], _ = strconv.Atoi(pid)
		}
	}
	return found
}

// TestRelayIsProcessOne runs relay as a container does: it works, it reaps the
// orphans that the kernel gives it, and it obeys SIGTERM.
func TestRelayIsProcessOne(t *testing.T) {
	t.Parallel()
	namespace := inNamespace(t)
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	// The shell leaves two processes to the one that takes its place: an orphan
	// that lives on, and a child that has ended and was never waited for.
	start := `(sleep 1000 &); tail -f /dev/null & kill -9 $!; exec relay run`
	p := startWrapped(t, dir, append(namespace, "sh", "-c", start)...)
	init := children(t, p.cmd.Process.Pid)["relay"]
	if init == 0 {
		t.Fatalf("relay is not process 1: unshare has %v", children(t, p.cmd.Process.Pid))
	}

	p.accept(`{"type":"issue.created","title":"one"}`)
	p.until("it is delivered", func() bool { return len(h.all()) == 1 })

	first := children(t, init)
	orphan := first["sleep"]
	if orphan == 0 {
		t.Fatalf("process 1 has no orphan: %v", first)
	}
	for name, pid := range first {
		if isZombie(pid) {
			t.Errorf("%s, which ended before relay began, is still a zombie", name)
		}
	}
	if err := syscall.Kill(orphan, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A zombie would still take signals.
	p.until("the orphan is reaped", func() bool { return syscall.Kill(orphan, 0) == syscall.ESRCH })

	asked := time.Now()
	if err := syscall.Kill(init, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		t.Errorf("relay ended with %v:\n%s", err, p.log)
	}
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("the end took %s, more than server.shutdown", took)
	}
	if !strings.Contains(p.log.String(), "msg=stopped") {
		t.Errorf("relay did not stop in order:\n%s", p.log)
	}
}

// TestProcessOnePassesTheExitCodeOn: a container ends as relay does.
func TestProcessOnePassesTheExitCodeOn(t *testing.T) {
	t.Parallel()
	namespace := inNamespace(t)
	for _, test := range []struct {
		args []string
		code int
	}{
		{[]string{"version"}, 0},
		{[]string{"run", "-c", "nowhere.yaml"}, 1},
		{[]string{"nonsense"}, 2},
	} {
		cmd := exec.Command(namespace[0], append(append(namespace[1:], "relay"), test.args...)...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != test.code {
			t.Errorf("relay %s ended with %d, want %d: %s", strings.Join(test.args, " "), code, test.code, out)
		}
	}
}
