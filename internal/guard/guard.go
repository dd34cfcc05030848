// Package guard says who may ask what of relay's HTTP API: bearer tokens and
// their scopes, the names under which relay may be called, and browsers.
package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
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
	if req.Method != http.MethodGet && req.Method != http.MethodHead && crossOrigin(req) {
		return problem.New(http.StatusForbidden, "a browser's request from another origin is refused")
	}
	own := ""
	if source != "" {
		own = r.Sources[source]
	}
	if len(r.Tokens) == 0 && own == "" {
		return nil
	}
	given, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if given != "" && (r.allows(given, scope) || own != "" && equal(given, own)) {
		return nil
	}
	if query := req.URL.Query().Get("token"); source != "" && query != "" {
		if own != "" && equal(query, own) || r.narrow(query) {
			return nil
		}
	}
	return problem.New(http.StatusUnauthorized, "a valid token is required: send it as Authorization: Bearer <token>")
}

// allows compares with every token, so that the time tells nothing.
func (r *Rules) allows(given string, scope Scope) bool {
	ok := false
	for _, t := range r.Tokens {
		if equal(given, t.Value) && (t.Scope == "" || t.Scope == scope) {
			ok = true
		}
	}
	return ok
}

// narrow reports whether a token may stand in a query: only one that can do
// nothing but post events, because queries end up in logs.
func (r *Rules) narrow(given string) bool {
	ok := false
	for _, t := range r.Tokens {
		if equal(given, t.Value) && t.Scope == ScopeEvents {
			ok = true
		}
	}
	return ok
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
	name = strings.ToLower(strings.Trim(name, "[]"))
	return name == "" || name == "localhost" || net.ParseIP(name) != nil ||
		slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// crossOrigin reports whether a browser sent the request for a page of another origin.
func crossOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}
