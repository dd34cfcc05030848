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
type Guard struct{ rules atomic.Pointer[Rules] }

// New makes a guard with its first rules.
func New(r Rules) *Guard {
	g := &Guard{}
	g.Set(r)
	return g
}

// Set replaces the rules.
func (g *Guard) Set(r Rules) { g.rules.Store(&r) }

// Require lets a request through to next if it carries a token of the scope.
// Where no token is configured, everybody who reaches the listener may ask.
func (g *Guard) Require(scope Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rules := g.rules.Load()
		if p := rules.check(r, scope); p != nil {
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
	source := rules.Sources[r.PathValue("name")]
	for _, v := range source.Verifiers {
		if v.Signed(r.Header) {
			return func(body []byte) *problem.Problem {
				if why := v.Verify(r.Header, body, time.Now()); why != "" {
					return problem.New(http.StatusUnauthorized, why)
				}
				return nil
			}, nil
		}
	}
	return nil, rules.token(r, ScopeEvents, &source)
}

func (r *Rules) check(req *http.Request, scope Scope) *problem.Problem {
	if p := r.reached(req); p != nil {
		return p
	}
	return r.token(req, scope, nil)
}

// reached refuses who was lured to relay.
func (r *Rules) reached(req *http.Request) *problem.Problem {
	if !r.goodHost(req.Host) {
		return problem.New(http.StatusForbidden, "relay is not called by this Host; add it to server.hosts")
	}
	if new(http.CrossOriginProtection).Check(req) != nil {
		return problem.New(http.StatusForbidden, "a browser's request from another origin is refused")
	}
	return nil
}

// token wants a token of the scope, or one that opens the source.
func (r *Rules) token(req *http.Request, scope Scope, source *Source) *problem.Problem {
	own, signs := "", false
	if source != nil {
		own, signs = source.Token, len(source.Verifiers) > 0
	}
	if len(r.Tokens) == 0 && own == "" && !signs {
		return nil
	}
	given := bearer(req.Header.Get("Authorization"))
	if given != "" && own != "" && equal(given, own) {
		return nil
	}
	known, allowed := r.allows(given, "", scope)
	if allowed {
		return nil
	}
	if query := req.URL.Query().Get("token"); source != nil && query != "" {
		// Queries end up in logs: only a token that can do nothing but post
		// events may stand there.
		if own != "" && equal(query, own) {
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
		return problem.New(http.StatusForbidden, fmt.Sprintf("the token's scope does not reach this; it takes one of scope %s", scope))
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
func (r *Rules) allows(given string, scopes ...Scope) (known, allowed bool) {
	for _, t := range r.Tokens {
		if given != "" && equal(given, t.Value) {
			known = true
			allowed = allowed || slices.Contains(scopes, t.Scope)
		}
	}
	return known, allowed
}

func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// goodHost keeps DNS rebinding out: a page whose name was pointed at loopback
// calls relay by that name. Addresses and localhost cannot be rebound.
func (r *Rules) goodHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	_, err := netip.ParseAddr(name)
	return name == "" || err == nil || strings.EqualFold(name, "localhost") ||
		slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}
