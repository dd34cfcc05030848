package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/relay-sidecar/relay/plugins"
)

// previewAnswer is as much of the answer of POST /v1/preview as tests look at.
type previewAnswer struct {
	Template, Text, Unit, Verdict, Error, User string
	TemplateError                              *placedProblem `json:"template_error"`
	Message, Recipient                         json.RawMessage
	Request                                    *struct {
		Method, URL, Body string
		Headers           map[string]string
	}
	Size     int64
	Limit    *int64
	Problems []placedProblem

	// Of a refusal.
	Detail string
	Errors []struct{ Path, Message string }
}

// TestEveryProviderPreviews: what a destination would get is shown with its size
// and the vendor's limit, no secret shows, and nothing is sent.
func TestEveryProviderPreviews(t *testing.T) {
	h := newHook(t)
	var config strings.Builder
	fmt.Fprintf(&config, "server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\ndestinations:\n")
	for name, v := range vendors {
		fmt.Fprintf(&config, "  %s:\n    provider: %[1]s\n    url: %q\n", name, h.URL+v.path)
		if v.settings != "" {
			fmt.Fprintf(&config, "    %s\n", v.settings)
		}
	}
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": config.String()}))
	for _, provider := range plugins.All() {
		name := provider.Describe().Name
		p.plugin(name)
		var raw json.RawMessage
		if status := p.call("POST", "/v1/preview", `{"destination":"`+name+`","type":"issue.approval_requested"}`, &raw); status != http.StatusOK {
			t.Errorf("%s: answered %d %s", name, status, raw)
			continue
		}
		var a previewAnswer
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatal(err)
		}
		if a.Request == nil || !json.Valid([]byte(a.Request.Body)) || a.Size == 0 || a.Unit == "" || !strings.Contains(a.Text, "Add an index to orders") {
			t.Errorf("%s: %s", name, raw)
		}
		if limited := name != "custom"; limited != (a.Limit != nil) || limited && a.Size > *a.Limit {
			t.Errorf("%s: size %d of %v %s", name, a.Size, a.Limit, a.Unit)
		}
		if want := h.URL + "/<secret>"; name != "custom" && a.Request.URL != want {
			t.Errorf("%s: the URL shows as %s, want %s", name, a.Request.URL, want)
		}
		if status := p.call("POST", "/v1/preview", `{"destination":"`+name+`","event":{"type":"own.type","title":"order 412345678901234"}}`, &raw); status != http.StatusOK || !strings.Contains(string(raw), "order 412345678901234") {
			t.Errorf("%s: a number that holds an id of the URL: %d %s", name, status, raw)
		}
		for _, secret := range []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SEC0123456789abcdef", "abcdefghijklmnop", "0123456789abcdef0123456789abcdef",
			"0123abcd-0123-4567-89ab-0123456789ab", "01234567-89ab-cdef-0123-456789abcdef"} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s: the secret %q shows in %s", name, secret, raw)
			}
		}
	}
	if got := h.all(); len(got) > 0 {
		t.Errorf("something was sent: %s", got)
	}
	var page struct{ Deliveries []json.RawMessage }
	if p.call("GET", "/v1/deliveries", "", &page); len(page.Deliveries) > 0 {
		t.Errorf("something was stored: %s", page.Deliveries)
	}
	p.stop()
}

