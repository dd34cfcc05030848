package main

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// heldLong is what /readyz tells of what is held for long.
func (p *relayProcess) heldLong() []string {
	p.t.Helper()
	var ready struct {
		Held []struct {
			Destinations       []string
			Kind, Part, Reason string
		}
	}
	if status := p.call("GET", "/readyz", "", &ready); status != http.StatusOK {
		p.t.Errorf("/readyz answers %d: what is held does not keep relay from accepting", status)
	}
	var all []string
	for _, h := range ready.Held {
		all = append(all, fmt.Sprintf("%s %s %s: %s", strings.Join(h.Destinations, "+"), h.Part, h.Kind, h.Reason))
	}
	return all
}

// alerts are the events that told a destination of what is held.
func (h *hook) alerts() (all []string) {
	for _, body := range h.all() {
		var e struct {
			Type, Title string
			Data        struct{ Kind, Part, Reason string }
		}
		if json.Unmarshal([]byte(body), &e) == nil && e.Type == "relay.destination_paused" {
			all = append(all, e.Title+" "+e.Data.Part+" "+e.Data.Kind+": "+e.Data.Reason)
		}
	}
	slices.Sort(all)
	return all
}

// TestHeldForLongIsTold: once for a pause, also over a restart; in the log, in
// /readyz and to another destination, never through the one that is held.
func TestHeldForLongIsTold(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
			return
		}
		io.WriteString(w, `{"code":0}`)
	}
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store, max_pending_per_destination: 3}
alerts: {after: 300ms, destination: ops}
x-hook: &hook {provider: custom, format: event}
destinations:
  ops:  {<<: *hook, url: "%[1]s/ops", events: [issue.created]}
  gone: {<<: *hook, url: "%[1]s/gone", events: [issue.updated]}
  full: {<<: *hook, url: "%[1]s/full", events: [issue.approved]}
