package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	relayclient "github.com/relay-sidecar/relay/client"
)

// TestBadInputStoresNothing posts what no relay should take, at the door for
// events and at those of sources, and wants the documented answer.
func TestBadInputStoresNothing(t *testing.T) {
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": `
server: {listen: 127.0.0.1:0}
store: {path: ./store}
sources:
  github: {hmac: {header: X-Hub-Signature-256, prefix: "sha256=", secret: "It's a Secret to Everybody"}}
  billing: {script: sources/slack.ts, standard_webhooks: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}}
  broken: {script: sources/broken.ts}
  never: {script: sources/unwritten.ts}
destinations:
  out: {provider: custom, url: "http://127.0.0.1:9/"}
`, "templates/sources/broken.ts": "export default () => [{type: 'x'}, {type: 'y', title: 't'}];", "templates/sources/dropped.ts": "export default () => [;"}))
	good := `{"type":"x","title":"t"}`
	tests := []struct {
		name, path, body, header string
		status                   int
		want                     string // in the body
	}{
		{"truncated", "events", `{"type":"x","title":`, "", 400, "malformed JSON at byte 20: unexpected end of JSON input"},
		{"charset", "events", good, "Content-Type: application/json; charset=shift_jis", 415, `charset \"shift_jis\" is not taken; JSON is UTF-8`},
		{"not UTF-8", "events", "{\"type\":\"x\",\"title\":\"\xff\"}", "", 400, "the body is not UTF-8"},
		{"UTF-16", "events", "\xff\xfe{\x00}\x00", "", 400, "the body is not UTF-8"},
		{"NUL", "events", "{\"type\":\"x\",\"title\":\"a\x00\"}", "", 400, "malformed JSON at byte 23"},
		{"deep", "events", `{"type":"x","title":"t","data":{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}`, "", 400, `exceeded max depth`},
		{"65 levels", "events", `{"type":"x","title":"t","data":` + strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64) + `}`, "", 400, `nests 65 levels deep, at most 64 are taken`},
		{"huge number as type", "events", `{"type":1e999999,"title":"t"}`, "", 400, `"$.type","message":"is not a string"`},
		{"duplicate key", "events", `{"type":"x","title":"t","title":"u"}`, "", 400, `"$.title","message":"stands twice"`},
		{"2 MiB", "events", `{"type":"x","title":"t","data":{"x":"` + strings.Repeat("a", 2<<20) + `"}}`, "", 413, "larger than 1048576 bytes"},
		{"1,001 events", "events", "[" + strings.Repeat(good+",", 1000) + good + "]", "", 400, "has 1001 events; send at most 1000 at once"},
		{"one bad of a batch", "events", "[" + good + "," + good + `,{"type":"x"}]`, "", 400, `"$[2].title","message":"is required"`},
		{"one bad CloudEvent of a batch", "events", `[{"specversion":"1.0","id":"1","source":"s","type":"t"},{"specversion":"1.0","id":"2","source":"s"}]`,
			"Content-Type: application/cloudevents-batch+json", 400, `"$[1].type","message":"is required"`},
		{"broken gzip", "events", good, "Content-Encoding: gzip", 400, "not what its Content-Encoding says"},
		{"unknown source", "sources/nobody", good, "", 404, `there is no source \"nobody\"`},
		{"source outside its directory", "sources/..%2Fdefault", good, "", 404, "there is no source"},
		{"source without its script", "sources/never", good, "", 503, "source never cannot run now; send it again later"},
		{"source whose script never compiled", "sources/dropped", good, "", 503, "source dropped cannot run now; send it again later"},
		{"bad signature", "sources/github", good, "X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64), 401, "is not that of this body and the source's secret"},
		{"no signature", "sources/github", good, "", 401, "the signature header is missing"},
		{"old signature", "sources/billing", `{"text":"t"}`, "webhook-signature: v1,AAAA", 401, "webhook-timestamp (Unix seconds)"},
		{"bytebase truncated", "sources/bytebase", `{"level":`, "", 400, `{"code":400,"message":"source bytebase cannot read this body: the body is not usable JSON: it ends too early"}`},
		{"bytebase too large", "sources/bytebase", `{"title":"` + strings.Repeat("a", 2<<20) + `"}`, "", 413, `{"code":413,"message":"the body is larger than 1048576 bytes`},
		{"slack without words", "sources/slack", `{}`, "", 400, "source slack cannot read this body: no_text: the message has no text"},
		{"backlog as text", "sources/backlog", "hello", "", 400, "the body is not usable JSON"},
		{"deep at a source", "sources/backlog", strings.Repeat("[", 50_000), "", 400, "the body is not usable JSON"},
		{"script with one bad event", "sources/broken", "", "", 400, `"$[0].title","message":"is required"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequest("POST", p.base+"/v1/"+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			if key, value, ok := strings.Cut(test.header, ": "); ok {
				req.Header.Set(key, value)
			}
			resp, err := httpClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != test.status || !strings.Contains(string(body), test.want) {
				t.Errorf("answered %d %s, want %d with %s", resp.StatusCode, body, test.status, test.want)
			}
		})
	}
	if n := len(p.states()); n != 0 {
		t.Errorf("something is stored: %v", p.states())
	}
}

// TestFiftyPostsAreOneEvent: the same event from fifty senders at a time is
// accepted once, as relay's own JSON, as a CloudEvent and at a source's door.
func TestFiftyPostsAreOneEvent(t *testing.T) {
	h := newHook(t)
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(
		"server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\ndestinations:\n  out: {provider: custom, url: %q, format: event}\n", h.URL)}))
	posts := []struct{ path, kind, body string }{
		{"/v1/events", "application/json", `{"id":"one","type":"x","title":"t"}`},
		{"/v1/events", "application/cloudevents+json", `{"specversion":"1.0","id":"two","source":"s","type":"x"}`},
		{"/v1/sources/backlog", "application/json", `{"id":3,"type":1,"project":{"projectKey":"P"},"content":{"key_id":1,"summary":"s"}}`},
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := map[string]int{}
	for range 50 {
		for _, post := range posts {
			wg.Go(func() {
				resp, err := httpClient.Post(p.base+post.path, post.kind, strings.NewReader(post.body))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case resp.StatusCode != 202:
					t.Errorf("%s answered %d %s", post.body, resp.StatusCode, body)
				case bytes.Contains(body, []byte(`"duplicate":false`)):
					fresh[post.body]++
				}
			})
		}
	}
	wg.Wait()
	for _, post := range posts {
		if fresh[post.body] != 1 {
			t.Errorf("%s was accepted %d times", post.body, fresh[post.body])
		}
	}
	p.until("each is delivered", func() bool { unique, _ := h.counts(); return unique == 3 })
	if _, doubles := h.counts(); doubles != 0 {
		t.Errorf("%d were delivered twice", doubles)
	}
}

// TestClientPackage: the Go client speaks to a real relay, over its socket.
func TestClientPackage(t *testing.T) {
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: [127.0.0.1:0, "unix://${PWD}/r.sock"], tokens: [{token: token-of-the-app, scope: events}]}
store: {path: ./store}
destinations: {out: {provider: custom, url: %q, format: event}}
`, h.URL)})
	config, err := os.ReadFile(filepath.Join(dir, "relay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "relay.yaml"), strings.ReplaceAll(string(config), "${PWD}", dir))
	p := startRelay(t, dir)
	event := relayclient.Event{ID: "order-7", Type: "order.placed", Title: "Order 7",
		Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), Recipients: []relayclient.Person{{ID: 7, Email: "ann@example.com"}}, Data: map[string]any{"total": 12.5}}
	for i, address := range []string{"unix://" + filepath.Join(dir, "r.sock"), p.base} {
		c, err := relayclient.New(address, "token-of-the-app")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Send(t.Context(), event); err != nil || got.Duplicate != (i == 1) || got.Deliveries != 1 {
			t.Errorf("%s: got %+v, %v", address, got, err)
		}
	}
	c, err := relayclient.New(p.base, "another-token")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), event); err == nil || !strings.Contains(err.Error(), "a valid token is required") {
		t.Errorf("got %v", err)
	}
}

