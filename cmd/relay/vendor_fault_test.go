package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// vendorConfig has a destination for every way in which a vendor can fail, and
// one whose vendor is well.
const vendorConfig = `
server: {listen: 127.0.0.1:0}
store: {path: ./store}
x-hook: &hook {provider: custom, format: event, timeout: 1s}
destinations:
  well:   {<<: *hook, url: "%[1]s/well", events: [well]}
  busy:   {<<: *hook, url: "%[1]s/busy", events: [busy]}
  hangs:  {<<: *hook, url: "%[1]s/hangs", events: [hangs]}
  before: {<<: *hook, url: "%[2]s/before", events: [before]}
  after:  {<<: *hook, url: "%[2]s/after", events: [after]}
  babble: {<<: *hook, url: "%[2]s/babble", events: [babble]}
`

// wire is a receiver below HTTP: it resets connections before or after it has
// read a request, or answers what is no HTTP. It notes every request that it
// has read in the hook.
func wire(t *testing.T, h *hook, ill *atomic.Bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		reset := func() { conn.(*net.TCPConn).SetLinger(0) } // close sends RST
		in := bufio.NewReader(conn)
		for {
			conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			line, err := in.Peek(len("POST /before"))
			if err != nil {
				return
			}
			if ill.Load() && strings.HasPrefix(string(line), "POST /before") {
				reset()
				return
			}
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			h.note(body)
			switch {
			case ill.Load() && req.URL.Path == "/after":
				reset()
				return
			case ill.Load() && req.URL.Path == "/babble":
				fmt.Fprint(conn, "SSH-2.0-not-http\r\n\x00\xff\r\n\r\n")
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"code\":0}")
		}
	}
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn) })
		}
	})
	return "http://" + l.Addr().String()
}

// TestVendorsFail has vendors that fail in every way for half a minute, beside
// one that is well and must not notice.
func TestVendorsFail(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel()
	const (
		illFor = 30 * time.Second
		each   = 40 // events for every vendor that fails
	)
	h := newHook(t)
	var ill atomic.Bool
	ill.Store(true)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		switch {
		case ill.Load() && r.URL.Path == "/busy":
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
		case ill.Load() && r.URL.Path == "/hangs":
			<-r.Context().Done()
		default:
			io.WriteString(w, `{"code":0}`)
		}
	}
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(vendorConfig, h.URL, wire(t, h, &ill))})
	p := startRelay(t, dir)
	p.plugin("custom")
	b := newBooks()
	base := func() string { return p.base }
	began := time.Now()
	for _, vendor := range []string{"busy", "hangs", "before", "after", "babble"} {
		for n := range each {
			id := fmt.Sprintf("%s-%d", vendor, n)
			b.post(base, id, fmt.Sprintf(`{"id":%q,"type":%q,"title":"t"}`, id, vendor), nil)
		}
	}
	before, _ := p.usage()
	waits := p.deliverBeside(b, h, func() bool { return time.Since(began) < illFor })
	ill.Store(false)
	p.settled()
	rows := p.account(b, h)
	by := map[string]map[string]int{}
	for _, r := range rows {
		if by[r.Destination] == nil {
			by[r.Destination] = map[string]int{}
		}
		by[r.Destination][r.State]++
		sender := b.accepted[r.EventID]
		switch arrived := h.byID[sender]; {
		case r.State == "dead" && !strings.HasPrefix(r.Reason, "outcome unknown after 3 ambiguous attempts"):
			t.Errorf("%s is dead: %s", sender, r.Reason)
		case arrived > r.Attempts:
			t.Errorf("%s arrived %d times in %d attempts", sender, arrived, r.Attempts)
		case (r.Destination == "after" || r.Destination == "babble" || r.Destination == "hangs") && arrived > 3:
			t.Errorf("%s arrived %d times, more than retry.ambiguous", sender, arrived)
		case (r.Destination == "before" || r.Destination == "well") && arrived > 1:
			t.Errorf("%s arrived %d times although nothing was in doubt", sender, arrived)
		}
	}
	t.Logf("by vendor: %v; the vendor that is well got %d, half within %s and all within %s", by, len(waits), waits[len(waits)/2], waits[len(waits)-1])
	if by["busy"]["delivered"] != each || by["well"]["delivered"] != len(waits) {
		t.Errorf("what is only late was given up: %v", by)
	}
	if half := waits[len(waits)/2]; half > time.Second {
		t.Errorf("the vendor that is well waits %s beside the others", half)
	}
	p.flat(before)
	p.stop()
}

// deliverBeside posts to the vendor that is well, one event after the other as
// long as it shall, and returns how long each took to arrive, the shortest first.
func (p *relayProcess) deliverBeside(b *books, h *hook, goOn func() bool) []time.Duration {
	p.t.Helper()
	var waits []time.Duration
	for n := 0; goOn(); n++ {
		id := fmt.Sprint("well-", n)
		began := time.Now()
		b.post(func() string { return p.base }, id, fmt.Sprintf(`{"id":%q,"type":"well","title":"t"}`, id), nil)
		p.until("the vendor that is well gets "+id, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.byID[id] > 0 })
		waits = append(waits, time.Since(began))
		<-time.After(100 * time.Millisecond)
	}
	sort.Slice(waits, func(i, j int) bool { return waits[i] < waits[j] })
	return waits
}

// TestRetryAfterAnAmbiguousAnswer: the same bytes again, although the template
// was changed meanwhile; after a temporary failure what it says now.
func TestRetryAfterAnAmbiguousAnswer(t *testing.T) {
	t.Parallel()
	for status, resent := range map[int]bool{http.StatusGatewayTimeout: true, http.StatusServiceUnavailable: false} {
		h := newHook(t)
		var failed atomic.Bool
		h.answer = func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			if failed.Load() {
				io.WriteString(w, `{"code":0}`)
				return
			}
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(status)
		}
		template := `export default (e: any) => ({ id: e.id, word: "%s" });`
		dir := workDir(t, map[string]string{
			"relay.yaml": fmt.Sprintf(crashConfig, h.URL), "templates/default.ts": fmt.Sprintf(template, "old"),
		})
		p := startRelay(t, dir)
		p.accept(event("e", 0))
		p.until("it was tried", func() bool { return len(h.all()) == 1 && p.rows()[0].Attempts == 1 })
		failed.Store(true)
		writeFile(t, filepath.Join(dir, "templates/default.ts"), fmt.Sprintf(template, "new"))
		p.call("POST", "/v1/reload", "", nil)
		p.settled()
		bodies := h.all()
		if len(bodies) != 2 || (bodies[0] == bodies[1]) != resent {
			t.Errorf("after %d it sent %q", status, bodies)
		}
		var d struct {
			Log []struct{ Resent bool }
		}
		p.call("GET", "/v1/deliveries/"+p.rows()[0].ID, "", &d)
		if len(d.Log) != 2 || d.Log[0].Resent || d.Log[1].Resent != resent {
			t.Errorf("after %d the log says %+v", status, d.Log)
		}
		p.stop()
	}
}