func TestPreviewAnswers(t *testing.T) {
	const url = `url: "http://127.0.0.1:9/services/T01/B01/very-secret"`
	p := startRelay(t, workDir(t, map[string]string{
		"relay.yaml": `server: {listen: 127.0.0.1:0, max_body: 64KiB}
store: {path: ./store}
providers: {slack: {bot_token: xoxb-123456789012-abcdefghijkl}}
people: [{email: ann@example.com, name: Ann, slack: U012AB3CD}]
destinations:
  team: {provider: slack, ` + url + `}
  strict: {provider: slack, ` + url + `, template_errors: dead}
  plain: {provider: custom, url: "http://127.0.0.1:9/"}
  sleeping: {provider: slack, ` + url + `, disabled: true}
  people: {provider: slack, direct_messages: {events: [issue.approved], fallback: never}}
`,
		"templates/issue.sent_back.ts": "export default (event) => event.nothing.at.all;\n",
		"templates/issue.updated.ts":   "export default () => null;\n",
		"templates/wide.ts":            "export default (event) => ({ text: \"x\".repeat(40001) });\n",
		"templates/slack/wide.type.ts": "export { default } from \"../wide\";\n",
	}))
	p.plugin("slack")
	p.plugin("custom")
	ask := func(body string) (a previewAnswer, status int) {
		t.Helper()
		status = p.call("POST", "/v1/preview", body, &a)
		return a, status
	}

	a, status := ask(`{"destination":"team","event":{"type":"issue.created","title":"x"}}`)
	if status != 200 || a.Template != "issue.created.ts" || a.TemplateError != nil || string(a.Recipient) != "null" || !strings.HasPrefix(string(a.Message), `{"$relay":1,`) {
		t.Errorf("a channel: %d %+v", status, a)
	}
	// A failing template: what is shown is what would be sent.
	a, status = ask(`{"destination":"team","type":"issue.sent_back"}`)
	if e := a.TemplateError; status != 200 || e == nil || e.File != "issue.sent_back.ts" || e.Line != 1 || a.Request == nil || !strings.HasPrefix(a.Text, "Issue sent back: ") {
		t.Errorf("a failing template: %d %+v", status, a)
	}
	a, status = ask(`{"destination":"strict","type":"issue.sent_back"}`)
	if status != 200 || a.TemplateError == nil || a.Request != nil || a.Verdict != "message_refused" {
		t.Errorf("a failing template that is not replaced: %d %+v", status, a)
	}
	if a, status = ask(`{"destination":"team","type":"issue.updated"}`); status != 200 || a.Verdict != "skipped" || a.Request != nil {
		t.Errorf("skipped: %d %+v", status, a)
	}
	a, status = ask(`{"destination":"team","event":{"type":"wide.type","title":"x"}}`)
	if e := a.TemplateError; status != 200 || e == nil || !strings.Contains(e.Message, "slack allows 40000") || a.Request == nil {
		t.Errorf("too long: %d %+v", status, a)
	}
	for destination, recipient := range map[string]string{"team": "Ann@example.com", "people": "U012AB3CD"} {
		a, status = ask(`{"destination":"` + destination + `","type":"issue.approved","recipient":"` + recipient + `"}`)
		if status != 200 || a.User != "U012AB3CD" || !strings.Contains(string(a.Recipient), `"name":"Ann"`) || !strings.HasSuffix(a.Request.URL, "/chat.postMessage") {
			t.Errorf("a direct message: %d %+v", status, a)
		}
	}

	for body, want := range map[string]struct {
		status int
		detail string
		paths  string
	}{
		`{"destination":"tem"}`: {400, `there is no destination "tem"; did you mean team?`, "$.destination"},
		`{}`:                    {400, "name the destination; there are people, plain, sleeping, strict, team", "$.destination"},
		`{"destination":"team","event":{"type":"a..b","level":"loud","ttle":"x"}}`: {400,
			"this is no event: 4 faults, the first is $.event.ttle is no key of an event; put it under data", "$.event.ttle $.event.type $.event.level $.event.title"},
		`{"destination":"team","event":[]}`:                                  {400, "this is no event: $.event is not an object", "$.event"},
		`{"destination":"team","type":"no.such"}`:                            {400, `there is no sample of type "no.such"; there are `, "$.type"},
		`{"destination":"team","type":"x","event":{"type":"x","title":"x"}}`: {400, "give an event, or the type whose sample is shown, not both", "$.type"},
		`{"destination":"team","recipient":"+8613800000000"}`:                {400, "destination team finds people by email or explicit id; ", "$.recipient"},
		`{"destination":"plain","recipient":"ann@example.com"}`:              {400, "destination plain cannot reach people: provider custom has no direct messages", "$.recipient"},
		`{"destination":"people"}`:                                           {400, "destination people has no channel; say whom to write to, ", "$.recipient"},
		`{"destination":"sleeping"}`:                                         {400, "destination sleeping is disabled; set disabled: false first", ""},
		`{"destnation":"team"}`:                                              {400, "nothing was done: $.destnation is no key of this request; it takes ", "$.destnation"},
		`{"destination":"tem","event":{"type":"x"}}`: {400, `nothing was done: 2 faults, the first is $.destination there is no destination "tem"; did you mean team?`,
			"$.destination $.event.title"},
		`{"destination":"people","event":7}`:                                              {400, "nothing was done: 2 faults, the first is $.recipient destination people has no channel; ", "$.recipient $.event"},
		`{"destination":"team","event":{"title":"` + strings.Repeat("x", 150_000) + `"}}`: {413, "the body is larger than 131072 bytes", ""},
	} {
		a, status := ask(body)
		var paths []string
		for _, e := range a.Errors {
			paths = append(paths, e.Path)
		}
		if status != want.status || !strings.HasPrefix(a.Detail, want.detail) || strings.Join(paths, " ") != want.paths {
			t.Errorf("%.100s:\ngot  %d %s %v\nwant %d %s %s", body, status, a.Detail, paths, want.status, want.detail, want.paths)
		}
	}
	p.stop()
}

