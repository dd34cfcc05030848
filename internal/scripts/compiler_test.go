package scripts_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
)

// inProcess is a Compiler without a child process. It remembers what it was
// asked to compile, and fails on entries that are told to crash it.
type inProcess struct {
	mu      sync.Mutex // guards asked
	asked   []string
	crashes string // an entry that ends the compiler's process
}

func (c *inProcess) Compile(_ context.Context, files map[string][]byte, entries []string) ([]scripts.Compiled, error) {
	if slices.Contains(entries, c.crashes) {
		return nil, errors.New("the script process ended")
	}
	c.mu.Lock()
	c.asked = append(c.asked, entries...)
	c.mu.Unlock()
	return scripts.Compile(files, entries), nil
}

// compileOne compiles files["entry"], whose name is entry.
func compileOne(t *testing.T, entry string, files map[string]string) scripts.Compiled {
	t.Helper()
	all := make(map[string][]byte)
	for name, source := range files {
		all[name] = []byte(source)
	}
	compiled := scripts.Compile(all, []string{entry})
	if len(compiled) != 1 || compiled[0].Name != entry {
		t.Fatalf("Compile(%q) = %+v, want one result of that name", entry, compiled)
	}
	return compiled[0]
}

// newTemplate compiles one file that imports nothing but "relay".
func newTemplate(t *testing.T, name, source string) *render.Template {
	t.Helper()
	c := compileOne(t, name, map[string]string{name: source})
	if len(c.Problems) > 0 {
		t.Fatalf("%s: %v", name, c.Problems)
	}
	template, err := render.New(relay.Program{Name: name, Code: c.Code})
	if err != nil {
		t.Fatal(err)
	}
	return template
}
