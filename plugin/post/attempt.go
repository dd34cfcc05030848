package post

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
)

// attempt knows of one call of Do whether any byte of its request was written.
//
// net/http knows it too, but does not tell: its traces fire when bytes enter a
// buffer. So every connection counts what it writes, and the attempt compares
// the count of its connection with what stood there when it got it. net/http
// waits for the connection's writer before it returns an error, so the count
// is final by then.
type attempt struct {
	ctx      context.Context
	conn     *countedConn // the last connection; nil: there was none
	before   int64        // what conn had written before this request
	reused   bool
	location []string // of a redirect, see attemptTransport
}

// attemptKey finds the attempt in a request's context.
type attemptKey struct{}

func newAttempt(ctx context.Context) *attempt {
	a := &attempt{}
	ctx = context.WithValue(ctx, attemptKey{}, a)
	a.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.gotConn})
	return a
}

func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

// gotConn is called on the goroutine of the request.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	conn := info.Conn
	for {
		layer, ok := conn.(*tls.Conn)
		if !ok {
			break
		}
		conn = layer.NetConn()
	}
	a.conn, _ = conn.(*countedConn)
	a.reused = info.Reused
	if a.conn != nil {
		a.before = a.conn.written.Load()
	}
}

// sent reports whether a byte of the request was written.
func (a *attempt) sent() bool {
	return a.conn != nil && a.conn.written.Load() != a.before
}

// countedConn counts the bytes that the kernel took.
type countedConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// attemptTransport stands between the library and the connections. It hides
// CloseIdleConnections: go-retryablehttp calls that after every failure, so
// that one dead vendor would cost all others their connections. And it puts a
// redirect's Location aside: http.Client answers one that it cannot parse with
// an error in place of the answer.
type attemptTransport struct {
	next *atomic.Pointer[http.Transport]
}

var _ http.RoundTripper = attemptTransport{}

func (t attemptTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.Load().RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 3 {
		if a := attemptOf(req.Context()); a != nil {
			a.location = resp.Header["Location"]
			delete(resp.Header, "Location")
		}
	}
	return resp, nil
}

// checkBlip is go-retryablehttp's policy: again only where nothing was written
// and the failure is of the kind that passes.
func checkBlip(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil || ctx.Err() != nil {
		return false, nil
	}
	a := attemptOf(ctx)
	if a.sent() {
		return false, nil
	}
	if a.conn != nil && a.reused {
		a.conn = nil // the next connection is another one
		return true, nil
	}
	return passing(err), nil
}

// passing reports whether a failure to connect may be over in a moment.
func passing(err error) bool {
	for _, kind := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return true
		}
	}
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsTemporary
}
