package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var pendingEvents = flag.Int("pending", 50_000, "how many deliveries TestManyPending lets wait")

const backlogConfig = `
server: {listen: 127.0.0.1:0}
store: {path: ./store, max_pending: 5000000, max_pending_per_destination: 5000000}
x-hook: &hook {provider: custom, format: event}
destinations:
  slow: {<<: *hook, url: "%[1]s/slow", events: [slow], rate: 20/m, concurrency: 1}
  well: {<<: *hook, url: "%[1]s/well", events: [well]}
`

// postMany posts events of a type, numbered from one number to before another,
// in arrays of 1,000. It returns how long each array took.
func (p *relayProcess) postMany(b *books, eventType string, from, to int) []time.Duration {
	p.t.Helper()
	var took []time.Duration
	for first := from; first < to; first += 1000 {
		var body bytes.Buffer
		for i := first; i < min(to, first+1000); i++ {
			sep := ","
			if i == first {
				sep = "["
			}
			fmt.Fprintf(&body, `%s{"id":"%s-%d","type":%q,"title":"t"}`, sep, eventType, i, eventType)
		}
		body.WriteString("]")
		began := time.Now()
		var answer []struct{ ID string }
		if status := p.call("POST", "/v1/events", body.String(), &answer); status != http.StatusAccepted {
			p.t.Fatalf("POST answered %d", status)
		}
		took = append(took, time.Since(began))
		if b != nil {
			for i, a := range answer {
				b.accepted[a.ID] = fmt.Sprintf("%s-%d", eventType, first+i)
			}
		}
	}
	return took
}

// TestRatedBacklog: 10,000 events wait for a destination that takes 20 a minute,
// next to one that does not notice; and the rate holds over restarts, one in
// order and one by SIGKILL.
func TestRatedBacklog(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel()
	const events = 10_000
	h := newHook(t)
	var mu sync.Mutex
	var slow []time.Time
	var order []string
	h.answer = func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.URL.Path == "/slow" {
			var e struct{ ID string }
			json.Unmarshal(body, &e)
			mu.Lock()
			slow, order = append(slow, time.Now()), append(order, e.ID)
			mu.Unlock()
		}
		io.WriteString(w, `{"code":0}`)
	}
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(backlogConfig, h.URL)})
	p := startRelay(t, dir)
	p.plugin("custom")
	b := newBooks()
	p.postMany(b, "slow", 0, events)
	before, _ := p.usage()
	n := 0
	waits := p.deliverBeside(b, h, func() bool { n++; return n <= 30 })
	p.flat(before)
	p.stop()
	p = startRelay(t, dir)
	p.plugin("custom")
	<-time.After(time.Second)
	p.kill()
	p = startRelay(t, dir)
	p.plugin("custom")
	watch := 5 * time.Second
	if *soak {
		watch = 3 * time.Minute // further windows; the tests of internal/delivery see them on a clock of their own
	}
	<-time.After(watch)
	mu.Lock()
	most := 0
	for i, from := range slow {
		within := 0
		for _, at := range slow[i:] {
			if at.Sub(from) < time.Minute {
				within++
			}
		}
		most = max(most, within)
	}
	for i, id := range order {
		if want := fmt.Sprintf("slow-%d", i); id != want {
			t.Errorf("number %d is %s: a backlog drains in order", i, id)
			break
		}
	}
	t.Logf("the slow one got %d over two restarts, at most %d within a minute; the other one %d, half within %s and all within %s",
		len(slow), most, len(waits), waits[len(waits)/2], waits[len(waits)-1])
	mu.Unlock()
	if most != 20 {
		t.Errorf("%d within a minute, the rate is 20", most)
	}
	if half := waits[len(waits)/2]; half > time.Second {
		t.Errorf("the other destination waits %s", half)
	}
	p.account(b, h)
	p.stop()
}

// TestManyPending lets deliveries wait by the ten thousand (-pending says how
// many): accepting does not get slower, memory does not grow with them, and
// what waits for one destination is nothing to another.
func TestManyPending(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(backlogConfig, h.URL)})
	p := startRelay(t, dir)
	p.plugin("custom")
	p.pause("slow")
	const warm = 5000
	p.postMany(nil, "slow", 0, warm)
	before, _ := p.usage()
	took := p.postMany(nil, "slow", warm, warm+*pendingEvents)
	tenth := max(1, len(took)/10)
	early, late := mean(took[:tenth]), mean(took[len(took)-tenth:])
	n := 0
	waits := p.deliverBeside(newBooks(), h, func() bool { n++; return n <= 20 })
	after, _ := p.usage()
	size := int64(0)
	for _, name := range []string{"relay.db", "relay.db-wal"} {
		if info, err := os.Stat(filepath.Join(dir, "store", name)); err == nil {
			size += info.Size()
		}
	}
	began := time.Now()
	p.kill()
	p = startRelay(t, dir)
	t.Logf("%d pending: 1,000 events accepted in %s at first and %s at last; %d MiB before, %d after; another destination is served in %s; %d MiB on disk; a start takes %s",
		*pendingEvents, early, late, before.memory, after.memory, waits[len(waits)/2], size>>20, time.Since(began).Round(time.Millisecond))
	if late > 3*early+100*time.Millisecond {
		t.Errorf("accepting got slower: 1,000 events in %s at first, %s at last", early, late)
	}
	if after.memory > 2*before.memory+64 {
		t.Errorf("memory grew from %d to %d MiB", before.memory, after.memory)
	}
	if half := waits[len(waits)/2]; half > time.Second {
		t.Errorf("another destination waits %s", half)
	}
	p.stop()
}

func mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return (sum / time.Duration(len(all))).Round(10 * time.Microsecond)
}

// TestMaxSize: a store above its size gives finished deliveries up, the oldest
// first, and nothing else.
func TestMaxSize(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel()
	h := newHook(t)
	config := fmt.Sprintf(crashConfig, h.URL)
	dir := workDir(t, map[string]string{"relay.yaml": config})
	p := startRelay(t, dir)
	b := newBooks()
	for n := range 300 {
		b.post(func() string { return p.base }, fmt.Sprint("e", n), event(fmt.Sprint("e", n), 16<<10), nil)
	}
	p.settled()
	p.pause("hook")
	p.accept(event("waits", 16<<10))
	p.stop()
	writeFile(t, filepath.Join(dir, "relay.yaml"), strings.Replace(config, "./store}", "./store, max_size: 6MiB}", 1))
	p = startRelay(t, dir)
	p.until("the store says that it is too large", func() bool {
		return strings.Contains(p.log.String(), "reached store.max_size") || strings.Contains(p.log.String(), "larger than store.max_size")
	})
	states := p.states()
	t.Logf("left of 300 delivered and one held: %v", states)
	if states["held"] != 1 || states["delivered"] < 20 || states["delivered"] > 200 {
		t.Errorf("left: %v\n%s", states, p.log)
	}
	if status := p.call("GET", "/v1/events?source=events&key=e299", "", nil); status != http.StatusOK {
		t.Error("the newest went")
	}
	if status := p.call("GET", "/v1/events?source=events&key=e0", "", nil); status != http.StatusNotFound {
		t.Error("the oldest is still there")
	}
	p.stop()
}
