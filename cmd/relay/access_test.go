package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/app"
)

// ask makes a request with headers "Key: value" and returns the answer's status
// and body.
func (p *relayProcess) ask(method, path, body string, headers ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, line := range headers {
		key, value, _ := strings.Cut(line, ": ")
		if req.Header.Set(key, value); key == "Host" {
			req.Host = value
		}
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", method, path, err, p.log)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		p.t.Errorf("%s %s: a browser may guess what this is", method, path)
	}
	return resp.StatusCode, string(answer)
}

// TestEveryRouteWantsItsScope asks every route that relay has, with no token, a
// wrong one and one of every scope.
func TestEveryRouteWantsItsScope(t *testing.T) {
	dir := workDir(t, map[string]string{"relay.yaml": `
server:
  listen: 127.0.0.1:0
  tokens:
    - the-full-token
    - {token: token-of-events, scope: events}
    - {token: token-of-read, scope: read}
    - {token: token-of-admin, scope: admin}
store: {path: ./store}
sources: {bytebase: {token: token-of-the-source}}
destinations:
  audit: {provider: custom, url: "http://127.0.0.1:9/"}
`})
	p := startRelay(t, dir)
	tokens := map[string]string{"": "", "wrong": "", "token-of-the-source": "", "the-full-token": "all", "token-of-events": "events", "token-of-read": "read", "token-of-admin": "admin"}
	wildcard := regexp.MustCompile(`\{[^}]*\}`)
	routes := app.Routes()
	if len(routes) < 15 {
		t.Fatalf("there are only %d routes: %v", len(routes), routes)
	}
	for _, pattern := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		path = wildcard.ReplaceAllString(path, "nothing")
		scope := "admin"
		switch {
		case path == "/healthz" || path == "/readyz":
			scope = ""
		case method == "GET":
			scope = "read"
		case path == "/v1/events" || strings.HasPrefix(path, "/v1/sources/"):
			scope = "events"
		}
		for token, has := range tokens {
			status, answer := p.ask(method, path, "", "Authorization: Bearer "+token)
			want := "let through"
			switch {
			case scope == "" || has == "all" || has == scope:
			case has == "":
				want = "401"
			default:
				want = "403"
			}
			got := "let through"
			if status == http.StatusUnauthorized || status == http.StatusForbidden {
				got = fmt.Sprint(status)
			}
			if got != want {
				t.Errorf("%s with token %q is answered %d %s, want it %s", pattern, token, status, answer, want)
			}
		}
	}

	// Without a good token nobody learns what there is: the answers are the same.
	status, first := p.ask("GET", "/v1/deliveries", "", "Authorization: Bearer wrong")
	if status != http.StatusUnauthorized {
		t.Fatalf("answered %d %s", status, first)
	}
	_, ownWords := p.ask("POST", "/v1/sources/bytebase", "", "Authorization: Bearer other")
	for _, target := range []string{
		"GET /v1/deliveries/nothing", "GET /v1/events?key=a&source=b", "POST /v1/destinations/audit/pause", "POST /v1/destinations/nothing/pause",
		"POST /v1/sources/bytebase", "POST /v1/sources/nothing", "POST /v1/sources/nothing?token=wrong", "GET /nowhere", "GET /", "DELETE /v1/events",
		"OPTIONS /v1/events", "PUT /metrics", "GET //v1/status", "GET /v1//status", "GET /v1/../v1/status", "GET /v1/status/", "GET /openapi", "GET /debug/pprof/",
	} {
		method, path, _ := strings.Cut(target, " ")
		want := first
		if strings.HasPrefix(path, "/v1/sources/bytebase") {
			want = ownWords // whether there is this source, its sender's documents say
		}
		if status, answer := p.ask(method, path, "", "Authorization: Bearer wrong"); status != http.StatusUnauthorized || answer != want {
			t.Errorf("%s with a wrong token is answered %d %s", target, status, answer)
		}
		if status, answer := p.ask(method, path, "", "Authorization: Bearer the-full-token"); status == http.StatusUnauthorized || status == http.StatusForbidden || status >= 500 {
			t.Errorf("%s with a good token is answered %d %s", target, status, answer)
		}
	}
	// Health tells that relay runs, and no more.
	if status, answer := p.ask("GET", "/healthz", "", "Host: evil.example"); status != 200 || answer != "{\"status\":\"ok\"}\n" {
		t.Errorf("/healthz is answered %d %s", status, answer)
	}

	// Tokens are replaced while relay runs.
	path := filepath.Join(dir, "relay.yaml")
	writeFile(t, path, strings.Replace(`
server: {listen: 127.0.0.1:0, tokens: [the-next-token, the-full-token]}
store: {path: ./store}
`, "the-full-token", "token-of-read", 1))
	p.until("the tokens are replaced", func() bool {
		status, _ := p.ask("GET", "/v1/status", "", "Authorization: Bearer the-next-token")
		return status == 200
	})
	for token, want := range map[string]int{"the-full-token": 401, "token-of-admin": 401, "token-of-read": 200, "the-next-token": 200} {
		if status, answer := p.ask("GET", "/metrics", "", "Authorization: Bearer "+token); status != want {
			t.Errorf("%s: answered %d %.100s, want %d", token, status, answer, want)
		}
	}
	p.stop()
	for token := range tokens {
		if token != "" && token != "wrong" && strings.Contains(p.log.String(), token) {
			t.Errorf("the log shows %s:\n%s", token, p.log)
		}
	}
}

