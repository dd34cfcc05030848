package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const crashConfig = `
server: {listen: 127.0.0.1:0}
store: {path: ./store}
destinations:
  hook: {provider: custom, url: "%s", format: event}
`

// TestKilledRelayLosesNothing pulls the plug at random moments while an app
// posts: every event that was answered 202 is delivered, and doubles are at
// most what was claimed when relay died.
func TestKilledRelayLosesNothing(t *testing.T) { killRelay(t, 20) }

func killRelay(t *testing.T, kills int) {
	// Deliveries that may be claimed at a time: the custom provider's
	// concurrency and what is claimed ahead of it.
	const claimed = 32 * 4
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)
	var base atomic.Value
	base.Store(p.base)
	b := newBooks()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	b.load(&wg, func() string { return base.Load().(string) }, "issue.created", 8, stop)
	<-time.After(200 * time.Millisecond)
	before, _ := p.usage()
	for range kills {
		<-time.After(time.Duration(50+rand.IntN(350)) * time.Millisecond)
		p.kill()
		p = startRelay(t, dir)
		base.Store(p.base)
	}
	close(stop)
	wg.Wait()

	// What was accepted is delivered; what was never answered may be, too.
	p.settled()
	for _, r := range p.account(b, h) {
		if r.State != "delivered" {
			t.Errorf("delivery %s is %s (%s)", r.ID, r.State, r.Reason)
		}
	}
	if n := len(b.accepted); n < kills*10 {
		t.Errorf("only %d events were accepted: the test shows nothing", n)
	}
	if _, doubles := h.counts(); doubles > kills*claimed {
		t.Errorf("%d doubles are more than what was in flight", doubles)
	}
	p.flat(before)
	p.stop()
}

// TestKilledPluginLosesNothing kills the plugin's process in the middle of a
// load, several times: relay goes on by itself.
func TestKilledPluginLosesNothing(t *testing.T) {
	const (
		kills  = 5
		events = 2_000
	)
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)
	first, _ := p.plugin("custom")
	next := first
	for n := range events {
		if n%(events/(kills+1)) == events/(kills+1)-1 && n < events-10 {
			if err := syscall.Kill(next, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed := next
			p.until("another process serves", func() bool {
				next, _ = p.plugin("custom")
				return next != killed
			})
		}
		p.accept(fmt.Sprintf(`{"id":"e%d","type":"issue.created","title":"t"}`, n))
	}
	p.until("everything is delivered", func() bool { unique, _ := h.counts(); return unique == events })
	p.until("everything is recorded", func() bool {
		var page struct{ Deliveries []struct{ State string } }
		p.call("GET", "/v1/deliveries?state=pending", "", &page)
		pending := len(page.Deliveries)
		p.call("GET", "/v1/deliveries?state=sending", "", &page)
		return pending+len(page.Deliveries) == 0
	})
	_, restarts := p.plugin("custom")
	_, doubles := h.counts()
	t.Logf("%d kills of the plugin, %d events, %d doubled", restarts, events, doubles)
	if restarts != kills {
		t.Errorf("the plugin was restarted %d times, want %d", restarts, kills)
	}
	var dead struct{ Deliveries []struct{ Reason string } }
	if p.call("GET", "/v1/deliveries?state=dead", "", &dead); len(dead.Deliveries) > 0 {
		t.Errorf("%d dead, such as %+v", len(dead.Deliveries), dead.Deliveries[0])
	}
	p.stop()
}

// TestPluginsEndWithAKilledRelay shows that nothing is orphaned.
func TestPluginsEndWithAKilledRelay(t *testing.T) {
	h := newHook(t)
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)}))
	pid, _ := p.plugin("custom")
	p.kill()
	poll(t, "the plugin ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH || isZombie(pid) }, p.log)
}
