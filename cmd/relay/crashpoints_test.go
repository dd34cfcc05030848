package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestCrashPoints kills relay exactly between two things that belong together.
func TestCrashPoints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	for _, c := range []struct {
		point    string
		arrivals int // of the event that is on its way
	}{
		{"accepted", 1}, // the app posts again, and nothing doubles
		{"claimed", 1},  // nothing was sent
		{"sent", 2},     // nobody knows that it was sent
	} {
		t.Run(c.point, func(t *testing.T) {
			t.Parallel()
			h := newHook(t)
			dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
			p := startWrapped(t, dir, "env", "RELAY_CRASH_AT="+c.point+":3", "relay", "run")
			var base atomic.Value
			base.Store(p.base)
			b := newBooks()
			var wg sync.WaitGroup
			where := func() string { return base.Load().(string) }
			wg.Go(func() { // one after the other is recorded, so that it is the third that meets the point
				for n := range 6 {
					id := fmt.Sprint("e", n)
					b.post(where, id, event(id, 10), nil)
					poll(t, "it is recorded", func() bool {
						status, answer, err := call(where(), "GET", "/v1/deliveries?state=delivered", "")
						return err == nil && status == 200 && bytes.Count(answer, []byte(`"event_id"`)) == n+1
					}, p.log)
				}
			})
			if err := p.wait(); err == nil {
				t.Fatalf("relay ended in order:\n%s", p.log)
			}
			p = startRelay(t, dir)
			base.Store(p.base)
			wg.Wait()
			p.settled()
			p.account(b, h)
			for n := range 6 {
				want := 1
				if n == 2 {
					want = c.arrivals
				}
				if got := h.byID[fmt.Sprint("e", n)]; got != want {
					t.Errorf("event %d arrived %d times, want %d", n, got, want)
				}
			}
			if status := p.call("POST", "/v1/events", event("e2", 10), nil); status != 202 || len(p.rows()) != 6 {
				t.Errorf("the same id once more: %d, and %d deliveries", status, len(p.rows()))
			}
			p.stop()
		})
	}
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		h := newHook(t)
		dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL+"/old")})
		p := startWrapped(t, dir, "env", "RELAY_CRASH_AT=reload:1", "relay", "run")
		p.accept(event("one", 10))
		writeFile(t, filepath.Join(dir, "relay.yaml"), fmt.Sprintf(crashConfig, h.URL+"/new"))
		p.cmd.Process.Signal(syscall.SIGHUP)
		if err := p.wait(); err == nil {
			t.Fatalf("relay ended in order:\n%s", p.log)
		}
		p = startRelay(t, dir)
		p.accept(event("two", 10))
		p.settled()
		if states := p.states(); states["delivered"] != 2 {
			t.Errorf("got %v", states)
		}
		p.stop()
	})
}

// TestPluginsKilledUnderLoad kills every process of the plugin, the one for
// suspects too, every 200 ms while an app posts.
func TestPluginsKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel()
	kills := 25
	if *soak {
		kills = 500
	}
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)
	p.plugin("custom")
	b := newBooks()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	b.load(&wg, func() string { return p.base }, "issue.created", 4, stop)
	<-time.After(500 * time.Millisecond)
	before, _ := p.usage()
	killed := 0
	for range kills {
		<-time.After(200 * time.Millisecond)
		for _, one := range p.status().Plugins {
			if one.Name != "script" && one.PID > 0 && syscall.Kill(one.PID, syscall.SIGKILL) == nil {
				killed++
			}
		}
	}
	close(stop)
	wg.Wait()
	p.settled()
	rows := p.account(b, h)
	most := 0
	for _, r := range rows {
		if r.State != "delivered" {
			t.Errorf("delivery %s is %s after %d attempts: %s", r.ID, r.State, r.Attempts, r.Reason)
		}
		most = max(most, r.Attempts)
	}
	_, doubles := h.counts()
	t.Logf("%d processes killed, at most %d attempts a delivery", killed, most)
	if killed < kills/3 { // the others found nothing to kill: it was being started
		t.Errorf("only %d processes were killed: the test shows nothing", killed)
	}
	if bound := killed * 32; doubles > bound {
		t.Errorf("%d doubles are more than the %d that were on their way", doubles, bound)
	}
	p.flat(before)
	p.stop()
}

// TestSoakKilledRelay is TestKilledRelayLosesNothing for long: -soak.
func TestSoakKilledRelay(t *testing.T) {
	if !*soak {
		t.Skip("-soak runs it")
	}
	killRelay(t, 200)
}
