package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/relay-sidecar/relay/internal/app"
)

// soak makes the fault tests long: go test ./cmd/relay -run Soak -soak
var soak = flag.Bool("soak", false, "run the long fault tests, too")

// crashAt makes a relay of these tests kill itself when it comes to a point for
// the nth time: "sent:3". Relay itself has no such switch.
func crashAt(at string) func(app.Point) {
	point, times, ok := strings.Cut(at, ":")
	n, err := strconv.Atoi(times)
	if !ok || err != nil {
		return nil
	}
	var left atomic.Int64
	left.Store(int64(n))
	return func(p app.Point) {
		if string(p) == point && left.Add(-1) == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing more happens until it is gone
		}
	}
}

// books keep what a test posted: relay's ids of what was answered 202.
type books struct {
	mu       sync.Mutex
	accepted map[string]string // relay's id → the sender's
	unknown  int               // posts without an answer
}

func newBooks() *books { return &books{accepted: map[string]string{}} }

// post posts one event until it is answered 202, as an app must: no answer, and
// an answer that asks to come again, leave open whether it is there. base says
// where relay is now. false: given up because stop was closed.
func (b *books) post(base func() string, id, body string, stop <-chan struct{}) bool {
	for {
		status, answer, err := call(base(), "POST", "/v1/events", body)
		if err == nil && status == http.StatusAccepted {
			var a struct{ ID string }
			if json.Unmarshal(answer, &a) == nil {
				b.mu.Lock()
				b.accepted[a.ID] = id
				b.mu.Unlock()
				return true
			}
		}
		b.mu.Lock()
		b.unknown++
		b.mu.Unlock()
		select {
		case <-stop:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// load posts events from several clients until stop is closed.
func (b *books) load(wg *sync.WaitGroup, base func() string, eventType string, clients int, stop <-chan struct{}) {
	for client := range clients {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%s-%d-%d", eventType, client, n)
				b.post(base, id, fmt.Sprintf(`{"id":%q,"type":%q,"title":"event %s"}`, id, eventType, id), stop)
			}
		})
	}
}

// row is a delivery of the sent log.
type row struct {
	ID          string
	EventID     string `json:"event_id"`
	Destination string
	State       string
	Reason      string
	Attempts    int
}

// rows reads the whole sent log.
func (p *relayProcess) rows() []row {
	p.t.Helper()
	var all []row
	for cursor := ""; ; {
		var page struct {
			Deliveries []row
			NextCursor string `json:"next_cursor"`
		}
		if status := p.call("GET", "/v1/deliveries?limit=500"+cursor, "", &page); status != http.StatusOK {
			p.t.Fatalf("reading the sent log: %d", status)
		}
		all = append(all, page.Deliveries...)
		if page.NextCursor == "" {
			return all
		}
		cursor = "&cursor=" + page.NextCursor
	}
}

// settled waits until nothing is on its way any more.
func (p *relayProcess) settled() {
	p.t.Helper()
	p.until("everything is recorded", func() bool {
		var list struct{ Destinations []struct{ Pending int } }
		p.call("GET", "/v1/destinations", "", &list)
		open := 0
		for _, d := range list.Destinations {
			open += d.Pending
		}
		return open == 0
	})
}

// account prints what became of everything that was accepted, and fails where
// somebody is missing: of every accepted event there is a delivery in exactly
// one state, and what is delivered has arrived. It returns the rows.
func (p *relayProcess) account(b *books, h *hook) []row {
	p.t.Helper()
	rows := p.rows()
	states, byEvent := map[string]int{}, map[string]int{}
	for _, r := range rows {
		states[r.State]++
		byEvent[r.EventID]++
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	doubled, known := 0, 0
	for id, sender := range b.accepted {
		if byEvent[id] != 1 {
			p.t.Errorf("event %s was accepted and has %d deliveries", sender, byEvent[id])
		}
	}
	for _, r := range rows {
		sender, ok := b.accepted[r.EventID]
		if !ok {
			continue // nobody was told that it was accepted
		}
		known++
		if r.State == "delivered" && h.byID[sender] == 0 {
			p.t.Errorf("event %s is recorded as delivered and never arrived", sender)
		}
	}
	for _, n := range h.byID {
		doubled += max(0, n-1)
	}
	p.t.Logf("account: accepted %d (and %d that no answer told of, in %d posts without one) = delivered %d + dead %d + expired %d + skipped %d + pending %d; %d arrived, and %d arrivals beyond the first of each",
		known, len(rows)-known, b.unknown, states["delivered"], states["dead"], states["expired"], states["skipped"],
		states["pending"]+states["sending"]+states["held"], len(h.byID), doubled)
	return rows
}

// usage is what a process has in use.
type usage struct {
	files  int
	memory int64 // MiB resident
}

// usage reads what relay has in use; ok: this system tells.
func (p *relayProcess) usage() (u usage, ok bool) {
	pid := p.cmd.Process.Pid
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, false
	}
	for line := range strings.Lines(string(status)) {
		if kib, found := strings.CutPrefix(line, "VmRSS:"); found {
			n, _ := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			u.memory = n >> 10
		}
	}
	u.files = len(fds)
	return u, true
}

// flat fails where relay has more in use than before, but for a little. The
// connections of clients are not relay's doing.
func (p *relayProcess) flat(before usage) {
	p.t.Helper()
	httpClient.CloseIdleConnections()
	var after usage
	deadline := time.Now().Add(10 * time.Second)
	for ok := true; ; {
		if after, ok = p.usage(); !ok {
			return
		}
		if after.files <= before.files+8 || time.Now().After(deadline) {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	p.t.Logf("in use: %d descriptors before, %d after; %d MiB before, %d after", before.files, after.files, before.memory, after.memory)
	if after.files > before.files+8 {
		p.t.Errorf("relay has %d descriptors open, %d before", after.files, before.files)
	}
	if after.memory > 2*before.memory+64 {
		p.t.Errorf("relay has %d MiB in use, %d before", after.memory, before.memory)
	}
}

// pause holds a destination's channel.
func (p *relayProcess) pause(destination string) {
	p.t.Helper()
	if status := p.call("POST", "/v1/destinations/"+destination+"/pause", `{}`, nil); status != http.StatusOK {
		p.t.Fatalf("pause answered %d", status)
	}
}
