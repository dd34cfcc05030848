package post

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/relay-sidecar/relay/plugin"
)

const (
	// maxAnswer bounds what is read of an answer: vendors answer in a few
	// hundred bytes, and the log keeps 16 KiB.
	maxAnswer = 64 << 10

	// idleConnections is how many connections to one host wait for reuse: as
	// many as a busy provider has deliveries in flight.
	idleConnections = 64

	// idleTimeout is shorter than what vendors and load balancers use (60 s and
	// more), so that it is relay that closes an idle connection: a request that
	// meets the vendor's close has an unknown outcome.
	idleTimeout = 45 * time.Second

	connectTimeout   = 5 * time.Second
	handshakeTimeout = 5 * time.Second

	// A blip is bridged by two more tries, after 50 and 100 ms. What lasts
	// longer is the store's to remember.
	blipRetries = 2
	blipWait    = 50 * time.Millisecond
	blipWaitMax = 100 * time.Millisecond
)

// Options make a Client. The zero Options are good.
type Options struct {
	UserAgent string         // default: relay/<version>; a request's own User-Agent header wins
	RootCAs   *x509.CertPool // default: the system's (SSL_CERT_FILE and SSL_CERT_DIR apply)
}

// Client sends requests over one pool of connections. A provider makes one and
// keeps it for all its destinations. It is safe for concurrent use.
type Client struct {
	retrying  *retryablehttp.Client
	userAgent string
	roots     *x509.CertPool
	transport atomic.Pointer[http.Transport]

	mu     sync.Mutex // guards the field below
	egress plugin.Egress
}

// New makes a Client. Nothing is opened until the first request.
func New(o Options) *Client {
	if o.UserAgent == "" {
		o.UserAgent = "relay/" + Version()
	}
	c := &Client{userAgent: o.UserAgent, roots: o.RootCAs}
	c.transport.Store(newTransport(o.RootCAs, plugin.Egress{}))
	c.retrying = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     attemptTransport{&c.transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     blipRetries,
		RetryWaitMin: blipWait,
		RetryWaitMax: blipWaitMax,
		Backoff:      retryablehttp.DefaultBackoff,
		CheckRetry:   checkBlip,
		// Without it the library words the error itself, URL included.
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return c
}

// newTransport is a pool of connections to where an egress lets them go.
func newTransport(roots *x509.CertPool, e plugin.Egress) *http.Transport {
	// HTTP/1.1 only: a connection then carries one request at a time, so that
	// the bytes written on it tell exactly whether the request had begun.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, Control: permits(e)}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: conn}, nil
		},
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: handshakeTimeout,
		Protocols:           protocols,
		MaxIdleConns:        4 * idleConnections,
		MaxIdleConnsPerHost: idleConnections,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true, // answers are short; unpacking them costs more than it saves
	}
}

// Answer is what a vendor answered, whatever the status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most 64 KiB of it
}

// Do makes one attempt. The error is an [*Error]; when the answer broke off
// while it was read, the answer so far comes with it. ctx ends the attempt.
func (c *Client) Do(ctx context.Context, r *plugin.Request) (*Answer, error) {
	began := time.Now()
	a := newAttempt(ctx)
	req, err := c.request(a, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.retrying.Do(req)
	if err != nil {
		return nil, a.failure(err, a.sent(), time.Since(began))
	}
	defer resp.Body.Close() // nothing was written: closing cannot lose anything
	if a.location != nil {
		resp.Header["Location"] = a.location
	}
	answer := &Answer{Status: resp.StatusCode, Header: resp.Header}
	answer.Body, err = readBounded(resp)
	if err != nil {
		return answer, a.failure(err, true, time.Since(began))
	}
	return answer, nil
}

// request is r for the library. It has no GetBody: with it net/http would
// replay a request that carries an Idempotency-Key header on its own.
func (c *Client) request(a *attempt, r *plugin.Request) (*retryablehttp.Request, error) {
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	plain, err := http.NewRequestWithContext(a.ctx, method, r.URL, nil)
	if err != nil {
		return nil, &Error{Invalid: true, text: "the request cannot be built: " + withoutURL(err).Error()}
	}
	for name, values := range r.Header {
		plain.Header[name] = values
	}
	if _, ok := plain.Header["User-Agent"]; !ok {
		plain.Header["User-Agent"] = []string{c.userAgent}
	}
	req, err := retryablehttp.FromRequest(plain)
	if err != nil {
		return nil, &Error{Invalid: true, text: "the request cannot be built: " + err.Error()}
	}
	if len(r.Body) > 0 || method != http.MethodGet && method != http.MethodHead {
		if err := req.SetBody(r.Body); err != nil {
			return nil, &Error{Invalid: true, text: "the request cannot be built: " + err.Error()}
		}
	}
	req.GetBody = nil
	return req, nil
}

func readBounded(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n >= 0 && n <= maxAnswer {
		body := make([]byte, n)
		read, err := io.ReadFull(resp.Body, body)
		return body[:read], err
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}
