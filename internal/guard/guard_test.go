package guard_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay/internal/guard"
	"github.com/relay-sidecar/relay/internal/problem"
)

const (
	ok           = ""
	unauthorized = "a valid token is required: send it as Authorization: Bearer <token>"
	inQuery      = "in a query only the source's own token or one of scope events counts"
	badHost      = "relay is not called by this Host; add it to server.hosts"
	crossOrigin  = "a browser's request from another origin is refused"
)

func tooNarrow(scope guard.Scope) string {
	return "the token's scope does not reach this; it takes one of scope " + string(scope)
}

// doors are three doors of different scopes, one for all and those of sources.
func doors(g *guard.Guard) http.Handler {
	mux := http.NewServeMux()
	yes := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("POST /events", g.Require(guard.ScopeEvents, yes))
	mux.Handle("GET /read", g.Require(guard.ScopeRead, yes))
	mux.Handle("POST /admin", g.Require(guard.ScopeAdmin, yes))
	mux.HandleFunc("POST /sources/{name}", func(w http.ResponseWriter, r *http.Request) {
		verify, p := g.Admit(r)
		if p == nil && verify != nil {
			body, _ := io.ReadAll(r.Body)
			p = verify(body)
		}
		if p != nil {
			p.Write(w)
			return
		}
		yes(w, r)
	})
	mux.Handle("/any", g.RequireAny(yes))
	return mux
}

// ask makes a request with headers "Key: value" and answers why it is refused.
func ask(t *testing.T, h http.Handler, target string, headers ...string) string {
	t.Helper()
	method, path, _ := strings.Cut(target, " ")
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:8750"
	for _, line := range headers {
		key, value, _ := strings.Cut(line, ": ")
		if r.Header.Set(key, value); key == "Host" {
			r.Host = value
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusNoContent {
		return ok
	}
	var p problem.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Errorf("%s: answered %d %s: %v", target, w.Code, w.Body, err)
	}
	want, challenge := http.StatusForbidden, ""
	if p.Detail == unauthorized {
		want, challenge = http.StatusUnauthorized, "Bearer"
	}
	if w.Code != want || w.Header().Get("WWW-Authenticate") != challenge || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: answered %d %v, want %d", target, w.Code, w.Header(), want)
	}
	return p.Detail
}

