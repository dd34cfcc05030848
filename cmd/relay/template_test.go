package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// templateLog is what a delivery's log tells of its template.
type templateLog struct {
	State string
	Log   []struct {
		Template         string
		TemplateRevision string `json:"template_revision"`
		TemplateError    *struct {
			placedProblem
			Frame, Hint string
		} `json:"template_error"`
		Verdict, Error string
	}
}

// deliveryOf is the only delivery of a destination.
func (p *relayProcess) deliveryOf(destination string) (d templateLog) {
	p.t.Helper()
	var page struct{ Deliveries []struct{ ID string } }
	p.call("GET", "/v1/deliveries?destination="+destination, "", &page)
	if len(page.Deliveries) != 1 {
		p.t.Fatalf("%s has %d deliveries", destination, len(page.Deliveries))
	}
	p.call("GET", "/v1/deliveries/"+page.Deliveries[0].ID, "", &d)
	return d
}

// badTemplates are what authors do by mistake. Each one's message is made by
// the built-in default, and its attempt says what is wrong, where.
var badTemplates = []struct {
	name, provider, source string
	words                  string // how its error begins, with its place
	hint                   string
}{
	{"syntax", "custom", "export default () => ({\n  a: 1,,\n});\n", `2:8: Expected identifier`, ""},
	{"outside", "custom", "import x from \"../../secret\";\nexport default () => x;\n", `1:15: "../../secret" is outside of the templates directory`, ""},
	{"circle", "custom", "import { b } from \"./lib/circle\";\nexport const a = 1;\nexport default () => b;\n", `1:19: imports go in a circle: circle.ts → lib/circle.ts → circle.ts`, ""},
	{"large", "custom", "export default () => null;\n//" + strings.Repeat("x", 10<<20), `it is longer than 256 KiB`, ""},
	{"loop", "custom", "export default () => {\n  while (true) {}\n};\n", `took longer than 250 ms`, ""},
	{"recursion", "custom", "const f = (n: number): number => f(n + 1) + 1;\nexport default () => String(f(0));\n", `1:3`, ""},
	{"repeat", "custom", "export default () =>\n  \"x\".repeat(2 ** 28);\n", `2:14: RangeError: repeat would make a text of 268435456 characters`, ""},
	{"regexp", "custom", "export default () =>\n  String(/^(a+)+\\1$/.test(\"a\".repeat(40) + \"b\"));\n", `took longer than 250 ms`, ""},
	{"thrown", "custom", "export default () => {\n  throw { code: 7 };\n};\n", `2:3: threw {"code":7}`, ""},
	{"promise", "custom", "export default async () => {\n  await new Promise(() => {});\n};\n", `the default export returned a promise that never settles`, "a template has everything"},
	{"embed", "slack", "export default () => ({ embeds: [{ title: \"x\" }] });\n", `slack does not take the message that it made: the message has no text, no blocks and no attachments`, ""},
	{"nothing", "custom", "export default () => {\n  ({ title: \"x\" });\n};\n", `the default export returned undefined`, "is a return missing?"},
	{"number", "custom", "export default () => 7;\n", `the default export returned a number`, ""},
	{"list", "custom", "export default () => [1, 2];\n", `the default export returned an array`, ""},
	{"misspelt", "custom", "export default (event: any) => event.actr.name;\n", `1:43: TypeError: Cannot read property 'name' of undefined`, "did you mean event.actor.name?"},
	{"memory", "custom", "export default () => {\n  const all: string[] = [];\n  const s = \"x\".repeat(1e6);\n  for (;;) all.push(s + all.length);\n};\n", `4:`, ""},
	{"native", "custom", "export default () => {\n  const a: number[] = [];\n  a.length = 4294967295;\n  return String(a.indexOf(1));\n};\n", `took longer than 250 ms and could not be interrupted`, ""},
}

