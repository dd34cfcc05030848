package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/relay-sidecar/relay"
)

// benchEvent is an event of about 600 bytes with one delivery. Keys are random,
// as senders' are, and cost a page of their index each.
func benchEvent(keyed bool) relay.Accepted {
	e := event(uuid.Must(uuid.NewV7()).String(), "a")
	e.Title = "a title of usual length for an event"
	e.Body = []byte(`{"id":"` + e.ID + `","description":"` + strings.Repeat("x", 540) + `"}`)
	if keyed {
		e.Key = uuid.NewString()
	}
	return e
}

// cpuTime is what this process used so far, user and system.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// perEvent reports what f cost for each of n events.
func perEvent(b *testing.B, n int, f func()) {
	b.ResetTimer()
	cpu := cpuTime()
	f()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1000/float64(n), "cpu-µs/event")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(n), "µs/event")
}

// BenchmarkAppend: callers of one event each, and slices of a hundred.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		callers, slice int
		keyed          bool
	}{{1, 1, false}, {64, 1, false}, {64, 1, true}, {1, 100, false}, {1, 100, true}} {
		b.Run(fmt.Sprintf("callers=%d/slice=%d/keyed=%t", c.callers, c.slice, c.keyed), func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			work := make([][][]relay.Accepted, c.callers)
			for i := range b.N {
				slice := make([]relay.Accepted, c.slice)
				for j := range slice {
					slice[j] = benchEvent(c.keyed)
				}
				work[i%c.callers] = append(work[i%c.callers], slice)
			}
			perEvent(b, b.N*c.slice, func() {
				var wg sync.WaitGroup
				for _, mine := range work {
					wg.Go(func() {
						for _, slice := range mine {
							if _, err := s.Append(b.Context(), slice); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

// BenchmarkStep: every step records what the last one claimed, with an attempt
// of about 1 KiB, and claims as many again.
func BenchmarkStep(b *testing.B) {
	for _, batch := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			var slice []relay.Accepted
			for i := range b.N {
				slice = append(slice, benchEvent(false))
				if len(slice) == 1000 || i == b.N-1 {
					mustAppend(b, s, slice...)
					slice = slice[:0]
				}
			}
			message := json.RawMessage(`{"text":"` + strings.Repeat("x", 400) + `"}`)
			perEvent(b, b.N, func() {
				var outcomes []relay.Outcome
				for done := 0; done < b.N; {
					claimed, _, err := s.Step(b.Context(), outcomes, []relay.ClaimRequest{{Lane: relay.Channel("a"), Limit: batch}})
					if err != nil {
						b.Fatal(err)
					}
					done += len(outcomes)
					outcomes = outcomes[:0]
					for _, c := range claimed {
						outcomes = append(outcomes, relay.Outcome{Seq: c.Seq, Claim: c.Claim, State: relay.StateDelivered, Attempt: &relay.Attempt{
							Started: relay.Time{Time: time.Now()}, DurationMS: 5, Template: "chat/issue.created.ts", TemplateRevision: "0123456789abcdef", Verdict: relay.Delivered,
							Message: message, Request: &relay.Request{Method: "POST", URL: "https://chat.example/<secret>", Body: string(message)},
							Response: &relay.Response{Status: 200, Body: "ok"},
						}})
					}
				}
			})
		})
	}
}
