// Package guard says who may ask what of relay's HTTP API: bearer tokens and
// their scopes, the names under which relay may be called, and browsers.
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
	Sources map[string]string // source → a token of its own
	Hosts   []string          // further names under which relay may be called
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
		if p := rules.check(r, scope, ""); p != nil {
			p.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RequireSource is Require for a source's door: the source's own token counts
// as well, and a token may stand in the query, because such senders cannot
// always set headers.
func (g *Guard) RequireSource(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rules := g.rules.Load()
		if p := rules.check(r, ScopeEvents, r.PathValue("name")); p != nil {
			p.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (r *Rules) check(req *http.Request, scope Scope, source string) *problem.Problem {
	if !r.goodHost(req.Host) {
		return problem.New(http.StatusForbidden, "relay is not called by this Host; add it to server.hosts")
	}
	if new(http.CrossOriginProtection).Check(req) != nil {
		return problem.New(http.StatusForbidden, "a browser's request from another origin is refused")
	}
	own := ""
	if source != "" {
		own = r.Sources[source]
	}
	if len(r.Tokens) == 0 && own == "" {
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
	if query := req.URL.Query().Get("token"); source != "" && query != "" {
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
	if known {
		return problem.New(http.StatusForbidden, fmt.Sprintf("the token's scope does not reach this; it takes one of scope %s", scope))
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