// TestPreviewWatches edits what a preview is made of while it is watched.
func TestPreviewWatches(t *testing.T) {
	dir := workDir(t, map[string]string{
		"relay.yaml":                 `destinations: {team: {provider: slack, url: "http://127.0.0.1:9/services/T01/B01/very-secret"}}`,
		"templates/issue.created.ts": `import { t } from "relay"; export default (event) => "first " + event.title + t("mark");`,
		"event.json":                 `{"type":"issue.created","title":"one"}`,
	})
	cmd := exec.Command("relay", "preview", "--event", "event.json", "--watch")
	cmd.Dir = dir
	var out logBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	edit := func(name, content, want string) {
		t.Helper()
		if name != "" {
			writeFile(t, filepath.Join(dir, name), content)
		}
		poll(t, "the preview shows "+want, func() bool { return strings.Contains(out.String(), want) }, &out)
	}
	edit("", "", "\n  first onemark\n")
	edit("templates/issue.created.ts", `import { t } from "relay"; export default (event) => "second " + event.title + t("mark");`, "\n  second onemark\n")
	edit("event.json", `{"type":"issue.created","title":"two"}`, "\n  second twomark\n")
	edit("templates/locales/en.json", `{"mark": "!"}`, "\n  second two!\n")
	// What is wrong is said, and it goes on.
	edit("templates/issue.created.ts", `export default (event) => event.;`, "issue.created.ts:1:33: ")
	edit("event.json", `{"type":"issue.created"}`, "relay: error: this is no event: event.json: $.title is required\n")
	edit("relay.yaml", `destinations: {team: {provider: slck}}`, "did you mean slack?")
	edit("relay.yaml", `destinations: {other: {provider: slack, url: "http://127.0.0.1:9/services/T01/B01/very-secret"}}`, "")
	edit("event.json", `{"type":"issue.created","title":"three"}`, "\ndestination  other (slack)\n")
	edit("templates/issue.created.ts", `export default (event) => "last " + event.title;`, "\n  last three\n")
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a screen is cleared that is none")
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if ended = true; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestPreviewEndsNoDelivery: a template that ends whatever process renders it
// is named by its preview, and what is delivered at the same time, and by whom,
// does not notice.
func TestPreviewEndsNoDelivery(t *testing.T) {
	h := newHook(t)
	release := make(chan struct{})
	var slow atomic.Int32
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		if slow.Add(1); r.URL.Path == "/slow" {
			<-release
		}
		w.Write([]byte(`{"code":0}`))
	}
	p := startRelay(t, workDir(t, map[string]string{
		"relay.yaml": `server: {listen: 127.0.0.1:0}
store: {path: ./store}
destinations:
  slow: {provider: custom, url: "` + h.URL + `/slow", events: [slow]}
  deadly: {provider: custom, url: "` + h.URL + `/deadly", events: [none], template: deadly.ts}
  doubling: {provider: custom, url: "` + h.URL + `/doubling", events: [none], template: doubling.ts}
  throwing: {provider: custom, url: "` + h.URL + `/throwing", events: [none], template: throwing.ts}
  good: {provider: custom, url: "` + h.URL + `/good", events: [none]}
`,
		"templates/deadly.ts":   "export default () => {\n  const hidden = [\"rep\", \"eat\"].join(\"\");\n  return (\"x\" as any)[hidden](2 ** 36);\n};\n",
		"templates/doubling.ts": "export default () => {\n  let s = \"x\";\n  while (true) s += s;\n};\n",
		"templates/throwing.ts": "export default (event: any) => event.nothing.at.all;\n",
	}))
	first, restarts := p.plugin("custom")
	p.accept(`{"type":"slow","title":"in flight"}`)
	p.until("a send is in flight", func() bool { return slow.Load() == 1 })
	for _, destination := range []string{"deadly", "deadly", "doubling", "doubling", "throwing", "throwing", "throwing", "good"} {
		var a previewAnswer
		status := p.call("POST", "/v1/preview", `{"destination":"`+destination+`"}`, &a)
		e := a.TemplateError
		switch {
		case status != http.StatusOK || a.Request == nil || !strings.HasPrefix(a.Text, "Add an index to orders "):
			t.Errorf("%s: %d %+v", destination, status, a)
		case destination == "good":
			if e != nil {
				t.Errorf("a good one after them: %+v", e)
			}
		case e == nil || e.File != destination+".ts":
			t.Errorf("%s: the fault is %+v", destination, e)
		case destination == "deadly" && !strings.HasPrefix(e.Message, "it ended the process in which it was tried, which serves previews only: "):
			t.Errorf("%s: %s", destination, e.Message)
		}
	}
	if pid, again := p.plugin("custom"); pid != first || again != restarts {
		t.Errorf("process %d serves after %d, with %d restarts after %d", pid, first, again, restarts)
	}
	if all := p.status().Templates.Problems; len(all) > 0 {
		t.Errorf("previews are counted as messages: %+v", all)
	}
	close(release)
	p.until("the send is finished", func() bool { return p.states()["delivered"] == 1 })
	if d := p.deliveryOf("slow"); len(d.Log) != 1 || slow.Load() != 1 {
		t.Errorf("it was sent %d times: %+v", slow.Load(), d)
	}
	p.stop()
	for _, words := range []string{"template failed", "quarantined", "does not run"} {
		if strings.Contains(p.log.String(), words) {
			t.Errorf("the log says %q:\n%s", words, p.log)
		}
	}
}

// TestPreviewWatchesAsJSON: a program that reads it reads JSON and nothing else.
func TestPreviewWatchesAsJSON(t *testing.T) {
	cmd := exec.Command("relay", "preview", "--watch", "--json")
	cmd.Dir = workDir(t, map[string]string{
		"relay.yaml": `destinations: {team: {provider: slack, url: "http://127.0.0.1:9/services/T01/B01/very-secret"}}`,
	})
	var out, words logBuffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	poll(t, "it waits for a change", func() bool { return strings.Contains(words.String(), "waiting for a change") }, &words)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if !json.Valid([]byte(out.String())) {
		t.Errorf("printed\n%s", out.String())
	}
}
