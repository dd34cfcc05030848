package post_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

func TestDo(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, want := range map[string]string{"User-Agent": "relay/" + post.Version(), "Content-Type": "application/json; charset=utf-8", "Accept-Encoding": ""} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append([]byte(r.Method+" "), body...))
	}))
	defer receiver.Close()
	answer, err := post.New(post.Options{}).Do(t.Context(), post.JSON(receiver.URL, []byte(`{"a":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusTeapot || string(answer.Body) != `POST {"a":1}` || answer.Header.Get("Retry-After") != "3" {
		t.Errorf("got %+v %s", answer, answer.Body)
	}
}

func TestRequestsOwnUserAgentWins(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.UserAgent())
	}))
	defer receiver.Close()
	r := post.JSON(receiver.URL, nil)
	r.Header.Set("User-Agent", "Robot (x, 1)")
	answer, err := post.New(post.Options{}).Do(t.Context(), r)
	if err != nil || string(answer.Body) != "Robot (x, 1)" {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	var calls atomic.Int32
	for _, location := range []string{"/elsewhere", "https://example.com/%zz", ""} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if location != "" {
					w.Header()["Location"] = []string{location}
				}
				w.WriteHeader(status)
			}))
			calls.Store(0)
			answer, err := post.New(post.Options{}).Do(t.Context(), post.JSON(receiver.URL, []byte("{}")))
			if err != nil || answer.Status != status || answer.Header.Get("Location") != location {
				t.Errorf("%d %q: got %+v, %v", status, location, answer, err)
			}
			if calls.Load() != 1 {
				t.Errorf("%d %q: %d calls", status, location, calls.Load())
			}
			receiver.Close()
		}
	}
}

func TestAnswerIsBounded(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, 200<<10))
	}))
	defer receiver.Close()
	answer, err := post.New(post.Options{}).Do(t.Context(), post.JSON(receiver.URL, []byte("{}")))
	if err != nil || len(answer.Body) != 64<<10 {
		t.Errorf("got %d bytes, %v", len(answer.Body), err)
	}
}

// rawServer gives each connection to serve, and counts the requests that
// arrive. It ends with the test.
type rawServer struct {
	url      string
	requests atomic.Int32
}

func serveRaw(t *testing.T, serve func(s *rawServer, number int, conn net.Conn, in *bufio.Reader)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "http://" + listener.Addr().String() + "/secret-path"}
	over, end := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(over, func() { conn.Close() })()
				serve(s, number, conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { listener.Close(); end(); wait.Wait() })
	return s
}

// read takes one request.
func (s *rawServer) read(in *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return false
	}
	s.requests.Add(1)
	return true
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// A connection that dies after the request was written is not tried again, not
// even by net/http, which would replay a request with this header.
func TestWrittenRequestIsNotSentTwice(t *testing.T) {
	s := serveRaw(t, func(s *rawServer, number int, conn net.Conn, in *bufio.Reader) {
		for i := 0; s.read(in); i++ {
			if number == 1 && i == 1 {
				return // the second request on the first connection: taken, not answered
			}
			_, _ = io.WriteString(conn, okAnswer)
		}
	})
	client := post.New(post.Options{})
	r := post.JSON(s.url, []byte("{}"))
	r.Header.Set("Idempotency-Key", "k")
	if _, err := client.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err := client.Do(t.Context(), r)
	var failed *post.Error
	if !errors.As(err, &failed) || !failed.Sent || failed.Report().Verdict != relay.Ambiguous {
		t.Errorf("got %v", err)
	}
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests arrived, want 2", n)
	}
	if strings.Contains(err.Error(), "secret-path") {
		t.Errorf("the error shows the URL: %v", err)
	}
	if _, err := client.Do(t.Context(), r); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// A receiver that closes its connections when they are idle gets every request
// at most once, and what was not answered was reported so.
func TestReceiverThatClosesIdleConnections(t *testing.T) {
	s := serveRaw(t, func(s *rawServer, _ int, conn net.Conn, in *bufio.Reader) {
		if s.read(in) {
			_, _ = io.WriteString(conn, okAnswer) // without "Connection: close"
		}
	})
	client := post.New(post.Options{})
	answered, unknown := 0, 0
	for range 200 {
		_, err := client.Do(t.Context(), post.JSON(s.url, []byte("{}")))
		var failed *post.Error
		switch {
		case err == nil:
			answered++
		case errors.As(err, &failed) && failed.Sent:
			unknown++
		default:
			t.Fatalf("got %v", err)
		}
	}
	if n := int(s.requests.Load()); n < answered || n > answered+unknown {
		t.Errorf("%d arrived, %d were answered, %d are unknown", n, answered, unknown)
	}
	if answered < 100 {
		t.Errorf("only %d of 200 were answered", answered)
	}
}

// A connection that breaks before the request is a blip, and is bridged.
func TestBlipIsBridged(t *testing.T) {
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	flaky := &flakyListener{Listener: receiver.Listener, bad: 2}
	receiver.Listener = flaky
	receiver.Config.ErrorLog = log.New(io.Discard, "", 0)
	receiver.StartTLS()
	defer receiver.Close()
	roots := x509.NewCertPool()
	roots.AddCert(receiver.Certificate())
	answer, err := post.New(post.Options{RootCAs: roots}).Do(t.Context(), post.JSON(receiver.URL, []byte("body")))
	if err != nil || string(answer.Body) != "body" {
		t.Fatalf("got %+v, %v", answer, err)
	}
	if n := flaky.accepted.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// flakyListener closes its first connections before a word was said.
type flakyListener struct {
	net.Listener
	bad      int32
	accepted atomic.Int32
}

func (l *flakyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && l.accepted.Add(1) <= l.bad {
		conn.Close()
	}
	return conn, err
}

func TestNothingWrittenIsTemporary(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		url  string
		want string
	}{
		"refused":     {t.Context(), "http://" + listener.Addr().String() + "/secret-path", "connection refused"},
		"certificate": {t.Context(), untrusted.URL + "/secret-path", "certificate"},
		"cancelled":   {cancelled, untrusted.URL + "/secret-path", "cancelled"},
	} {
		_, err := post.New(post.Options{}).Do(c.ctx, post.JSON(c.url, []byte("{}")))
		var failed *post.Error
		if !errors.As(err, &failed) || failed.Sent || failed.Report().Verdict != relay.Temporary {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret-path") {
			t.Errorf("%s: got %q", name, err)
		}
	}
}

func TestBadRequestIsRefused(t *testing.T) {
	_, err := post.New(post.Options{}).Do(t.Context(), post.JSON("http://h/secret-path\x7f", nil))
	var failed *post.Error
	if !errors.As(err, &failed) || failed.Report().Verdict != relay.MessageRefused || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("got %v", err)
	}
}

func TestNoAnswerIsAmbiguous(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		hang   bool
		want   string
		status int
	}{
		"timeout":                 {"", true, "timeout: no answer within", 0},
		"closed":                  {"", false, "the connection broke", 0},
		"no HTTP":                 {"hello\r\n\r\n", false, "malformed HTTP", 0},
		"broke off":               {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", false, "the connection broke", 200},
		"broke off while chunked": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false, "the connection broke", 200},
		"timeout in the answer":   {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", true, "timeout", 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveRaw(t, func(s *rawServer, _ int, conn net.Conn, in *bufio.Reader) {
				if !s.read(in) {
					return
				}
				_, _ = io.WriteString(conn, c.answer)
				if c.hang {
					_, _ = in.ReadByte() // until the client goes away
				}
			})
			ctx := t.Context()
			if c.hang {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			answer, err := post.New(post.Options{}).Do(ctx, post.JSON(s.url, []byte("{}")))
			var failed *post.Error
			if !errors.As(err, &failed) || !failed.Sent || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret-path") {
				t.Fatalf("got %v", err)
			}
			if (answer != nil) != (c.status != 0) || answer != nil && (answer.Status != c.status || string(answer.Body) != "half") {
				t.Errorf("got %+v", answer)
			}
			if n := s.requests.Load(); n != 1 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}

// go-retryablehttp closes all idle connections after a failure; one dead
// vendor must not cost the others theirs.
func TestDeadVendorLeavesOthersTheirConnections(t *testing.T) {
	var connections atomic.Int32
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	receiver.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	receiver.Start()
	defer receiver.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	client := post.New(post.Options{})
	for range 3 {
		if _, err := client.Do(t.Context(), post.JSON(receiver.URL, []byte("{}"))); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Do(t.Context(), post.JSON(dead.URL, []byte("{}"))); err == nil {
			t.Fatal("a dead vendor answered")
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestManyInFlight(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer receiver.Close()
	client := post.New(post.Options{})
	header := http.Header{"X-Shared": {"v"}} // destinations share one header over all requests
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			for range 5 {
				answer, err := client.Do(t.Context(), &plugin.Request{URL: receiver.URL, Header: header, Body: []byte("x")})
				if err != nil || string(answer.Body) != "x" {
					t.Errorf("got %+v, %v", answer, err)
				}
			}
		})
	}
	wait.Wait()
	if len(header) != 1 {
		t.Errorf("the shared header was changed: %v", header)
	}
}

func BenchmarkDo(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer receiver.Close()
	body := []byte(strings.Repeat("x", 600))
	b.Run("post", func(b *testing.B) {
		client := post.New(post.Options{})
		r := post.JSON(receiver.URL+"/services/x", body)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.Do(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("send", func(b *testing.B) {
		client := post.New(post.Options{})
		masker := &relay.Masker{}
		masker.Add("a secret of some length", "another secret", "https://hooks.example.com/services/x", "T000000000", "B000000000")
		r := post.JSON(receiver.URL+"/services/x", body)
		b.ReportAllocs()
		for b.Loop() {
			client.Send(b.Context(), masker, r, func(a *post.Answer) relay.Report { return post.ByStatus(a, time.Time{}) })
		}
	})
	b.Run("net/http", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
		b.ReportAllocs()
		for b.Loop() {
			r, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, receiver.URL+"/services/x", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
			resp, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
	})
}
