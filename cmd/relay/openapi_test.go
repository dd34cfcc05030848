package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// apiDocument is internal/api/openapi.json as a checker of answers.
type apiDocument struct {
	testing.TB
	compiler *jsonschema.Compiler
	paths    map[string]map[string]any
	asked    map[string]bool // "GET /v1/events" → it was answered with what the document promises
}

// newAPIDocument takes the document strictly: what it does not describe must
// not be in an answer.
func newAPIDocument(t testing.TB) *apiDocument {
	t.Helper()
	raw, err := os.ReadFile("../../internal/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	strict(document)
	d := &apiDocument{TB: t, compiler: jsonschema.NewCompiler(), paths: map[string]map[string]any{}, asked: map[string]bool{}}
	if err := d.compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.(map[string]any)["paths"].(map[string]any) {
		d.paths[path] = methods.(map[string]any)
	}
	return d
}

func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, described := v["properties"].(map[string]any)
		if _, open := v["additionalProperties"]; described && !open && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, x := range v {
			strict(x)
		}
	case []any:
		for _, x := range v {
			strict(x)
		}
	}
}

// answeredTime is a time of relay's own in an answer, and oneForm what all of
// them look like.
var (
	answeredTime = regexp.MustCompile(`"(created|updated|next_attempt|started|loaded|at|since|until|oldest_pending)":"(\d[^"]*)"`)
	oneForm      = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
)

// check holds an answer against the document, under a route of its paths.
func (d *apiDocument) check(method, route string, status int, kind string, body []byte) {
	d.Helper()
	kind, _, _ = strings.Cut(kind, ";")
	pointer := strings.NewReplacer("~", "~0", "/", "~1")
	at := fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%d/content/%s/schema", pointer.Replace(route), strings.ToLower(method), status, pointer.Replace(kind))
	schema, err := d.compiler.Compile(strings.NewReplacer("{", "%7B", "}", "%7D").Replace(at))
	if err != nil {
		d.Errorf("%s %s answered %d %s, which the document does not have: %v", method, route, status, kind, err)
		return
	}
	if status < 300 {
		d.asked[method+" "+route] = true
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	for _, m := range answeredTime.FindAllSubmatch(body, -1) {
		if !oneForm.Match(m[2]) {
			d.Errorf("%s %s: %s is %s, which is not UTC with milliseconds", method, route, m[1], m[2])
		}
	}
	values := [][]byte{body}
	if kind == "application/x-ndjson" {
		values = slices.Collect(bytes.Lines(body))
	}
	for _, line := range values {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			d.Errorf("%s %s: %v\n%s", method, route, err, line)
		}
	}
}

