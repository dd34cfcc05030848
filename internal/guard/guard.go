// Package guard says who may ask what of relay's HTTP API: bearer tokens and
// their scopes, signatures of senders, the names under which relay may be
// called, and browsers.
package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay/internal/problem"
)

// Scope is what a token allows.
type Scope string

// The scopes. A token without a scope has all of them.
const (
	ScopeEvents Scope = "events" // post events and sources
	ScopeRead   Scope = "read"   // every GET
	ScopeAdmin  Scope = "admin"  // the rest
)

// Token is one bearer token.
type Token struct {
	Value string
	Scope Scope // empty: all
}

// Rules are what the guard goes by. They may be replaced while it works.
type Rules struct {
	Tokens  []Token
	Sources map[string]Source // what opens sources' doors besides
	Hosts   []string          // further names under which relay may be called
}

// Source is what opens one source's door.
type Source struct {
	Token     string     // of its own; empty: none
	Verifiers []Verifier // a request that one of them takes needs no token
}

// Guard checks requests. It is safe for concurrent use.
type Guard struct{ rules atomic.Pointer[rules] }

// rules are Rules with digests in place of tokens: what is compared has the
// same length whatever was given, and is made once.
type rules struct {
	tokens  []token
	sources map[string]door
	hosts   []string
}

type token struct {
	digest
	scope Scope
}

// door is what opens a source's door besides.
type door struct {
	own       digest
	hasOwn    bool
	verifiers []Verifier
}

type digest [sha256.Size]byte

// digestOf is for comparing; nothing has the digest of an empty token.
func digestOf(token string) (d digest, ok bool) { return sha256.Sum256([]byte(token)), token != "" }

func (d digest) equal(other digest) bool { return subtle.ConstantTimeCompare(d[:], other[:]) == 1 }

// New makes a guard with its first rules.
func New(r Rules) *Guard {
	g := &Guard{}
	g.Set(r)
	return g
}

// Set replaces the rules.
func (g *Guard) Set(r Rules) {
	next := &rules{sources: map[string]door{}, hosts: slices.Clone(r.Hosts)}
	for _, t := range r.Tokens {
		if d, ok := digestOf(t.Value); ok {
			next.tokens = append(next.tokens, token{d, t.Scope})
		}
	}
	for name, s := range r.Sources {
		d := door{verifiers: s.Verifiers}
		d.own, d.hasOwn = digestOf(s.Token)
		next.sources[name] = d
	}
	g.rules.Store(next)
}

// Require lets a request through to next if it carries a token of the scope.
// Where no token is configured, everybody who reaches the listener may ask.
func (g *Guard) Require(scope Scope, next http.Handler) http.Handler {
	return g.require(next, func(r *http.Request) *problem.Problem { return g.rules.Load().check(r, scope) })
}

// RequireAny lets a request through that carries any token that there is: for
// answers that say only what relay's documents say, too.
func (g *Guard) RequireAny(next http.Handler) http.Handler {
	return g.require(next, func(r *http.Request) *problem.Problem { return g.rules.Load().check(r) })
}

// refusedTime is what a refused request has to send the rest of its body, which
// nobody reads.
const refusedTime = 2 * time.Second

func (g *Guard) require(next http.Handler, check func(*http.Request) *problem.Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := check(r); p != nil {
			// The server reads what is left of a short body, to go on with the
			// connection, and sets a deadline of its own for the next request.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedTime))
			p.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Admit is what Require does, for a source's door: the source's own token counts
// as well, a token may stand in the query, because such senders cannot always
// set headers, and so does a signature. A request that claims to be signed must
// be so, whatever else it carries: then verify, which is not nil, has to see its
// body.
func (g *Guard) Admit(r *http.Request) (verify func(body []byte) *problem.Problem, p *problem.Problem) {
	rules := g.rules.Load()
	if p := rules.reached(r); p != nil {
		return nil, p
	}
	source := rules.sources[r.PathValue("name")]
	for _, v := range source.verifiers {
		if v.Signed(r.Header) {
			return func(body []byte) *problem.Problem {
				if why := v.Verify(r.Header, body, time.Now()); why != "" {
					return problem.New(http.StatusUnauthorized, why)
				}
				return nil
			}, nil
		}
	}
	return nil, rules.token(r, &source, ScopeEvents)
}

// check says why a request is refused; nil: it is not. Without scopes any token
// will do.
func (r *rules) check(req *http.Request, scopes ...Scope) *problem.Problem {
	if p := r.reached(req); p != nil {
		return p
	}
	return r.token(req, nil, scopes...)
}

// reached refuses who was lured to relay.
func (r *rules) reached(req *http.Request) *problem.Problem {
	if !r.goodHost(req.Host) {
		return problem.New(http.StatusForbidden, "relay is not called by this Host; add it to server.hosts")
	}
	if new(http.CrossOriginProtection).Check(req) != nil {
		return problem.New(http.StatusForbidden, "a browser's request from another origin is refused")
	}
	return nil
}

// token wants a token of one of the scopes, or one that opens the source.
func (r *rules) token(req *http.Request, source *door, scopes ...Scope) *problem.Problem {
	var d door
	if source != nil {
		d = *source
	}
	signs := len(d.verifiers) > 0
	if len(r.tokens) == 0 && !d.hasOwn && !signs {
		return nil
	}
	given, any := digestOf(bearer(req.Header.Get("Authorization")))
	if any && d.hasOwn && given.equal(d.own) {
		return nil
	}
	known, allowed := false, false
	if any {
		known, allowed = r.allows(given, append(scopes, "")...)
	}
	if allowed || known && len(scopes) == 0 {
		return nil
	}
	if query, any := digestOf(req.URL.Query().Get("token")); source != nil && any {
		// Queries end up in logs: only a token that can do nothing but post
		// events may stand there.
		if d.hasOwn && query.equal(d.own) {
			return nil
		}
		inQuery, narrow := r.allows(query, ScopeEvents)
		switch {
		case narrow:
			return nil
		case inQuery:
			return problem.New(http.StatusForbidden, "in a query only the source's own token or one of scope events counts")
		}
	}
	switch {
	case known:
		return problem.New(http.StatusForbidden, fmt.Sprintf("the token's scope does not reach this; it takes one of scope %s", scopes[0]))
	case signs:
		return problem.New(http.StatusUnauthorized, "this source takes signed requests only, or a valid token: the signature header is missing")
	}
	return problem.New(http.StatusUnauthorized, "a valid token is required: send it as Authorization: Bearer <token>")
}

// bearer is the token of an Authorization header; empty: there is none.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// allows reports whether a token is one of relay's, and whether it has one of
// the scopes. It compares with every token, so that the time tells nothing.
func (r *rules) allows(given digest, scopes ...Scope) (known, allowed bool) {
	for _, t := range r.tokens {
		if given.equal(t.digest) {
			known = true
			allowed = allowed || slices.Contains(scopes, t.scope)
		}
	}
	return known, allowed
}

// goodHost keeps DNS rebinding out: a page whose name was pointed at loopback
// calls relay by that name. Addresses and localhost cannot be rebound.
func (r *rules) goodHost(host string) bool {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil && strings.Trim(port, "0123456789") == "" {
		name = h
	}
	name = strings.Trim(name, "[]")
	_, err := netip.ParseAddr(name)
	return name == "" || err == nil || strings.EqualFold(name, "localhost") ||
		slices.ContainsFunc(r.hosts, func(h string) bool { return strings.EqualFold(h, name) })
}
