package post

import (
	"context"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
)

// Token is a credential that a vendor hands out for a while. It is fetched when
// it is first needed and again shortly before it ends; whoever needs it
// meanwhile waits for the one fetch that is under way, and shares its failure.
// It is safe for concurrent use.
type Token struct {
	fetch  Fetch
	margin time.Duration

	mu      sync.Mutex // guards the fields below
	value   string
	until   time.Time // when it is to be fetched anew
	current *fetching // the fetch that is under way
}

// Fetch asks the vendor for a token: its value and how long it is good. A
// failure is a report: Temporary, or DestinationRefused for credentials that
// the vendor does not take. It never is Ambiguous, since nothing was sent.
type Fetch func(ctx context.Context, c *Calls) (value string, lifetime time.Duration, failed *relay.Report)

type fetching struct {
	done   chan struct{}
	value  string
	failed *relay.Report
	given  bool // up: the one who fetched was out of time, which is nobody else's failure
}

// NewToken makes a token that is fetched so long before its end.
func NewToken(margin time.Duration, fetch Fetch) *Token { return &Token{fetch: fetch, margin: margin} }

// Get is the token, fetched where there is none that is good. What it is goes
// to the attempt's masker.
func (t *Token) Get(ctx context.Context, c *Calls) (string, *relay.Report) {
	for {
		t.mu.Lock()
		if t.value != "" && time.Now().Before(t.until) {
			defer t.mu.Unlock()
			c.Hide(t.value)
			return t.value, nil
		}
		f, mine := t.current, false
		if f == nil {
			f, mine = &fetching{done: make(chan struct{})}, true
			t.current = f
		}
		t.mu.Unlock()
		if mine {
			return t.run(ctx, c, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", &relay.Report{Verdict: relay.Temporary, Error: "timeout while the access token was fetched"}
		}
		if f.failed != nil && !f.given {
			again := *f.failed
			return "", &again
		}
	}
}

// run fetches for everybody who waits.
func (t *Token) run(ctx context.Context, c *Calls, f *fetching) (string, *relay.Report) {
	var lifetime time.Duration
	finished := false
	defer func() { // also when fetch panics
		t.mu.Lock()
		defer t.mu.Unlock()
		t.current = nil
		f.given = !finished || f.failed != nil && ctx.Err() != nil
		if finished && f.failed == nil {
			t.value = f.value
			// A token that is shorter lived than the margin is used for half its life.
			t.until = time.Now().Add(max(lifetime-t.margin, lifetime/2))
		}
		close(f.done)
	}()
	f.value, lifetime, f.failed = t.fetch(ctx, c)
	finished = true
	c.Hide(f.value)
	return f.value, f.failed
}

// Drop forgets the token, if it is still this one: the vendor says that it is
// bad.
func (t *Token) Drop(value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == value {
		t.value = ""
	}
}

// Use makes a call with the token. Where the vendor says that the token is bad,
// it is fetched anew and the call is made once more.
func (t *Token) Use(ctx context.Context, c *Calls, call func(token string) (r relay.Report, bad bool)) relay.Report {
	var r relay.Report
	for range 2 {
		token, failed := t.Get(ctx, c)
		if failed != nil {
			return *failed
		}
		var bad bool
		if r, bad = call(token); !bad {
			return r
		}
		t.Drop(token)
	}
	return r
}
