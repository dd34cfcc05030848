package intake_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/store"
)

// benchEvent is the event of bench/, about 600 bytes: as apps send it, and with
// the white space of the file.
func benchEvent(b *testing.B) (compact, spaced []byte) {
	b.Helper()
	spaced, err := os.ReadFile("../../bench/event.json")
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, spaced); err != nil {
		b.Fatal(err)
	}
	return out.Bytes(), spaced
}

func BenchmarkDecode(b *testing.B) {
	compact, spaced := benchEvent(b)
	now := time.Now()
	run := func(name string, body []byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := intake.DecodeForTest(body, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("compact", compact)
	run("spaced", spaced)
}

// BenchmarkEvents is the handler before a real store, asked by 64 senders at once.
func BenchmarkEvents(b *testing.B) {
	body, _ := benchEvent(b)
	d := newDoor(b, store.Options{})
	work := make(chan struct{})
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for range work {
				w := httptest.NewRecorder()
				d.events.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/events", bytes.NewReader(body)))
				if w.Code != http.StatusAccepted {
					b.Errorf("answered %d %s", w.Code, w.Body)
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	senders.Wait()
}