// TestBadTemplatesLoseNothing gives each mistake a destination of its own.
func TestBadTemplatesLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("its time limits are real ones")
	}
	h := newHook(t)
	files := map[string]string{"templates/lib/circle.ts": "import { a } from \"../circle\";\nexport const b = a;\n"}
	var config strings.Builder
	config.WriteString("server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\ndestinations:\n")
	for _, bad := range badTemplates {
		files["templates/"+bad.name+".ts"] = bad.source
		url := h.URL + "/" + bad.name
		if bad.provider == "slack" {
			url = h.URL + "/services/T0/B0/" + bad.name
		}
		fmt.Fprintf(&config, "  %s: {provider: %s, url: \"%s\", template: %s.ts}\n", bad.name, bad.provider, url, bad.name)
	}
	files["relay.yaml"] = config.String()
	p := startRelay(t, workDir(t, files))
	p.accept(`{"type":"issue.created","title":"all hands","data":{}}`)
	p.until("every destination has its message", func() bool { return len(h.all()) >= len(badTemplates) })
	p.until("every delivery is over", func() bool { return p.states()["delivered"] == len(badTemplates) })

	for _, bad := range badTemplates {
		d := p.deliveryOf(bad.name)
		last := d.Log[len(d.Log)-1]
		switch e := last.TemplateError; {
		case d.State != "delivered" || len(d.Log) != 1:
			t.Errorf("%s: %s after %d attempts", bad.name, d.State, len(d.Log))
		case e == nil:
			t.Errorf("%s: the attempt says nothing of the template", bad.name)
		default:
			words := e.Message
			if e.Line > 0 {
				words = fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
			}
			if !strings.Contains(words, bad.words) || !strings.HasPrefix(e.File, bad.name) && !strings.HasPrefix(e.File, "lib/") {
				t.Errorf("%s: %s: %s\nwant …%s", bad.name, e.File, words, bad.words)
			}
			if !strings.HasPrefix(e.Hint, bad.hint) || (e.Line > 0) != strings.Contains(e.Frame, " | ") {
				t.Errorf("%s: hint %q, frame\n%s", bad.name, e.Hint, e.Frame)
			}
		}
		if !strings.Contains(last.Template, "issue.created") && !strings.Contains(last.Template, "default") {
			t.Errorf("%s: the message was made by %q", bad.name, last.Template)
		}
	}
	problems := map[string]bool{}
	for _, problem := range p.status().Templates.Problems {
		name, _, _ := strings.Cut(filepath.Base(problem.File), ".")
		problems[name] = true
	}
	for _, bad := range badTemplates {
		if !problems[bad.name] {
			t.Errorf("%s: status names no problem of it", bad.name)
		}
	}
	p.stop()
}

// TestTemplateThatCannotBeEnded: the plugin in which it runs is replaced, the
// sends beside it are finished, and it is not run again until it changes.
func TestTemplateThatCannotBeEnded(t *testing.T) {
	const deaf = "export default () => {\n  const a: number[] = [];\n  a.length = 4294967295;\n  return String(a.indexOf(1));\n};\n"
	h := newHook(t)
	release := make(chan struct{})
	var slow atomic.Int32
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		if r.URL.Path == "/slow" {
			slow.Add(1)
			<-release
		}
		w.Write([]byte(`{"code":0}`))
	}
	dir := workDir(t, map[string]string{
		"relay.yaml": `server: {listen: 127.0.0.1:0}
store: {path: ./store}
destinations:
  slow: {provider: custom, url: "` + h.URL + `/slow", events: [slow]}
  deaf: {provider: custom, url: "` + h.URL + `/deaf", events: ["deaf.*"], template: deaf.ts}
`,
		"templates/deaf.ts": deaf,
	})
	p := startRelay(t, dir)
	first, _ := p.plugin("custom")
	p.accept(`{"type":"slow","title":"in flight"}`)
	p.until("a send is in flight", func() bool { return slow.Load() == 1 })
	p.accept(`{"type":"deaf.1","title":"first"}`)
	p.until("the message arrives", func() bool { return p.states()["delivered"] == 1 })
	p.until("another process serves", func() bool { pid, _ := p.plugin("custom"); return pid != first })
	close(release)
	p.until("the send is finished", func() bool { return p.states()["delivered"] == 2 })
	if d := p.deliveryOf("slow"); len(d.Log) != 1 || d.Log[0].Verdict != "delivered" {
		t.Errorf("the send beside it: %+v", d)
	}
	second, restarts := p.plugin("custom")
	started := time.Now()
	p.accept(`{"type":"deaf.2","title":"second"}`)
	p.until("the next message arrives", func() bool { return p.states()["delivered"] == 3 })
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("the next message took %s", took)
	}
	if pid, again := p.plugin("custom"); pid != second || again != restarts {
		t.Errorf("the template ran again: process %d after %d, %d restarts after %d", pid, second, again, restarts)
	}
	var page struct{ Deliveries []struct{ ID string } }
	p.call("GET", "/v1/deliveries?type=deaf.2", "", &page)
	var d templateLog
	p.call("GET", "/v1/deliveries/"+page.Deliveries[0].ID, "", &d)
	if e := d.Log[0].TemplateError; e == nil || !strings.Contains(e.Message, "quarantined") {
		t.Errorf("the second attempt says %+v", e)
	}
	if all := p.status().Templates.Problems; len(all) != 1 || !strings.Contains(all[0].Message, "quarantined") {
		t.Errorf("status says %+v", all)
	}

	writeFile(t, filepath.Join(dir, "templates/deaf.ts"), `export default (event: any) => "mended " + event.title;`)
	p.until("it runs again once it changed", func() bool {
		if len(p.status().Templates.Problems) > 0 {
			return false
		}
		p.accept(`{"type":"deaf.3","title":"third"}`)
		return strings.Contains(strings.Join(h.all(), "\n"), "mended third")
	})
	p.stop()
	if n := strings.Count(p.log.String(), "is quarantined until it changes"); n != 1 {
		t.Errorf("the log says %d times that it is quarantined:\n%s", n, p.log)
	}
}