// TestBrowsersOfTheSameMachine: a relay without tokens, as it stands beside an
// app, and the pages that somebody has open there.
func TestBrowsersOfTheSameMachine(t *testing.T) {
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": "server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\n"}))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(p.base, "http://"))
	const event = `{"type":"issue.created","title":"t"}`
	for _, test := range []struct {
		what    string
		target  string
		headers []string
		want    int
	}{
		{"no browser", "POST /v1/events", nil, 202},
		{"a page of another site", "POST /v1/events", []string{"Origin: https://evil.example", "Content-Type: application/json"}, 403},
		{"its form, which needs no leave", "POST /v1/events", []string{"Origin: https://evil.example", "Content-Type: text/plain"}, 403},
		{"a sandboxed frame", "POST /v1/events", []string{"Origin: null", "Content-Type: text/plain"}, 403},
		{"a file", "POST /v1/events", []string{"Origin: file://", "Content-Type: text/plain"}, 403},
		{"another server of this machine", "POST /v1/events", []string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, 403},
		{"a browser that says nothing but where from", "POST /v1/events", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a form of an old browser", "POST /v1/events", []string{"Content-Type: text/plain"}, 415},
		{"the same at the door of a source", "POST /v1/sources/bytebase", []string{"Origin: https://evil.example", "Content-Type: text/plain"}, 403},
		{"an operator's action", "POST /v1/reload", []string{"Origin: https://evil.example", "Content-Type: text/plain"}, 403},
		{"its question beforehand", "OPTIONS /v1/events", []string{"Origin: https://evil.example", "Access-Control-Request-Method: POST"}, 405},
		{"a name that was pointed here", "GET /v1/deliveries", []string{"Host: evil.example:" + port}, 403},
		{"the same, for a path that there is not", "GET /nowhere", []string{"Host: evil.example:" + port}, 403},
		{"the same, posting", "POST /v1/events", []string{"Host: evil.example:" + port, "Origin: http://evil.example:" + port, "Sec-Fetch-Site: same-origin"}, 403},
		{"localhost", "GET /v1/deliveries", []string{"Host: localhost:" + port}, 200},
		{"an address that only looks like one", "GET /v1/deliveries", []string{"Host: 127.0.0.1.evil.example"}, 403},
	} {
		method, path, _ := strings.Cut(test.target, " ")
		if status, answer := p.ask(method, path, event, test.headers...); status != test.want {
			t.Errorf("%s: answered %d %s, want %d", test.what, status, answer, test.want)
		}
	}
	p.stop()
}

// TestSocketMode: the permissions of a socket are the operator's choice.
func TestSocketMode(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]os.FileMode{"": 0o660, ", socket_mode: '0600'": 0o600} {
		dir := workDir(t, nil)
		writeFile(t, filepath.Join(dir, "relay.yaml"), fmt.Sprintf("server: {listen: [127.0.0.1:0, \"unix://%s/r.sock\"]%s}\nstore: {path: ./store}\n", dir, mode))
		p := startRelay(t, dir)
		p.until("it listens there, too", func() bool { return strings.Contains(p.log.String(), "/r.sock") })
		if info, err := os.Stat(filepath.Join(dir, "r.sock")); err != nil || info.Mode().Perm() != want {
			t.Errorf("got %v, %v, want %s", info, err, want)
		}
		if status, body, err := getUnix(filepath.Join(dir, "r.sock"), "/v1/status"); err != nil || status != 200 {
			t.Errorf("answered %d %s, %v", status, body, err)
		}
		p.stop()
	}
}

// TestRefusedRequestsCostLittle: who has no token is answered at once, whatever
// else comes, and the body is not waited for.
func TestRefusedRequestsCostLittle(t *testing.T) {
	t.Parallel()
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": "server: {listen: 127.0.0.1:0, tokens: [the-full-token]}\nstore: {path: ./store}\n"}))
	c, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	began := time.Now()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("answered %v, %v", resp, err)
	}
	if took := time.Since(began); took > 30*time.Second { // the whole time for a body is a minute
		t.Errorf("it took %s", took)
	}
	// A body that nobody may send is not asked for.
	d, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	fmt.Fprintf(d, "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(d), nil); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("answered %v, %v", resp, err)
	}
	p.stop()
}