`, h.URL)})
	p := startRelay(t, dir)
	if got := p.heldLong(); len(got) > 0 {
		t.Errorf("nothing is held, and /readyz says %q", got)
	}
	p.accept(`{"type":"issue.updated","title":"t"}`)
	p.pause("full")
	for range 5 {
		p.accept(`{"type":"issue.approved","title":"t"}`)
	}
	gone, paused, full := "gone channel paused: status 410 Gone", "full channel paused: paused by an operator", "full channel full: backlog full"
	p.until("it is told", func() bool { return len(h.alerts()) == 3 })
	want := []string{full, paused, gone}
	slices.Sort(want)
	if got := h.alerts(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	got := p.heldLong()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("/readyz tells of %q, want %q", got, want)
	}
	if n := strings.Count(p.log.String(), `msg="held for long"`); n != 3 {
		t.Errorf("the log says it %d times, want 3 times:\n%s", n, p.log)
	}
	// The one that is to be told is held itself: not through itself.
	p.pause("ops")
	p.until("the log says so", func() bool { return strings.Contains(p.log.String(), "ops is held itself") })
	p.stop()
	p = startRelay(t, dir)
	p.until("the log of the next run says it", func() bool { return strings.Count(p.log.String(), `msg="held for long"`) >= 4 })
	p.call("POST", "/v1/destinations/ops/resume", "{}", nil)
	p.accept(`{"id":"last","type":"issue.created","title":"t"}`)
	p.until("ops goes on", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.byID["last"] == 1 })
	if got := h.alerts(); len(got) != 4 || !slices.Contains(got, "full channel full: backlog full") {
		// The backlog is counted from the start of a run on, so it is told anew.
		t.Errorf("after a restart it was told %q", got)
	}
	p.call("POST", "/v1/destinations/full/resume", "{}", nil)
	p.until("it is over", func() bool { return slices.Equal(p.heldLong(), []string{gone}) })
	p.stop()
}

// TestPluginThatCannotBeStarted: its destinations are held where everybody sees
// it, others go on, a start is not blocked, and it goes on by itself.
func TestPluginThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL) + "alerts: {after: 100ms}\n"})
	own := filepath.Join(dir, "relay")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, self, own)
	p := startWrapped(t, dir, own, "run")
	pid, _ := p.plugin("custom")
	away := own + ".away"
	if err := os.Rename(own, away); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	p.until("the plugin is gone", func() bool { return p.status().Plugins[0].PID != pid })
	p.accept(event("waits", 0))
	p.until("it is held", func() bool {
		var page struct {
			Deliveries []struct{ State, Reason string }
		}
		p.call("GET", "/v1/deliveries?state=held", "", &page)
		return len(page.Deliveries) == 1 && page.Deliveries[0].Reason == "plugin unavailable"
	})
	var list struct {
		Destinations []struct{ State, Reason string }
	}
	if p.call("GET", "/v1/destinations", "", &list); list.Destinations[0].State != "paused" ||
		!strings.HasPrefix(list.Destinations[0].Reason, "plugin unavailable: the built-in plugin custom does not exist") {
		t.Errorf("the destination shows as %+v", list.Destinations)
	}
	p.until("/readyz says it, and why", func() bool {
		all := p.heldLong()
		return len(all) == 1 && strings.HasPrefix(all[0], "hook channel unavailable: plugin unavailable: the built-in plugin custom does not exist")
	})
	out, err := exec.Command("relay", "destinations", "test", "hook", "--server", p.base).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "relay: hint: what is wrong with its plugin says: relay plugin list") || strings.Contains(string(out), "resume") {
		t.Errorf("relay destinations test (%v):\n%s", err, out)
	}
	if err := os.Rename(away, own); err != nil {
		t.Fatal(err)
	}
	p.until("it is delivered", func() bool { return p.states()["delivered"] == 2 })
	p.stop()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if os.Link(from, to) == nil {
		return
	}
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestReserve fills the disk while deliveries are on their way: their verdicts
// find the room that was kept for them, so that nothing is sent twice.
func TestReserve(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	config := strings.Replace(fmt.Sprintf(crashConfig, h.URL), "./store}", "./store, reserve: 4MiB}", 1)
	dir := workDir(t, map[string]string{"relay.yaml": config})
	disk := filepath.Join(dir, "store")
	mountSmallDisk(t, disk)
	p := startRelay(t, dir)
	b := newBooks()
	base := func() string { return p.base }
	const inFlight = 20
	arrived, release := make(chan struct{}, inFlight), make(chan struct{})
	h.mu.Lock()
	h.answer = func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		arrived <- struct{}{}
		<-release
		w.Write([]byte(`{"code":0}`))
	}
	h.mu.Unlock()
	for n := range inFlight {
		b.post(base, fmt.Sprint("e", n), event(fmt.Sprint("e", n), 4<<10), nil)
		<-arrived
	}
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	h.mu.Lock()
	h.answer = nil
	h.mu.Unlock()
	close(release)
	p.settled() // although the disk is full
	if status := p.call("POST", "/v1/events", event("refused", 4<<10), nil); status != http.StatusServiceUnavailable {
		t.Errorf("on a full disk POST answered %d", status)
	}
	if !strings.Contains(p.log.String(), "the reserve is given up") {
		t.Errorf("the reserve was not needed: the test shows nothing\n%s", p.log)
	}
	p.kill() // what was recorded is on disk
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p = startRelay(t, dir)
	b.post(base, "later", event("later", 4<<10), nil)
	p.settled()
	p.account(b, h)
	if _, doubles := h.counts(); doubles > 0 {
		t.Errorf("%d were sent twice", doubles)
	}
	if info, err := os.Stat(filepath.Join(disk, "relay.reserve")); err != nil || info.Size() != 4<<20 {
		t.Errorf("the reserve is not back: %v", err)
	}
	p.stop()
}

// TestUpgradeOfAStore runs relay on the store of an older one.
func TestUpgradeOfAStore(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	f, err := os.Open("../../internal/store/testdata/schema-1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "store", "relay.db"), string(content))
	p := startRelay(t, dir)
	p.until("what waited is delivered", func() bool { return p.states()["delivered"] == 4 })
	if got := p.states(); got["dead"] != 1 || got["held"] != 1 {
		t.Errorf("the log has %v", got)
	}
	for _, id := range []string{"retried", "pending", "sending"} {
		if h.byID[id] != 1 {
			t.Errorf("%s arrived %d times", id, h.byID[id])
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "store", "relay.db-schema-1")); err != nil {
		t.Errorf("no copy is left: %v", err)
	}
	p.stop()
}

// TestPoison: an event that ends its plugin's process is dead after three times
// alone, and what travelled with it arrives.
func TestPoison(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	var pid atomic.Int64
	h.answer = func(w http.ResponseWriter, r *http.Request, body []byte) {
		if strings.Contains(string(body), `"poison"`) {
			// The receiver plays a bug in the plugin: whoever sends this dies.
			if from := senderOf(r); from > 0 {
				pid.Store(int64(from))
				syscall.Kill(from, syscall.SIGKILL)
				<-r.Context().Done() // it dies before it reads an answer
			}
			return
		}
		<-time.After(20 * time.Millisecond)
		io.WriteString(w, `{"code":0}`)
	}
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)
	p.plugin("custom")
	b := newBooks()
	for n := range 60 {
		id := fmt.Sprint("e", n)
		if n == 30 {
			id = "poison"
		}
		b.post(func() string { return p.base }, id, event(id, 0), nil)
	}
	began := time.Now()
	p.settled()
	rows := p.account(b, h)
	if pid.Load() == 0 {
		t.Skip("this system does not tell who sends")
	}
	for _, r := range rows {
		want := "delivered"
		if b.accepted[r.EventID] == "poison" {
			want = "dead"
			if !strings.Contains(r.Reason, "died 3 times while it held this delivery alone") || r.Attempts > 4 {
				t.Errorf("the poison: %s after %d attempts", r.Reason, r.Attempts)
			}
		}
		if r.State != want {
			t.Errorf("%s is %s (%s)", b.accepted[r.EventID], r.State, r.Reason)
		}
	}
	t.Logf("all settled within %s", time.Since(began).Round(time.Millisecond))
	p.stop()
}

// senderOf is the process at the other end of a request's connection; 0: this
// system does not tell.
func senderOf(r *http.Request) int {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	// The same port may serve connections to other addresses, too.
	here := r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
	from, to, inode := tableAddress(r.RemoteAddr), tableAddress(here), ""
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[1] == from && f[2] == to {
			inode = "socket:[" + f[9] + "]"
		}
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == inode {
			var pid int
			fmt.Sscanf(link, "/proc/%d/", &pid)
			if pid != os.Getpid() {
				return pid
			}
		}
	}
	return 0
}

// tableAddress writes an IPv4 address as /proc/net/tcp does: the address as a
// number of this machine's byte order, the port as one of the network's.
func tableAddress(s string) string {
	a := netip.MustParseAddrPort(s)
	ip := a.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}
