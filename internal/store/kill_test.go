package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
)

// childStore names the store that this binary, run as a child, works on.
const childStore = "RELAY_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childStore); dir != "" {
		fmt.Fprintln(os.Stderr, "child:", work(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// work appends, claims and finishes until it is killed, and prints what the
// store has promised: "accepted ID" and "finished ID".
func work(dir string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, dir, store.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	var mu sync.Mutex // guards standard output: a line is written as a whole
	say := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	for i := range 8 {
		go func() { // ends with the process
			for n := 0; ; n++ {
				batch := make([]relay.Accepted, 1+n%3)
				for j := range batch {
					batch[j] = event(fmt.Sprintf("e-%d-%d-%d-%d", os.Getpid(), i, n, j), "a", "b")
					batch[j].Key = batch[j].ID
				}
				if _, err := s.Append(ctx, batch); err != nil {
					fail(err)
					return
				}
				for _, e := range batch {
					say("accepted", e.ID)
				}
			}
		}()
	}
	go func() { // ends with the process
		var outcomes []relay.Outcome
		var done []string
		for {
			claimed, _, err := s.Step(ctx, outcomes, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: 16}, {Lane: relay.Channel("b"), Limit: 4}})
			if err != nil {
				fail(err)
				return
			}
			for _, id := range done {
				say("finished", id)
			}
			outcomes, done = outcomes[:0], done[:0]
			for _, c := range claimed {
				if c.Destination == "b" { // stays claimed
					continue
				}
				outcomes = append(outcomes, relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StateDelivered,
					Attempt: &relay.Attempt{Attempt: c.Attempt, Verdict: relay.Delivered}})
				done = append(done, c.ID)
			}
		}
	}()
	return <-failed
}

// TestKill kills a process that works on a store, again and again, and looks
// for everything that it was promised.
func TestKill(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	var accepted, finished []string
	for range rounds {
		child := exec.Command(executable)
		child.Env = append(os.Environ(), childStore+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter := 1 + rand.IntN(300) // promises; the moment within a transaction is anyone's
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			if n == killAfter {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := lines.ReadString('\n')
			if err != nil {
				break // what has no line end was not promised
			}
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "accepted "); ok {
				accepted = append(accepted, id)
			} else if id, ok := strings.CutPrefix(strings.TrimSpace(line), "finished "); ok {
				finished = append(finished, id)
			}
		}
		var exit *exec.ExitError
		if err := child.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("the child was to be killed, and ended with %v", err)
		}
	}

	s := mustOpen(t, dir)
	sending, _, err := s.Deliveries(t.Context(), relay.DeliveryFilter{State: relay.StateSending})
	if err != nil || len(sending) != 0 {
		t.Errorf("%d deliveries are still being sent (%v)", len(sending), err)
	}
	for _, id := range accepted {
		e, err := s.Event(t.Context(), id)
		if err != nil || len(e.Deliveries) != 2 {
			t.Fatalf("event %s was promised: %d deliveries (%v)", id, len(e.Deliveries), err)
		}
	}
	for _, id := range finished {
		d, err := s.Delivery(t.Context(), id)
		if err != nil || d.State != relay.StateDelivered || d.Attempts != 1 || len(d.Log) != 1 {
			t.Fatalf("delivery %s was promised: %s after %d attempts (%v)", id, d.State, d.Attempts, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	integrity(t, dir)
	orphans(t, dir)
	t.Logf("%d kills, %d events and %d outcomes promised, none lost", rounds, len(accepted), len(finished))
}

// orphans wants every row to have the one that it belongs to, and every event
// all of its deliveries: nothing was half stored.
func orphans(t *testing.T, dir string) {
	t.Helper()
	for what, query := range map[string]string{
		"deliveries without event":          `SELECT count(*) FROM deliveries WHERE event_seq NOT IN (SELECT seq FROM events)`,
		"events without all deliveries":     `SELECT count(*) FROM events AS e WHERE deliveries <> (SELECT count(*) FROM deliveries WHERE event_seq = e.seq)`,
		"attempts without delivery":         `SELECT count(*) FROM attempts WHERE delivery_seq NOT IN (SELECT seq FROM deliveries)`,
		"deliveries without their attempts": `SELECT count(*) FROM deliveries AS d WHERE attempts <> (SELECT count(*) FROM attempts WHERE key >> 20 = d.seq AND key BETWEEN d.seq << 20 AND (d.seq + 1) << 20)`,
	} {
		var n int
		if err := raw(t, dir).QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d (%v)", what, n, err)
		}
	}
}
