package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestShutdownWaitsForWhatIsInFlight: SIGTERM lets a delivery end, records it
// and ends relay with exit code 0.
func TestShutdownWaitsForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	h.answer = func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		close(arrived)
		<-release
		w.Write([]byte(`{"code":0}`))
	}
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)
	p.accept(event("slow", 0))
	<-arrived
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.until("relay stops to listen", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-p.done:
		t.Fatalf("relay did not wait for the delivery: it ended with %v\n%s", err, p.log)
	default:
	}
	close(release)
	if err := p.wait(); err != nil {
		t.Errorf("relay ended with %v:\n%s", err, p.log)
	}
	h.mu.Lock()
	h.answer = nil
	h.mu.Unlock()
	p = startRelay(t, dir)
	if states := p.states(); states["delivered"] != 1 {
		t.Errorf("the delivery was not recorded: %v", states)
	}
	p.stop()
	if bodies := h.all(); len(bodies) != 1 {
		t.Errorf("it was sent %d times", len(bodies))
	}
}

// TestShutdownIsBounded: a receiver that never answers holds relay up for
// server.shutdown and not for its own timeout; its delivery is sent again.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	h.answer = func(http.ResponseWriter, *http.Request, []byte) {
		arrived <- struct{}{}
		<-release
	}
	config := strings.Replace(fmt.Sprintf(crashConfig, h.URL), "127.0.0.1:0}", "127.0.0.1:0, shutdown: 1s}", 1)
	dir := workDir(t, map[string]string{"relay.yaml": config})
	p := startRelay(t, dir)
	p.accept(event("stuck", 0))
	<-arrived
	asked := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		t.Errorf("relay ended with %v:\n%s", err, p.log)
	}
	// The rest of the time is for ending the plugins; the receiver's own timeout
	// is ten seconds.
	if took := time.Since(asked); took < time.Second || took > 8*time.Second {
		t.Errorf("relay took %s to end with server.shutdown: 1s:\n%s", took, p.log)
	}
	h.mu.Lock()
	h.answer = nil
	h.mu.Unlock()
	close(release)
	p = startRelay(t, dir)
	p.until("it is delivered after all", func() bool { return p.states()["delivered"] == 1 })
	p.stop()
}

// TestShutdownLosesNothing: while relay stops, an event is answered 202 and
// kept, or not answered 202.
func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	const posters = 8
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)

	// One request has begun when relay is told to stop, and ends afterwards.
	slow, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	body := event("slow", 100)
	fmt.Fprintf(slow, "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:50])

	var mu sync.Mutex
	var accepted []string
	warm := make(chan struct{})
	refusals := map[string]int{}
	var wg sync.WaitGroup
	for poster := range posters {
		wg.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d", poster, n)
				status, answer, err := call(p.base, "POST", "/v1/events", event(id, 0))
				mu.Lock()
				switch {
				case err != nil:
					refusals["no answer"]++
				case status == http.StatusAccepted:
					if accepted = append(accepted, id); len(accepted) == 100 {
						close(warm)
					}
				case status == http.StatusServiceUnavailable:
					refusals["503"]++
				default:
					t.Errorf("POST answered %d %s", status, answer)
				}
				mu.Unlock()
				if err != nil {
					return // relay listens no more
				}
			}
		})
	}
	<-warm
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	fmt.Fprint(slow, body[50:])
	var answer [1 << 10]byte
	n, err := slow.Read(answer[:])
	status := string(answer[:n])
	switch {
	case strings.HasPrefix(status, "HTTP/1.1 202 "):
		accepted = append(accepted, "slow")
	case err == nil && !strings.HasPrefix(status, "HTTP/1.1 503 "):
		t.Errorf("the slow request was answered %q", status)
	}
	if err := p.wait(); err != nil {
		t.Errorf("relay ended with %v:\n%s", err, p.log)
	}

	p = startRelay(t, dir)
	p.until("all of it arrives", func() bool { unique, _ := h.counts(); return unique >= len(accepted) })
	p.expectAll(h, accepted)
	p.stop()
	_, doubles := h.counts()
	t.Logf("%d events accepted, refused: %v, the slow one: %q, %d doubled", len(accepted), refusals, strings.SplitN(status, "\r\n", 2)[0], doubles)
	if doubles > 0 {
		t.Errorf("%d deliveries were made twice although relay stopped in order", doubles)
	}
}
