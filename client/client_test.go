package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// scripted answers one request after the other and keeps what came.
type scripted struct {
	*httptest.Server
	answers []func(w http.ResponseWriter)
	bodies  []string
	tokens  []string
}

func newScripted(t *testing.T, answers ...func(http.ResponseWriter)) *scripted {
	s := &scripted{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.bodies, s.tokens = append(s.bodies, string(body)), append(s.tokens, r.Header.Get("Authorization"))
		s.answers[min(len(s.bodies), len(s.answers))-1](w)
	}))
	t.Cleanup(s.Close)
	return s
}

func says(status int, body string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for _, h := range headers {
			key, value, _ := strings.Cut(h, ": ")
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func hangsUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

var good = says(202, `{"id":"01","deliveries":2,"duplicate":false}`)

// impatient is a client that notes how long it would wait, and gives up after
// so many waits.
func impatient(t *testing.T, address string, waits int) (*Client, *[]time.Duration) {
	c, err := New(address, "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	var slept []time.Duration
	c.sleep = func(_ context.Context, d time.Duration) error {
		if slept = append(slept, d); len(slept) > waits {
			return context.DeadlineExceeded
		}
		return nil
	}
	return c, &slept
}

func TestSendTriesAgainWithTheSameBytes(t *testing.T) {
	s := newScripted(t, hangsUp, says(503, `{"detail":"relay is shutting down"}`, "Retry-After: 7"), says(502, "<html>"), says(429, "{}"), says(202, "no JSON"), good)
	c, slept := impatient(t, s.URL, 10)
	got, err := c.Send(t.Context(), Event{Type: "x", Title: "t"})
	if err != nil || got != (Accepted{ID: "01", Deliveries: 2}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if len(s.bodies) != 6 || len(slices.Compact(slices.Clone(s.bodies))) != 1 || s.tokens[5] != "Bearer s3cret" {
		t.Errorf("posted %q with %q", s.bodies, s.tokens)
	}
	var e struct{ ID, Time string }
	if err := json.Unmarshal([]byte(s.bodies[0]), &e); err != nil || len(e.ID) < 20 || e.Time == "" {
		t.Errorf("posted %s (%v)", s.bodies[0], err)
	}
	if len(*slept) != 5 || (*slept)[1] != 7*time.Second || (*slept)[0] > firstWait || (*slept)[4] <= firstWait {
		t.Errorf("waited %v", *slept)
	}
}

func TestSendGivesUp(t *testing.T) {
	s := newScripted(t, says(503, `{"detail":"the disk is full"}`))
	c, _ := impatient(t, s.URL, 2)
	_, err := c.Send(t.Context(), Event{ID: "k", Type: "x", Title: "t"})
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != 503 || err.Error() != "event k was not accepted in time: relay answered 503: the disk is full" || len(s.bodies) != 3 {
		t.Errorf("got %v after %d tries", err, len(s.bodies))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err = New(s.URL, ""); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Send(ctx, Event{Type: "x", Title: "t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSendIsRefused(t *testing.T) {
	for _, status := range []int{301, 400, 401, 409, 413} {
		s := newScripted(t, says(status, `{"detail":"nothing was accepted: $.title is required","errors":[{"path":"$.title","message":"is required"}]}`, "Location: /elsewhere"))
		c, slept := impatient(t, s.URL, 5)
		_, err := c.Send(t.Context(), Event{Type: "x"})
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != status || len(refused.Faults) != 1 || refused.Faults[0].Path != "$.title" || len(*slept) != 0 || len(s.bodies) != 1 {
			t.Errorf("%d: got %v after %d tries", status, err, len(s.bodies))
		}
	}
	c, _ := impatient(t, "", 0)
	if _, err := c.Send(t.Context(), Event{Data: map[string]any{"f": func() {}}}); err == nil || !strings.HasPrefix(err.Error(), "encode event") {
		t.Errorf("got %v", err)
	}
}

func TestNew(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8750", "ftp://x", "http://", "://"} {
		if _, err := New(address, ""); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
	socket := filepath.Join(t.TempDir(), "r.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip(err) // the path of the temporary directory is too long for a socket
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { good(w) }))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	c, err := New("unix://"+socket, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Send(t.Context(), Event{Type: "x", Title: "t"}); err != nil || got.ID != "01" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func Example() {
	// A stand-in for relay; yours listens on http://127.0.0.1:8750.
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { good(w) }))
	defer relay.Close()

	c, err := New(relay.URL, "")
	if err != nil {
		panic(err)
	}
	accepted, err := c.Send(context.Background(), Event{
		ID:    "order-7", // posted twice, it is accepted once
		Type:  "order.placed",
		Level: "success",
		Title: "Order 7",
		Link:  "https://shop.example.com/orders/7",
		Data:  map[string]any{"total": 12.5},
	})
	var refused *Error
	switch {
	case errors.As(err, &refused):
		fmt.Println("relay does not want it:", refused.Detail)
	case err != nil:
		fmt.Println("relay is not there:", err)
	default:
		fmt.Println("on disk, for", accepted.Deliveries, "destinations")
	}
	// Output: on disk, for 2 destinations
}
