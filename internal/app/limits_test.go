package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// door serves a handler within limits and returns its address.
func door(t *testing.T, l limits, h http.HandlerFunc) string {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := l.server(h, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l.listener(inner)) }()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return inner.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil { // the test's patience
		t.Fatal(err)
	}
	return c
}

// ample are limits that no test reaches.
func ample() limits {
	return limits{header: time.Minute, body: time.Minute, idle: time.Minute, answer: time.Minute, bytes: 64 << 10, connections: 100}
}

const short = 50 * time.Millisecond

// cut expects that the other side ends the connection.
func cut(t *testing.T, c net.Conn) string {
	t.Helper()
	answer, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("the connection is still open")
	}
	return string(answer)
}

func TestSlowClientsAreCut(t *testing.T) {
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		l := ample()
		l.header = short
		c := dial(t, door(t, l, func(http.ResponseWriter, *http.Request) { t.Error("served") }))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		cut(t, c)
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		l := ample()
		l.body = short
		failed := make(chan error, 1)
		c := dial(t, door(t, l, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			failed <- err
		}))
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nsome")
		if err := <-failed; err == nil {
			t.Error("the body was read to its end")
		}
		cut(t, c)
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		l := ample()
		l.idle = short
		c := dial(t, door(t, l, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if answer := cut(t, c); !strings.HasSuffix(answer, "ok") {
			t.Errorf("answered %q", answer)
		}
	})
	t.Run("reader", func(t *testing.T) {
		t.Parallel()
		l := ample()
		l.answer = short
		failed := make(chan error, 1)
		c := dial(t, door(t, l, func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for chunk := make([]byte, 1<<20); err == nil; { // more than any buffer between takes
				_, err = w.Write(chunk)
			}
			failed <- err
		}))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err := <-failed; err == nil {
			t.Error("everything was written")
		}
	})
	t.Run("long header", func(t *testing.T) {
		t.Parallel()
		l := ample()
		c := dial(t, door(t, l, func(http.ResponseWriter, *http.Request) { t.Error("served") }))
		go fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "+strings.Repeat("x", 100<<10)+"\r\n\r\n")
		if answer := cut(t, c); !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
			t.Errorf("answered %q", answer)
		}
	})
}

// TestLongAnswer: who reads has as long as it takes.
func TestLongAnswer(t *testing.T) {
	l := ample()
	l.answer = short
	c := dial(t, door(t, l, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*short)
		defer cancel()
		<-ctx.Done() // as an attempt takes its time
		io.WriteString(w, "ok")
	}))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if answer := cut(t, c); !strings.HasSuffix(answer, "ok") {
		t.Errorf("answered %q", answer)
	}
}

// TestConnectionsAreLimited: what is too much waits until another one ends.
func TestConnectionsAreLimited(t *testing.T) {
	l := ample()
	l.connections = 2
	address := door(t, l, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	ask := func(c net.Conn) error {
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err
	}
	first, second, third := dial(t, address), dial(t, address), dial(t, address)
	for _, c := range []net.Conn{first, second} {
		if err := ask(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := third.SetReadDeadline(time.Now().Add(2 * short)); err != nil {
		t.Fatal(err)
	}
	if err := ask(third); err == nil {
		t.Error("a third connection is served beside two")
	}
	first.Close()
	if err := third.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(third), nil); err != nil {
		t.Errorf("the third connection is not served after the first ended: %v", err)
	}
}
