package store_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFailedSync lets every sync of a child fail from some point on: it must
// stop promising and end, and what it promised must be there.
func TestFailedSync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace injects the fault, and is not installed")
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %s", out)
	}
	dir := t.TempDir()
	child := exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
		"-e", "inject=fsync,fdatasync:error=EIO:when=30+", executable)
	child.Env = append(os.Environ(), childStore+"="+dir)
	var said bytes.Buffer
	child.Stderr = &said
	out, err := child.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the child ended with %v: %s", err, &said)
	}
	if !strings.Contains(said.String(), "the disk failed") {
		t.Errorf("the child said %q", &said)
	}
	s := mustOpen(t, dir)
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		id, ok := strings.CutPrefix(lines.Text(), "accepted ")
		if !ok {
			continue
		}
		n++
		if _, err := s.Event(t.Context(), id); err != nil {
			t.Fatalf("event %s was promised: %v", id, err)
		}
	}
	if n == 0 {
		t.Error("nothing was accepted before the fault")
	}
}