// TestAddedRecipients: a source's recipients are in every event of it, and a
// destination's in every event that goes to it, with all that people knows.
func TestAddedRecipients(t *testing.T) {
	h := newHook(t)
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
people:
  - {name: Ann, email: ann@example.com, slack: U012AB3CD}
  - {email: bob@example.com, backlog: "7002"}
sources:
  bytebase: {recipients: [slack:U012AB3CD]}
  backlog: {recipients: [Ann]}
destinations:
  out: {provider: custom, url: %q, format: event, recipients: ["+8613800000000"]}
`, h.URL)}))
	p.call("POST", "/v1/sources/bytebase", `{"activity_type":"bb.issue.create","title":"one","link":"not a link","created_ts":1}`, nil)
	p.call("POST", "/v1/sources/backlog", `{"id":1,"type":1,"project":{"projectKey":"P"},"content":{"key_id":1,"summary":"two"},"notifications":[{"user":{"id":7002,"name":"Bob"}}]}`, nil)
	p.accept(`{"type":"x","title":"three"}`)
	p.until("all arrived", func() bool { return len(h.all()) == 3 })
	const ann, phone = `{"name":"Ann","email":"ann@example.com","ids":{"slack":"U012AB3CD"}}`, `{"phone":"+8613800000000"}`
	want := map[string]string{
		"one":     "[" + ann + "," + phone + "]",
		"P-1 two": `[{"email":"bob@example.com","id":7002,"ids":{"backlog":"7002"},"name":"Bob"},` + ann + "," + phone + "]",
		"three":   "[" + phone + "]",
	}
	for _, body := range h.all() {
		var e struct {
			Title      string
			Recipients json.RawMessage
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || string(e.Recipients) != want[e.Title] {
			t.Errorf("%s: got recipients %s, want %s", e.Title, e.Recipients, want[e.Title])
		}
	}
}

// TestReadmeExamplesRun runs what README.md says to copy into an app, as it
// stands there but for relay's address, where the language is installed.
func TestReadmeExamplesRun(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "\n## Post from your app\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("README.md has no section \"Post from your app\"")
	}
	h := newHook(t)
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(
		"server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\ndestinations:\n  out: {provider: custom, url: %q, format: event}\n", h.URL)}))
	for _, language := range []struct {
		name, block string
		command     []string
	}{{"curl", "sh", []string{"sh", "-c"}}, {"python3", "python", []string{"python3", "-c"}}, {"node", "js", []string{"node", "--input-type=module", "-e"}}} {
		t.Run(language.name, func(t *testing.T) {
			found := blocks(section, language.block)
			if len(found) != 1 {
				t.Fatalf("README.md has %d examples in %s", len(found), language.block)
			}
			if _, err := exec.LookPath(language.name); err != nil {
				t.Skip(err)
			}
			script := strings.ReplaceAll(found[0], "http://127.0.0.1:8750", p.base)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			command := exec.CommandContext(ctx, language.command[0], append(language.command[1:], script)...)
			out, err := command.CombinedOutput()
			if err != nil || !regexp.MustCompile(`"?deliveries"?'?: ?1`).Match(out) {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
	for _, body := range h.all() {
		var e struct{ ID, Type, Title string }
		if json.Unmarshal([]byte(body), &e) != nil || !strings.HasPrefix(e.ID, "order-7") || e.Type != "order.placed" {
			t.Errorf("delivered %s", body)
		}
	}
}
