// Package plugintest helps to test providers.
//
// A [Vendor] stands in for a chat system's API on loopback: it answers as the
// test that owns it says, remembers every call, and can be made to fail at any
// step. What a provider's own stand-in promises to tests of direct messages is a
// [DirectVendor]; it embeds a Vendor, which keeps people, tokens and messages.
//
// Much is asked of every provider. [Reply] is a row of a table of the vendor's
// answers, [Golden] compares a composed message with a file, [CheckProblems] what
// is said about settings, and [WebhookLeaksNothing] looks for secrets in the log.
// [CheckSteps], [CheckTogether], [CheckTokens] and [CheckRevoked] are for direct
// messages: each case starts a [Reach]. [Run] is the conformance kit for a built
// plugin.
package plugintest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
)

// DirectVendor is a stand-in for everything that direct messages at one vendor
// take, in its own words: tokens that end, look-ups, chats, messages, and the
// channel's webhook. It knows whom it was told to know, refuses what the vendor
// would refuse (a bad token, an unknown user, a malformed body), and honours
// the vendor's deduplication key where there is one.
type DirectVendor interface {
	// Entry and Target are YAML flow mappings: of the `providers` entry, and of
	// the keys that the provider owns in a destination.
	Entry() string
	Target() string

	// Know adds a person with the vendor's id, as the look-ups find them.
	Know(id string, p relay.Person)

	// Steps names the calls of the first direct message to a person, in order.
	// The last one sends.
	Steps() []string
	// Throttle answers the next calls of a step with the vendor's "too fast".
	Throttle(step string, times int)
	// Break answers the next calls of a step that hold match (in URL or body;
	// empty: all) with a failure that passes and after which nothing was sent.
	Break(step, match string, times int)
	// Expire makes every token that was handed out so far stop working. Where a
	// vendor's tokens do not end it does nothing.
	Expire()
	// Revoke takes the credentials of Entry away for good: what they are used for
	// next is refused. Tokens that were handed out may still work until Expire.
	Revoke()
	// Hold keeps calls of the sending step that hold match unanswered, after
	// they did their work, until release is called.
	Hold(match string) (release func())

	// Direct are the direct messages that people see, Channel those in the channel.
	Direct() []Sent
	Channel() []Sent

	// These are [Vendor]'s, which every stand-in embeds.
	Calls(step string) []Call
	Fail(step, match string, times int, answer http.HandlerFunc)
	Close()
}

// Sent is a message that somebody sees.
type Sent struct {
	User string // the vendor's id; empty for the channel
	Body string // the whole request
}

// Call is a request that a vendor got.
type Call struct {
	Step   string
	Method string
	URL    string // path and query
	Header http.Header
	Body   string
}

// Vendor is a server on loopback that ends with its test. Its methods may be
// called concurrently.
type Vendor struct {
	URL string // http://127.0.0.1:<port>

	mux    *http.ServeMux
	server *httptest.Server

	mu      sync.Mutex // guards the fields below
	calls   []Call
	faults  []*fault
	holds   []*hold
	people  map[string]relay.Person // by id
	direct  []Sent
	channel []Sent
	token   string // the one that works; empty: none
	tokens  int    // how many there were
	revoked bool
}

// hold keeps calls unanswered until it is released.
type hold struct {
	match    string
	release  func()
	released chan struct{}
}

// fault replaces the answer to some calls.
type fault struct {
	step, match string
	times       int
	answer      http.HandlerFunc
}

// NewVendor starts a server that knows no step yet.
func NewVendor(t testing.TB) *Vendor {
	v := &Vendor{mux: http.NewServeMux()}
	v.server = httptest.NewServer(v.mux)
	t.Cleanup(v.Close)
	v.URL = v.server.URL
	return v
}

// Close ends the server before its test does: nobody listens any more.
func (v *Vendor) Close() {
	v.mu.Lock()
	for _, h := range v.holds {
		h.release()
	}
	v.mu.Unlock()
	v.server.Close() // waits for its calls
}

// Handle serves a step. The pattern is that of [http.ServeMux]; the handler
// gets the body read already, and may read it again. Nil is for a step whose
// every call is answered by Fail.
func (v *Vendor) Handle(step, pattern string, answer func(w http.ResponseWriter, r *http.Request, body []byte)) {
	v.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client left
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if fail := v.note(Call{step, r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body)}); fail != nil {
			fail(w, r)
		} else if answer != nil {
			answer(w, r, body)
		}
	})
}

// note remembers a call, and says how it fails, if it does.
func (v *Vendor) note(c Call) http.HandlerFunc {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, c)
	for _, f := range v.faults {
		if f.times > 0 && f.step == c.Step && (strings.Contains(c.URL, f.match) || strings.Contains(c.Body, f.match)) {
			f.times--
			return f.answer
		}
	}
	return nil
}

// Fail answers the next calls of a step that hold match (in URL or body;
// empty: all) so.
func (v *Vendor) Fail(step, match string, times int, answer http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = append(v.faults, &fault{step, match, times, answer})
}

// Hold implements [DirectVendor] for stand-ins that call Wait when a message
// has arrived.
func (v *Vendor) Hold(match string) (release func()) {
	h := &hold{match: match, released: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.released) })
	v.mu.Lock()
	defer v.mu.Unlock()
	v.holds = append(v.holds, h)
	return h.release
}

// Wait keeps a call that did its work unanswered as long as somebody holds it.
func (v *Vendor) Wait(r *http.Request, body []byte) {
	v.mu.Lock()
	holds := slices.Clone(v.holds)
	v.mu.Unlock()
	for _, h := range holds {
		if !strings.Contains(r.URL.RequestURI(), h.match) && !bytes.Contains(body, []byte(h.match)) {
			continue
		}
		select {
		case <-h.released:
		case <-r.Context().Done(): // the client left
		}
	}
}

// Calls are the calls of a step so far, failed ones included; an empty step
// means all.
func (v *Vendor) Calls(step string) []Call {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []Call
	for _, c := range v.calls {
		if step == "" || c.Step == step {
			out = append(out, c)
		}
	}
	return out
}

// Answer is a handler that writes a status and a JSON body, with headers given
// as names and values in turn.
func Answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}