func TestTokens(t *testing.T) {
	rules := guard.Rules{
		Tokens: []guard.Token{{Value: "all-of-it"}, {Value: "for-events", Scope: guard.ScopeEvents}, {Value: "for-reading", Scope: guard.ScopeRead},
			{Value: "for-admins", Scope: guard.ScopeAdmin}, {Value: "for-both", Scope: guard.ScopeEvents}, {Value: "for-both", Scope: guard.ScopeRead}},
		Sources: map[string]guard.Source{"own": {Token: "own-token"}, "plain": {}},
	}
	tests := []struct{ target, authorization, want string }{
		{"POST /events", "", unauthorized},
		{"POST /events", "Bearer all-of-it", ok},
		{"POST /events", "bearer all-of-it", ok},
		{"POST /events", "BEARER  all-of-it ", ok},
		{"POST /events", "Bearer for-events", ok},
		{"POST /events", "Bearer for-both", ok},
		{"POST /events", "Bearer for-reading", tooNarrow("events")},
		{"POST /events", "Bearer for-admins", tooNarrow("events")},
		{"POST /events", "Bearer own-token", unauthorized},
		{"POST /events", "Bearer wrong", unauthorized},
		{"POST /events", "Bearer ", unauthorized},
		{"POST /events", "Bearer", unauthorized},
		{"POST /events", "Bearer ALL-OF-IT", unauthorized},
		{"POST /events", "Bearer all-of-it all-of-it", unauthorized},
		{"POST /events", "all-of-it", unauthorized},
		{"POST /events", "Basic all-of-it", unauthorized},
		{"POST /events?token=for-events", "", unauthorized},
		{"GET /read", "", unauthorized},
		{"HEAD /read", "Bearer for-reading", ok},
		{"GET /read", "Bearer all-of-it", ok},
		{"GET /read", "Bearer for-reading", ok},
		{"GET /read", "Bearer for-both", ok},
		{"GET /read", "Bearer for-events", tooNarrow("read")},
		{"GET /read", "Bearer for-admins", tooNarrow("read")},
		{"POST /admin", "Bearer all-of-it", ok},
		{"POST /admin", "Bearer for-admins", ok},
		{"POST /admin", "Bearer for-events", tooNarrow("admin")},
		{"POST /admin", "Bearer for-reading", tooNarrow("admin")},
		{"GET /any", "", unauthorized},
		{"GET /any", "Bearer wrong", unauthorized},
		{"GET /any", "Bearer own-token", unauthorized},
		{"GET /any?token=for-events", "", unauthorized},
		{"POST /any", "Bearer all-of-it", ok},
		{"GET /any", "Bearer for-events", ok},
		{"GET /any", "Bearer for-reading", ok},
		{"DELETE /any", "Bearer for-admins", ok},

		{"POST /sources/own", "", unauthorized},
		{"POST /sources/own", "Bearer own-token", ok},
		{"POST /sources/own", "Bearer all-of-it", ok},
		{"POST /sources/own", "Bearer for-events", ok},
		{"POST /sources/own", "Bearer for-reading", tooNarrow("events")},
		{"POST /sources/own?token=own-token", "", ok},
		{"POST /sources/own?token=for-events", "", ok},
		{"POST /sources/own?token=for-both", "", ok},
		{"POST /sources/own?token=all-of-it", "", inQuery},
		{"POST /sources/own?token=for-admins", "", inQuery},
		{"POST /sources/own?token=wrong", "", unauthorized},
		{"POST /sources/own?token=", "", unauthorized},
		{"POST /sources/own?token=own-token", "Bearer wrong", ok},
		{"POST /sources/plain", "", unauthorized},
		{"POST /sources/plain", "Bearer ", unauthorized},
		{"POST /sources/plain", "Bearer own-token", unauthorized},
		{"POST /sources/plain?token=own-token", "", unauthorized},
		{"POST /sources/plain?token=for-events", "", ok},
		{"POST /sources/unknown", "Bearer for-events", ok},
		{"POST /sources/unknown?token=for-events", "", ok},
		{"POST /sources/unknown", "", unauthorized},
	}
	h := doors(guard.New(rules))
	for _, test := range tests {
		t.Run(test.target+" "+test.authorization, func(t *testing.T) {
			var headers []string
			if test.authorization != "" {
				headers = []string{"Authorization: " + test.authorization}
			}
			if got := ask(t, h, test.target, headers...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestNoTokens: who reaches the listener may ask, but not at the door of a
// source that has a token.
func TestNoTokens(t *testing.T) {
	h := doors(guard.New(guard.Rules{Sources: map[string]guard.Source{"own": {Token: "own-token"}}}))
	for target, want := range map[string]string{
		"POST /events": ok, "GET /read": ok, "POST /admin": ok, "POST /sources/any": ok, "POST /sources/any?token=x": ok,
		"POST /sources/own": unauthorized, "POST /sources/own?token=x": unauthorized, "POST /sources/own?token=own-token": ok,
	} {
		if got := ask(t, h, target); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	h := doors(guard.New(guard.Rules{Hosts: []string{"relay.internal", "Other.Example"}}))
	for host, want := range map[string]string{
		"127.0.0.1": ok, "127.0.0.1:8750": ok, "10.1.2.3:80": ok, "[::1]": ok, "[::1]:8750": ok, "[fe80::1%25eth0]:8750": ok,
		"localhost": ok, "LocalHost:8750": ok, "relay.internal": ok, "relay.internal:8750": ok, "RELAY.internal:1": ok, "other.example": ok,
		"":             ok, // a socket's client may have none; browsers always do
		"evil.example": badHost, "evil.example:8750": badHost, "relay.internal.evil.example": badHost, "localhost.evil.example": badHost,
		"127.0.0.1.evil.example": badHost, "7f000001.rbndr.example:8750": badHost, "localhost.:8750": badHost, "127.0.0.1.:8750": badHost, "relay.internal.": badHost,
		"[::ffff:127.0.0.1]:8750": ok, "[0:0:0:0:0:0:0:1]": ok, "::1": ok, "[evil.example]:8750": badHost, "[::1].evil.example": badHost,
		"user@evil.example": badHost, "127.0.0.1@evil.example": badHost, "0x7f000001": badHost, "127.0.0.1:8750.evil.example": badHost,
		"loc\u00e4lhost": badHost, "localhost evil.example": badHost, "evil.example:8750:8750": badHost, "2130706433": badHost, "127.1": badHost, "relay": badHost,
	} {
		for _, target := range []string{"GET /read", "POST /events", "POST /sources/a"} {
			if got := ask(t, h, target, "Host: "+host); got != want {
				t.Errorf("%s with Host %q: got %q, want %q", target, host, got, want)
			}
		}
	}
	// A good token does not help a bad name.
	h = doors(guard.New(guard.Rules{Tokens: []guard.Token{{Value: "all-of-it"}}}))
	if got := ask(t, h, "GET /read", "Host: evil.example", "Authorization: Bearer all-of-it"); got != badHost {
		t.Errorf("got %q, want %q", got, badHost)
	}
}

func TestBrowsers(t *testing.T) {
	tests := []struct {
		headers []string
		write   string // what a write is answered; reading is never refused for its origin
	}{
		{nil, ok},
		{[]string{"Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1:8750"}, ok},
		{[]string{"Sec-Fetch-Site: none"}, ok},
		{[]string{"Sec-Fetch-Site: same-site"}, crossOrigin},
		{[]string{"Sec-Fetch-Site: cross-site"}, crossOrigin},
		{[]string{"Sec-Fetch-Site: cross-site", "Origin: http://127.0.0.1:8750"}, crossOrigin},
		{[]string{"Origin: http://127.0.0.1:8750"}, ok},
		{[]string{"Origin: http://127.0.0.1:8751"}, crossOrigin},
		{[]string{"Origin: https://evil.example"}, crossOrigin},
		{[]string{"Origin: null"}, crossOrigin},
		{[]string{"Origin: null", "Sec-Fetch-Site: cross-site"}, crossOrigin},
		{[]string{"Origin: http://127.0.0.1"}, crossOrigin},
		{[]string{"Origin: http://localhost:8750"}, crossOrigin}, // the same machine by another name is another origin
		{[]string{"Origin: http://[::1]:8750"}, crossOrigin},
		{[]string{"Host: [::1]:8750", "Origin: http://[::1]:8750"}, ok},
		{[]string{"Host: [::1]:8750", "Origin: http://[::1]:9999"}, crossOrigin},
		{[]string{"Host: localhost:8750", "Origin: http://localhost:8750"}, ok},
		{[]string{"Host: localhost:8750", "Origin: http://127.0.0.1:8750"}, crossOrigin},
		{[]string{"Origin: http://127.0.0.1:8750.evil.example"}, crossOrigin},
		{[]string{"Origin: http://127.0.0.1:8750@evil.example"}, crossOrigin},
		{[]string{"Origin: file://"}, crossOrigin},
		{[]string{"Origin: chrome-extension://abcdefgh"}, crossOrigin},
		{[]string{"Sec-Fetch-Site: Cross-Site"}, crossOrigin},
		{[]string{"Sec-Fetch-Site: something-new"}, crossOrigin},
		// What a form or a script can send without asking first.
		{[]string{"Content-Type: text/plain", "Origin: https://evil.example"}, crossOrigin},
		{[]string{"Content-Type: text/plain", "Origin: null"}, crossOrigin},
		{[]string{"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, crossOrigin},
		{[]string{"Origin: ://"}, crossOrigin},
	}
	h := doors(guard.New(guard.Rules{}))
	for _, test := range tests {
		for target, want := range map[string]string{"GET /read": ok, "HEAD /read": ok, "POST /events": test.write, "POST /admin": test.write, "POST /sources/a": test.write} {
			if got := ask(t, h, target, test.headers...); got != want {
				t.Errorf("%s with %q: got %q, want %q", target, test.headers, got, want)
			}
		}
	}
}

// TestSet: rules are replaced while requests are checked.
func TestSet(t *testing.T) {
	g := guard.New(guard.Rules{Tokens: []guard.Token{{Value: "old"}}})
	h := doors(g)
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 100 {
				if got := ask(t, h, "GET /read", "Authorization: Bearer both"); got != ok && got != unauthorized {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	g.Set(guard.Rules{Tokens: []guard.Token{{Value: "new"}, {Value: "both"}}})
	asking.Wait()
	for token, want := range map[string]string{"old": unauthorized, "new": ok, "both": ok} {
		if got := ask(t, h, "GET /read", "Authorization: Bearer "+token); got != want {
			t.Errorf("token %s: got %q, want %q", token, got, want)
		}
	}
}
