package pluginhost_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/pluginhost"
)

// scripted is a third party's plugin that does something before it begins; every
// start of it adds a line to a file.
func scripted(t *testing.T, dir, name, first string) (s pluginhost.Source, starts func() int) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path, count := filepath.Join(dir, name), filepath.Join(dir, name+".starts")
	text := fmt.Sprintf("#!/bin/sh\necho started >> %s\n%s\nexec %s plugin serve fake\n", count, first, executable)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return pluginhost.Source{Name: "fake", File: path, Dir: dir}, func() int {
		lines, err := os.ReadFile(count)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(lines), "\n")
	}
}

// impatient asks without waiting.
func impatient(t *testing.T, h *pluginhost.Host, s pluginhost.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Ask(ctx, s); err == nil || !strings.HasSuffix(err.Error(), s.File+" is still being started") {
		t.Errorf("asked without patience: %v", err)
	}
}

// Who cannot wait for a plugin does not start it twice: the process that was
// asked serves the provider once it has said who it is.
func TestSlowCandidateIsTakenUp(t *testing.T) {
	ready := make(chan string, 10)
	dir := t.TempDir()
	h := newHost(t, pluginhost.Options{Copies: filepath.Join(dir, "copies"), OnReady: func(name string) { ready <- name }})
	slow, starts := scripted(t, dir, "slow", "while [ ! -e go ]; do sleep 0.02; done")
	impatient(t, h, slow)
	p := h.Use(slow)
	h.Forget()
	if _, err := p.Apply(t.Context(), setup()); err != nil {
		t.Fatal(err)
	}
	if p.Ready() {
		t.Error("it is ready before it has begun")
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, ready)
	if got := starts(); got != 1 {
		t.Errorf("%d starts", got)
	}

	// Another source takes over in the same way.
	if err := os.Remove(filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	other, starts := scripted(t, dir, "other", "while [ ! -e go ]; do sleep 0.02; done")
	impatient(t, h, other)
	if h.Use(other) != p {
		t.Error("another provider")
	}
	if _, err := p.Apply(t.Context(), setup()); err != nil {
		t.Fatal(err)
	}
	h.Forget()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, ready)
	if got := starts(); got != 1 || p.Status().State != pluginhost.StateReady {
		t.Errorf("%d starts; status %+v", got, p.Status())
	}
}

// A start that is not wanted any more is given up at once, whatever it waits
// for: when relay ends, when nobody uses who was asked, when relay.yaml says
// that the plugin comes from elsewhere.
func TestStartIsGivenUpAtOnce(t *testing.T) {
	most := func(what string, f func()) {
		t.Helper()
		before := time.Now()
		f()
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("%s took %s", what, took)
		}
	}
	ready := make(chan string, 10)
	dir := t.TempDir()
	h := newHost(t, pluginhost.Options{Copies: filepath.Join(dir, "copies"), OnReady: func(name string) { ready <- name }})
	silent, starts := scripted(t, dir, "silent", "sleep 600")
	p := h.Use(silent)
	until(t, "it is being started", func() bool {
		return p.Status().State == pluginhost.StateStarting && exists(filepath.Join(dir, "silent.starts"))
	})
	good, _ := scripted(t, dir, "good", "")
	h.Use(good)
	most("the way to another source", func() {
		if _, err := p.Apply(t.Context(), setup()); err != nil {
			t.Fatal(err)
		}
		wait(t, ready)
	})
	impatient(t, h, silent)
	until(t, "it is asked", func() bool { return starts() == 2 })
	h.Use(silent)
	if _, err := p.Apply(t.Context(), setup()); err != nil {
		t.Fatal(err)
	}
	most("the end", func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
