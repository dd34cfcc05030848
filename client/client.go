// Package client hands events to a relay that runs beside the app. It needs
// nothing but the standard library.
//
//	c, err := client.New("unix:///run/relay/relay.sock", "")
//	…
//	_, err = c.Send(ctx, client.Event{Type: "order.placed", Title: "Order 7"})
//
// When Send returns nil, the event is on relay's disk. Until then it is tried
// again, with the same id and the same bytes, so that relay accepts it once.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultAddress is where relay listens unless it is told otherwise.
	DefaultAddress = "http://127.0.0.1:8750"

	// patience is how long Send tries where its context has no deadline.
	patience = 30 * time.Second
	// attemptTimeout bounds one try: an answer takes milliseconds.
	attemptTimeout = 10 * time.Second
	firstWait      = 100 * time.Millisecond
	longestWait    = 5 * time.Second
	maxAnswer      = 1 << 20 // bytes of an answer that are read
)

// Client posts events to one relay. It is safe for concurrent use.
type Client struct {
	base, token string
	http        *http.Client
	sleep       func(context.Context, time.Duration) error // replaced by tests
}

// New makes a client for a relay at http://host:port or unix:///path; empty is
// [DefaultAddress]. The token may be empty where relay asks for none.
func New(address, token string) (*Client, error) {
	if address == "" {
		address = DefaultAddress
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	c := &Client{base: strings.TrimSuffix(address, "/"), token: token, sleep: sleep}
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		c.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	} else if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a relay; write http://host:port or unix:///path", address)
	} else if u.Scheme == "https" {
		transport.Proxy = http.ProxyFromEnvironment // a relay elsewhere
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// Send hands one event over and returns when it is on relay's disk. An event
// without an id gets a random one, and one without a time the present. What may
// pass by itself is tried again until ctx ends, or for half a minute where ctx
// has no deadline. An *Error says that relay refused the event.
func (c *Client) Send(ctx context.Context, e Event) (Accepted, error) {
	if e.ID == "" {
		e.ID = rand.Text()
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	body, err := json.Marshal(e)
	if err != nil {
		return Accepted{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		accepted, hint, err := c.try(ctx, body)
		if err == nil || !temporary(err) {
			return accepted, err
		}
		pause := hint
		if pause == 0 {
			pause = wait/2 + mathrand.N(wait/2)
		}
		if c.sleep(ctx, pause) != nil {
			return Accepted{}, fmt.Errorf("event %s was not accepted in time: %w", e.ID, err)
		}
	}
}

// try posts once. hint is how long relay asks to wait; 0: it does not say.
func (c *Client) try(ctx context.Context, body []byte) (_ Accepted, hint time.Duration, _ error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return Accepted{}, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Accepted{}, 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Accepted{}, 0, fmt.Errorf("read relay's answer: %w", err)
	}
	if resp.StatusCode != http.StatusAccepted {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return Accepted{}, time.Duration(max(0, seconds)) * time.Second, refusal(resp.StatusCode, answer)
	}
	var accepted Accepted
	if err := json.Unmarshal(answer, &accepted); err != nil {
		return Accepted{}, 0, fmt.Errorf("relay's answer: %w", err)
	}
	return accepted, 0, nil
}

// temporary reports whether the same event may be accepted later: no answer, or
// one that says so.
func temporary(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) {
		return true
	}
	return refused.Status >= 500 || refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusRequestTimeout
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
