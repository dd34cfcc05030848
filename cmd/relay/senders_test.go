package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay/plugins"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// vendorRoom is a receiver that plays every vendor and keeps the last body that
// each got.
type vendorRoom struct {
	*hook
	mu   sync.Mutex
	last map[string][]byte
}

func newVendorRoom(t *testing.T) *vendorRoom {
	room := &vendorRoom{hook: newHook(t), last: map[string][]byte{}}
	room.hook.answer = func(w http.ResponseWriter, r *http.Request, body []byte) {
		for name, v := range vendors {
			path, _, _ := strings.Cut(v.path, "?")
			if r.URL.Path == path || strings.HasSuffix(r.URL.Path, strings.TrimPrefix(path, "/api")) {
				room.mu.Lock()
				room.last[name] = body
				room.mu.Unlock()
				if v.answer == "" {
					w.WriteHeader(http.StatusAccepted)
				}
				io.WriteString(w, v.answer)
			}
		}
	}
	return room
}

// take empties the room once every vendor got something.
func (v *vendorRoom) take() (all map[string][]byte, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.last) < len(vendors) {
		return nil, false
	}
	all, v.last = v.last, map[string][]byte{}
	return all, true
}

const githubSecret = "It's a Secret to Everybody"

// destinationsOf is a configuration with a destination for every provider.
func destinationsOf(url, sources string) string {
	var config strings.Builder
	config.WriteString("server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\n" + sources + "destinations:\n")
	for _, p := range plugins.All() {
		name := p.Describe().Name
		fmt.Fprintf(&config, "  %s: {provider: %[1]s, url: %q, rate: 100/s, time_zone: UTC}\n", name, url+vendors[name].path)
	}
	return config.String()
}

// TestSendersAreReadable posts what each sender's documents show as it posts it,
// and compares what every provider's vendor gets of it with
// testdata/senders/golden.
func TestSendersAreReadable(t *testing.T) {
	room := newVendorRoom(t)
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": destinationsOf(room.URL, `
sources:
  backlog: {space_url: https://acme.backlog.com/}
  github: {script: sources/github.ts, hmac: {header: X-Hub-Signature-256, prefix: "sha256=", secret: "It's a Secret to Everybody"}}
`)}))
	samples, err := filepath.Glob("testdata/senders/*.json")
	if err != nil || len(samples) < 20 {
		t.Fatalf("found %d samples (%v)", len(samples), err)
	}
	for _, file := range samples {
		source, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), ".")
		t.Run(source+"/"+name, func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			postSample(t, p, source, name, body)
			var got map[string][]byte
			p.until("every vendor got its message", func() (ok bool) {
				got, ok = room.take()
				return ok
			})
			compareMessages(t, filepath.Join("testdata", "senders", "golden", source+"."+name+".json"), got)
		})
	}
}

// postSample posts as the sender does and wants the answer that it wants.
func postSample(t *testing.T, p *relayProcess, source, name string, body []byte) {
	t.Helper()
	path, status, answer := "/v1/sources/"+source, http.StatusAccepted, `"deliveries":7`
	headers := map[string]string{"Content-Type": "application/json"}
	switch source {
	case "events":
		path, headers["Content-Type"] = "/v1/events", "application/cloudevents+json"
	case "github":
		mac := hmac.New(sha256.New, []byte(githubSecret))
		mac.Write(body)
		headers["X-GitHub-Event"], headers["X-GitHub-Delivery"] = name, "72d3162e-cc78-11e3-81ab-4c9367dc0958-"+name
		headers["X-Hub-Signature-256"] = "sha256=" + hex.EncodeToString(mac.Sum(nil))
	case "bytebase":
		status, answer = http.StatusOK, `{"code":0,"message":""}`
	case "slack":
		status, answer = http.StatusOK, "ok"
	}
	req, err := http.NewRequest("POST", p.base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range headers {
		req.Header.Set(key, value)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status || !strings.Contains(string(got), answer) {
		t.Fatalf("answered %d %s, want %d with %s\n%s", resp.StatusCode, got, status, answer, p.log)
	}
}

// What differs from run to run: ids that are derived of a delivery's, and the
// time of acceptance where a sender gives none.
var (
	ownID    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	accepted = regexp.MustCompile(`20[23]\d-\d\d-\d\d \d\d:\d\d UTC|"created_ts": \d{10}`)
)

func compareMessages(t *testing.T, file string, got map[string][]byte) {
	t.Helper()
	all := map[string]any{}
	for name, body := range got {
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("%s: %v in %s", name, err, body)
		}
		all[name] = v
	}
	var pretty bytes.Buffer
	encoder := json.NewEncoder(&pretty)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		t.Fatal(err)
	}
	text := ownID.ReplaceAll(pretty.Bytes(), []byte("<id>"))
	if timeless := []string{"slack.text", "slack.blocks"}; slices.Contains(timeless, strings.TrimSuffix(filepath.Base(file), ".json")) {
		text = accepted.ReplaceAllFunc(text, func(found []byte) []byte {
			if found[0] == '"' {
				return []byte(`"created_ts": 0`)
			}
			return []byte("<time>")
		})
	}
	if *update {
		writeFile(t, file, string(text))
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s: got\n%s", file, text)
	}
}
