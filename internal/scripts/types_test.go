package scripts_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// typescript is the compiler that reads relay.d.ts here; editors bring their own.
const typescript = "typescript@7.0.2"

// TestTypes has the TypeScript compiler read relay.d.ts, every built-in template
// and testdata/types, which holds a message of each provider and two mistakes
// that it must find. It needs node, and the package registry once.
func TestTypes(t *testing.T) {
	var command []string
	if tsc, err := exec.LookPath("tsc"); err == nil {
		command = []string{tsc}
	} else if npx, err := exec.LookPath("npx"); err == nil {
		command = []string{npx, "--yes", "--package", typescript, "tsc"}
	} else {
		t.Skip("there is no node here")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], "--project", "testdata/types")...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	switch err := cmd.Run(); {
	case err != nil && strings.Contains(out.String(), "error TS"):
		t.Errorf("%v:\n%s", err, &out)
	case err != nil:
		t.Skipf("the TypeScript compiler does not run here: %v\n%s", err, &out)
	}
}
