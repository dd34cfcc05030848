package pluginhost_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// external is a third party's plugin: a script that starts the fake, and says in
// a variable which one it is.
func external(t *testing.T, dir, version string) string {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "relay-plugin-fake")
	text := fmt.Sprintf("#!/bin/sh\nRELAY_TEST_VERSION=%s exec %s plugin serve fake\n", version, executable)
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// running is a host with a third party's plugin that is ready.
func running(t *testing.T, o pluginhost.Options) (h *pluginhost.Host, p *pluginhost.Provider, dir string, ready <-chan string) {
	t.Helper()
	dir = t.TempDir()
	events := make(chan string, 100)
	o.OnReady, o.Copies, o.Settle = func(name string) { events <- name }, filepath.Join(dir, "copies"), 200*time.Millisecond
	h = newHost(t, o)
	source := pluginhost.Source{Name: "fake", File: external(t, dir, "1"), Dir: dir}
	asked, err := h.Ask(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if asked.Name != "fake" || !asked.Renders {
		t.Errorf("asked %+v", asked.Description)
	}
	p = h.Use(source)
	setup := pluginhost.Setup{
		Settings: []*pluginpb.Settings{{Revision: "s1", Destination: "d", Entry: "fake", Provider: []byte("{}"), Target: []byte("{}")}},
		Programs: []*relay.Program{{Name: "t.ts", Revision: "t1", Code: []byte(program)}},
	}
	if _, err := p.Apply(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	wait(t, events)
	return h, p, dir, events
}

// version is that of the process that delivers.
func version(t *testing.T, p *pluginhost.Provider) string {
	t.Helper()
	for line := range strings.Lines(wait(t, send(t, p, "env", 10*time.Second)).Receipt) {
		if v, ok := strings.CutPrefix(line, "RELAY_TEST_VERSION="); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// until waits for a condition that no signal tells.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within 30 s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A changed executable takes over: what the old process had in flight is
// answered by it, what comes after goes to the new one.
func TestChangedExecutableTakesOver(t *testing.T) {
	h, p, dir, ready := running(t, pluginhost.Options{})
	inFlight := send(t, p, "wait", time.Second)
	external(t, dir, "2")
	h.Refresh()
	wait(t, ready)
	if got := version(t, p); got != "2" {
		t.Errorf("version %q delivers", got)
	}
	if r := wait(t, inFlight); r.Lost || r.Verdict != relay.Temporary {
		t.Errorf("what was in flight came back as %+v", r)
	}
	if s := p.Status(); s.State != pluginhost.StateReady || s.Restarts != 0 {
		t.Errorf("status %+v", s)
	}
	until(t, "the old copy is gone", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "copies", "*"))
		return err == nil && len(left) == 1
	})
}

// A bad executable is refused: by what it is, or by what it says of the settings
// that it would serve. The last good one goes on, also after it died.
func TestBadExecutableIsRefused(t *testing.T) {
	refuse := false
	h, p, dir, ready := running(t, pluginhost.Options{Accept: func(_ pluginhost.Description, settings []*pluginpb.Settings) error {
		if refuse && len(settings) == 1 {
			return errors.New("its schema refuses the settings of destination d")
		}
		return nil
	}})
	refuse = true
	external(t, dir, "2")
	h.Refresh()
	until(t, "the refusal", func() bool {
		return p.Status().Error == "a changed executable was refused: its schema refuses the settings of destination d"
	})
	if err := os.WriteFile(filepath.Join(dir, "relay-plugin-fake"), []byte("#!/bin/sh\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.Refresh()
	until(t, "the other refusal", func() bool { return strings.Contains(p.Status().Error, "ended before its handshake (exit status 3)") })
	if got := version(t, p); got != "1" {
		t.Errorf("version %q delivers", got)
	}
	wait(t, send(t, p, "exit", 10*time.Second))
	wait(t, ready)
	if got := version(t, p); got != "1" {
		t.Errorf("after its death version %q delivers", got)
	}
	if got := p.Status().Error; !strings.Contains(got, "a changed executable was refused: ") {
		t.Errorf("after its death nobody is told that disk and memory differ: %q", got)
	}
	refuse = false
	external(t, dir, "1")
	h.Refresh()
	until(t, "disk and memory are the same again", func() bool { return p.Status().Error == "" })
}

// A checksum that the file on disk has not is told as long as it lies there.
func TestChangedExecutableThatIsPinned(t *testing.T) {
	dir := t.TempDir()
	ready := make(chan string, 10)
	h := newHost(t, pluginhost.Options{Copies: filepath.Join(dir, "copies"), Settle: 50 * time.Millisecond, OnReady: func(name string) { ready <- name }})
	file := external(t, dir, "1")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := h.Use(pluginhost.Source{Name: "fake", File: file, Dir: dir, SHA256: fmt.Sprintf("%x", sha256.Sum256(text))})
	if _, err := p.Apply(t.Context(), setup()); err != nil {
		t.Fatal(err)
	}
	wait(t, ready)
	refused := func() bool { return strings.Contains(p.Status().Error, file+" has the checksum ") }
	external(t, dir, "2")
	h.Refresh()
	until(t, "the refusal", refused)
	wait(t, send(t, p, "exit", 10*time.Second))
	wait(t, ready)
	if got := version(t, p); got != "1" || !refused() {
		t.Errorf("after its death version %q delivers, status %+v", got, p.Status())
	}
	external(t, dir, "1")
	h.Refresh()
	until(t, "disk and memory are the same again", func() bool { return p.Status().Error == "" })
}

// What runs is the copy that was verified: one that somebody changed is not
// started again.
func TestChangedCopyIsNotStarted(t *testing.T) {
	_, p, dir, ready := running(t, pluginhost.Options{})
	copies, err := filepath.Glob(filepath.Join(dir, "copies", "*"))
	if err != nil || len(copies) != 1 {
		t.Fatal(copies, err)
	}
	if info, err := os.Stat(copies[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the copy is %v (%v)", info.Mode(), err)
	}
	if err := os.WriteFile(copies[0], []byte("#!/bin/sh\nexit 9\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	wait(t, send(t, p, "exit", 10*time.Second))
	wait(t, ready)
	if got := version(t, p); got != "1" {
		t.Errorf("version %q delivers", got)
	}
}

// A checksum is looked at before anything runs.
func TestChecksum(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, pluginhost.Options{Copies: filepath.Join(dir, "copies")})
	file := external(t, dir, "1")
	_, err := h.Ask(t.Context(), pluginhost.Source{Name: "fake", File: file, SHA256: strings.Repeat("0", 64)})
	if err == nil || !strings.Contains(err.Error(), file+" has the checksum ") {
		t.Errorf("a wrong checksum: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "copies", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