// TestTemplateThatKillsItsPlugin: where nothing else helps, the template is
// blamed before its delivery is given up.
func TestTemplateThatKillsItsPlugin(t *testing.T) {
	h := newHook(t)
	p := startRelay(t, workDir(t, map[string]string{
		"relay.yaml":                  fmt.Sprintf(crashConfig, h.URL),
		"templates/custom/default.ts": "export default (event: any) => {\n  const hidden = [\"rep\", \"eat\"].join(\"\");\n  return (\"x\" as any)[hidden](2 ** 36);\n};\n",
	}))
	p.accept(`{"id":"k","type":"issue.created","title":"deadly"}`)
	p.until("the message arrives", func() bool { return p.states()["delivered"] == 1 })
	d := p.deliveryOf("hook")
	last := d.Log[len(d.Log)-1]
	if len(d.Log) != 3 || last.TemplateError == nil || !strings.Contains(last.TemplateError.Message, "quarantined") {
		t.Errorf("%d attempts, the last with %+v", len(d.Log), last.TemplateError)
	}
	if _, doubles := h.counts(); doubles > 0 {
		t.Errorf("%d doubled", doubles)
	}
	p.stop()
}

// TestEditedUnderLoad edits a template, by a rename as editors do, by a
// symbolic link as Kubernetes does, and in a file that it imports, while 500
// events a second flow: the messages change within a second, and none fails.
func TestEditedUnderLoad(t *testing.T) {
	h := newHook(t)
	source := func(word string) string {
		return `import { mark } from "../lib/mark";
import { t } from "relay";
export default (event: any) => ({ id: event.id, word: "` + word + `" + mark + t("mine") });
`
	}
	dir := workDir(t, map[string]string{
		"relay.yaml":                  fmt.Sprintf(crashConfig, h.URL),
		"v1/custom/default.ts":        source("first"),
		"v1/lib/mark.ts":              `export const mark = "-a-";`,
		"v1/locales/en.json":          `{"mine": "one"}`,
		"v2/custom/default.ts":        source("linked"),
		"v2/lib/mark.ts":              `export const mark = "-a-";`,
		"v2/locales/en.json":          `{"mine": "one"}`,
		"v2/custom/issue.created.ts":  `export default () => { nonsense`,
		"v2/custom/unrelated.note.md": "not a template",
	})
	if err := os.Symlink("v1", filepath.Join(dir, "templates")); err != nil {
		t.Fatal(err)
	}
	p := startRelay(t, dir)
	p.plugin("custom")
	stop, stopped := make(chan struct{}), make(chan int, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-stop:
				stopped <- n
				return
			case <-tick.C:
			}
			var batch []string
			for range 10 {
				batch = append(batch, fmt.Sprintf(`{"id":"e%d","type":"some.thing","title":"x"}`, n))
				n++
			}
			if status, _, err := call(p.base, "POST", "/v1/events", "["+strings.Join(batch, ",")+"]"); err != nil || status != http.StatusAccepted {
				t.Errorf("POST answered %d, %v", status, err)
			}
		}
	}()
	arrives := func(word string) {
		t.Helper()
		begun := time.Now()
		p.until(word+" arrives", func() bool {
			all := h.all()
			return strings.Contains(strings.Join(all[max(0, len(all)-50):], "\n"), word)
		})
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%s took %s", word, took)
		} else {
			t.Logf("%s after %s", word, took)
		}
	}
	replace := func(name, content string) { // as editors do
		t.Helper()
		writeFile(t, filepath.Join(dir, "new"), content)
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	revision := func() string { // that made the newest message
		t.Helper()
		var page struct{ Deliveries []struct{ ID string } }
		p.until("a delivery is recorded", func() bool {
			p.call("GET", "/v1/deliveries?state=delivered&limit=1", "", &page)
			return len(page.Deliveries) > 0
		})
		var d templateLog
		p.call("GET", "/v1/deliveries/"+page.Deliveries[0].ID, "", &d)
		return d.Log[0].TemplateRevision
	}
	arrives("first-a-one")
	first := revision()
	replace("v1/custom/default.ts", source("second"))
	arrives("second-a-one")
	replace("v1/lib/mark.ts", `export const mark = "-b-";`)
	arrives("second-b-one")
	replace("v1/locales/en.json", `{"mine": "two"}`)
	arrives("second-b-two")
	if err := os.Symlink("v2", filepath.Join(dir, "swap")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "swap"), filepath.Join(dir, "templates")); err != nil {
		t.Fatal(err)
	}
	arrives("linked-a-one") // and the bad one beside it does not hold it up
	close(stop)
	sent := <-stopped
	p.until("all are delivered", func() bool { return p.states()["delivered"] == sent })
	if last := revision(); first == "" || last == "" || first == last {
		t.Errorf("the first message was made by revision %q, the last by %q", first, last)
	}
	if _, doubles := h.counts(); doubles > 0 || len(h.all()) != sent {
		t.Errorf("%d messages of %d events, %d doubled", len(h.all()), sent, doubles)
	}
	p.stop()
}