// TestAPIIsAsDescribed asks everything of the API of a real relay, and holds
// every answer, good or bad, against openapi.json.
func TestAPIIsAsDescribed(t *testing.T) {
	h := newHook(t)
	dir := t.TempDir()
	config := fmt.Sprintf(`server: {listen: 127.0.0.1:0, tokens: [{token: reading-token, scope: read}, admin-with-all-scopes]}
store: {path: ./store}
destinations:
  team: {provider: custom, url: %q, format: event}
  gone: {provider: custom, url: "http://127.0.0.1:1/", retry: 0, events: ["issue.*"]}
  off: {provider: custom, url: %q, disabled: true}
`, h.URL, h.URL)
	if err := os.WriteFile(filepath.Join(dir, "relay.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	relay := startRelay(t, dir)
	d := newAPIDocument(t)
	ask := func(token, method, route, path, body string, want int) []byte {
		t.Helper()
		req, err := http.NewRequest(method, relay.base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Fatalf("%s %s: answered %d %s, want %d\n%s", method, path, resp.StatusCode, answer, want, relay.log)
		}
		d.check(method, route, resp.StatusCode, resp.Header.Get("Content-Type"), answer)
		return answer
	}
	const all = "admin-with-all-scopes"
	get := func(route, path string) []byte { t.Helper(); return ask(all, "GET", route, path, "", 200) }
	post := func(route, path, body string) []byte { t.Helper(); return ask(all, "POST", route, path, body, 200) }

	// Everything that is answered well.
	event := `{"id":"k1","type":"issue.created","title":"one","recipients":[{"email":"ann@example.com"}]}`
	var accepted struct{ ID string }
	if err := json.Unmarshal(ask(all, "POST", "/v1/events", "/v1/events", event, 202), &accepted); err != nil {
		t.Fatal(err)
	}
	ask(all, "POST", "/v1/events", "/v1/events", `[{"type":"x.y","title":"two"},`+event+`]`, 202)
	list := func() (ids map[string]string) {
		var page struct {
			Deliveries []struct{ ID, State, Destination string }
		}
		if err := json.Unmarshal(get("/v1/deliveries", "/v1/deliveries?event="+accepted.ID), &page); err != nil {
			t.Fatal(err)
		}
		ids = map[string]string{}
		for _, row := range page.Deliveries {
			ids[row.State] = row.ID
		}
		return ids
	}
	settled := time.Now().Add(patience)
	for ids := list(); ids["delivered"] == "" || ids["dead"] == "" || len(ids) > 2; ids = list() {
		if time.Now().After(settled) {
			t.Fatalf("deliveries are %v", ids)
		}
		time.Sleep(10 * time.Millisecond) // nothing tells another process when it is over
	}
	ids := list()
	get("/v1/deliveries", "/v1/deliveries?q=one&limit=1")
	get("/v1/deliveries/{id}", "/v1/deliveries/"+ids["dead"])
	get("/v1/events", "/v1/events?limit=1")
	get("/v1/events", "/v1/events?key=k1&source=events")
	get("/v1/events/{id}", "/v1/events/"+accepted.ID)
	get("/v1/events/{id}/explain", "/v1/events/"+accepted.ID+"/explain")
	get("/v1/destinations", "/v1/destinations")
	get("/v1/status", "/v1/status")
	if err := os.WriteFile(filepath.Join(dir, "relay.yaml"), []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(all, "POST", "/v1/reload", "/v1/reload", "", 422)
	get("/v1/status", "/v1/status") // with what was refused
	if err := os.WriteFile(filepath.Join(dir, "relay.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	get("/v1/plugins", "/v1/plugins")
	get("/metrics", "/metrics")
	get("/healthz", "/healthz")
	get("/readyz", "/readyz")
	get("/openapi.json", "/openapi.json")
	post("/v1/deliveries/{id}/replay", "/v1/deliveries/"+ids["delivered"]+"/replay", "")
	post("/v1/replay", "/v1/replay", `{"destination":"team","dry_run":true}`)
	post("/v1/replay", "/v1/replay", `{"state":"dead","progress":true}`)
	post("/v1/destinations/{name}/test", "/v1/destinations/team/test", "")
	copied := post("/v1/store/backup", "/v1/store/backup", "")
	if !bytes.HasPrefix(copied, []byte("SQLite format 3\x00")) {
		t.Errorf("the copy begins %q", copied[:min(16, len(copied))])
	}
	post("/v1/reload", "/v1/reload", "")
	post("/v1/preview", "/v1/preview", `{"destination":"team"}`)
	post("/v1/preview", "/v1/preview", `{"destination":"gone","event":`+event+`}`)
	post("/v1/config/diff", "/v1/config/diff", `{"salt":"AAAA","parts":{"server":{"listen":"00"}}}`)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var page struct{ Deliveries []any }
		if err := json.Unmarshal(get("/v1/deliveries", "/v1/deliveries?state=pending"), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Deliveries) == 0 && len(list()) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the replays do not end")
		}
	}
	post("/v1/destinations/{name}/pause", "/v1/destinations/team/pause", "")
	post("/v1/events/{id}/replay", "/v1/events/"+accepted.ID+"/replay", "")

	// What is refused, in the document's words for it.
	for _, bad := range []struct {
		method, route, path, body string
		status                    int
		words                     string
	}{
		{"POST", "/v1/events", "/v1/events", `{"type":"x"}`, 400, "title"},
		{"POST", "/v1/events", "/v1/events", `{"id":"k1","type":"x.y","title":"other"}`, 409, ""},
		{"GET", "/v1/events", "/v1/events?key=none&source=events", "", 404, `there is no event with key \"none\" of source \"events\"`},
		{"GET", "/v1/events", "/v1/events?state=dead", "", 400, "is not known"},
		{"GET", "/v1/events/{id}", "/v1/events/none", "", 404, `there is no event \"none\"`},
		{"GET", "/v1/events/{id}/explain", "/v1/events/none/explain", "", 404, `there is no event \"none\"`},
		{"POST", "/v1/events/{id}/replay", "/v1/events/none/replay", "", 404, `there is no event \"none\"`},
		{"POST", "/v1/events/{id}/replay", "/v1/events/" + accepted.ID + "/replay", "", 409, "not over yet"},
		{"POST", "/v1/events/purge", "/v1/events/purge", `{}`, 400, "$.recipient"},
		{"GET", "/v1/deliveries", "/v1/deliveries?cursor=5-00000000", "", 400, "belongs to another filter"},
		{"GET", "/v1/deliveries", "/v1/deliveries?limit=501", "", 400, "from 1 to 500"},
		{"GET", "/v1/deliveries/{id}", "/v1/deliveries/none", "", 404, `there is no delivery \"none\"`},
		{"POST", "/v1/deliveries/{id}/replay", "/v1/deliveries/none/replay", "", 404, `there is no delivery \"none\"`},
		{"POST", "/v1/deliveries/{id}/replay", "/v1/deliveries/" + list()["held"] + "/replay", "", 409, "not over yet"},
		{"POST", "/v1/replay", "/v1/replay", `{"dry_run":true}`, 400, "at least one filter"},
		{"POST", "/v1/destinations/{name}/pause", "/v1/destinations/none/pause", "", 404, "there is no destination"},
		{"POST", "/v1/destinations/{name}/resume", "/v1/destinations/team/resume", `{"part":"x"}`, 400, "$.part"},
		{"POST", "/v1/destinations/{name}/test", "/v1/destinations/team/test", `{"type":"none"}`, 400, "$.type"},
		{"POST", "/v1/preview", "/v1/preview", `{"destination":"none"}`, 400, `there is no destination \"none\"`},
		{"POST", "/v1/config/diff", "/v1/config/diff", `{"salt":1}`, 400, "$.salt"},
		{"POST", "/v1/replay", "/v1/replay", `{"foo":1,"foo":2}`, 400, "$.foo"},
		{"POST", "/v1/sources/{name}", "/v1/sources/none", "{}", 404, ""},
	} {
		answer := ask(all, bad.method, bad.route, bad.path, bad.body, bad.status)
		if !strings.Contains(string(answer), bad.words) {
			t.Errorf("%s %s: %s does not say %q", bad.method, bad.path, answer, bad.words)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(d.paths)) {
		// What takes no events, or another configuration, takes small bodies.
		if d.paths[route]["post"] == nil || strings.HasPrefix(route, "/v1/sources/") || route == "/v1/events" || route == "/v1/preview" || route == "/v1/config/diff" {
			continue
		}
		path := strings.NewReplacer("{name}", "team", "{id}", "none").Replace(route)
		ask(all, "POST", route, path, `{"x":"`+strings.Repeat("x", 64<<10)+`"}`, 413)
		if answer := ask(all, "POST", route, path, `{"x":1}`, 400); !strings.Contains(string(answer), "$.x is no key of this request") {
			t.Errorf("%s: %s does not name the key", route, answer)
		}
	}
	ask("reading-token", "POST", "/v1/events/purge", "/v1/events/purge", `{"recipient":"ann@example.com"}`, 403)
	ask("", "GET", "/v1/deliveries", "/v1/deliveries", "", 401)
	ask("reading-token", "POST", "/v1/store/backup", "/v1/store/backup", "", 403)

	post("/v1/destinations/{name}/resume", "/v1/destinations/team/resume", "")
	var purged struct{ Redacted int }
	if err := json.Unmarshal(post("/v1/events/purge", "/v1/events/purge", `{"recipient":"ann@example.com"}`), &purged); err != nil || purged.Redacted != 1 {
		t.Errorf("purged %+v (%v)", purged, err)
	}
	if left := get("/v1/events/{id}", "/v1/events/"+accepted.ID); bytes.Contains(left, []byte("ann@")) {
		t.Errorf("ann is still there: %s", left)
	}

	for _, route := range slices.Sorted(maps.Keys(d.paths)) {
		for method := range d.paths[route] {
			name := strings.ToUpper(method) + " " + route
			if !d.asked[name] && name != "POST /v1/sources/{name}" { // its answer is the script's
				t.Errorf("%s was not asked", name)
			}
		}
	}
	relay.stop()
}

// TestExplainTellsOfPeople: the story of direct messages, whose answers have
// matches and steps, as people and as tools read it.
func TestExplainTellsOfPeople(t *testing.T) {
	o := openOffice(t, "slack")
	ann, bob := o.hire(), o.stranger()
	event := o.post("approve it", ann, bob)
	for _, row := range o.finished(event) {
		_, answer, err := call(o.base, "GET", "/v1/deliveries/"+row.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		newAPIDocument(t).check("GET", "/v1/deliveries/{id}", 200, "application/json", answer)
	}
	_, answer, err := call(o.base, "GET", "/v1/events/"+event+"/explain", "")
	if err != nil {
		t.Fatal(err)
	}
	newAPIDocument(t).check("GET", "/v1/events/{id}/explain", 200, "application/json", answer)

	story, err := exec.Command("relay", "explain", event, "--server", o.base).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, story)
	}
	for _, want := range []string{
		`team \(slack\) took it: it takes all events, direct_messages holds the type: to 2 people, fallback none_matched`,
		`  to ` + ann.Name + ` <` + ann.Email + `> \(delivery \S+\)\n    \S+  accepted\n(    \S+  waited \S+\n)?    \S+  matched: user U\S+, by email\n +look-up by email: GET \S+<secret> → 200 .*\n(    \S+  waited \S+\n)?    \S+  attempt 1: delivered in \d+ ms`,
		`  to ` + bob.Name + ` <` + bob.Email + `> \(delivery \S+\)\n    \S+  accepted\n(    \S+  waited \S+\n)?    \S+  attempt 1: unmatched in \d+ ms`,
	} {
		if !regexp.MustCompile(want).Match(story) {
			t.Errorf("the story has no match for %s:\n%s", want, story)
		}
	}
}
