package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bytebaseBody is the example of Bytebase's documents.
const bytebaseBody = `{"level":"INFO","activity_type":"bb.issue.created","title":"example webhook","description":"example description","link":"example link","creator_id":1,"creator_name":"Bytebase","created_ts":1651212107,"issue":{"id":1,"name":"example issue","status":"OPEN","type":"bb.issue.database.create"},"project":{"id":1,"name":"demo"}}`

// isZombie reports a process that has ended and waits to be reaped by another.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "stat"))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// TestBytebaseToSlackAndCustom goes the whole way with a real sender's body.
func TestBytebaseToSlackAndCustom(t *testing.T) {
	slack, custom := newHook(t), newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
destinations:
  team:  {provider: slack, url: "%s/services/T0001/B0001/very-secret-token"}
  audit: {provider: custom, url: "%s/hook?key=another-secret"}
`, slack.URL, custom.URL)})
	p := startRelay(t, dir)
	status, answer, err := call(p.base, "POST", "/v1/sources/bytebase", bytebaseBody)
	if err != nil || status != 200 || strings.TrimSpace(string(answer)) != `{"code":0,"message":""}` {
		t.Fatalf("answered %d %s, %v", status, answer, err)
	}
	p.until("both got it", func() bool { return len(slack.all()) == 1 && len(custom.all()) == 1 })

	var got, sent map[string]any
	if err := json.Unmarshal([]byte(custom.all()[0]), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(bytebaseBody), &sent); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"level", "title", "description", "creator_id", "creator_name", "created_ts"} {
		if fmt.Sprint(got[key]) != fmt.Sprint(sent[key]) {
			t.Errorf("custom got %s %v, the sender sent %v", key, got[key], sent[key])
		}
	}
	// "bb.issue.created" was never an id of Bytebase's: it goes on by its real one.
	if got["activity_type"] != "bb.issue.create" {
		t.Errorf("custom got activity_type %v", got["activity_type"])
	}
	if !strings.Contains(slack.all()[0], "example webhook") || !strings.Contains(slack.all()[0], "example description") {
		t.Errorf("Slack got %s", slack.all()[0])
	}

	p.until("both are recorded", func() bool {
		var page struct{ Deliveries []struct{ State string } }
		p.call("GET", "/v1/deliveries?state=delivered", "", &page)
		return len(page.Deliveries) == 2
	})
	var page struct {
		Deliveries []struct{ ID, Destination string }
	}
	p.call("GET", "/v1/deliveries", "", &page)
	for _, d := range page.Deliveries {
		show := exec.Command("relay", "deliveries", "show", d.ID, "--server", p.base)
		out, err := show.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range []string{d.ID, "attempt 1", "delivered", "template", "request   POST http://", "answer    200"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("deliveries show of %s lacks %q:\n%s", d.Destination, want, out)
			}
		}
		if strings.Contains(string(out), "secret-token") || strings.Contains(string(out), "another-secret") {
			t.Errorf("a secret shows:\n%s", out)
		}
	}
	p.stop()
	if strings.Contains(p.log.String(), "secret-token") || strings.Contains(p.log.String(), "another-secret") {
		t.Errorf("a secret shows in the log:\n%s", p.log)
	}
}

// TestTemplateIsEditedWhileEventsFlow edits, breaks and mends a template.
func TestTemplateIsEditedWhileEventsFlow(t *testing.T) {
	h := newHook(t)
	template := func(word string) string {
		return `import { message, type Event } from "relay";
export default (event: Event) => message({ title: "` + word + ` " + event.title });
`
	}
	dir := workDir(t, map[string]string{
		"relay.yaml":                    fmt.Sprintf(crashConfig, h.URL),
		"templates/custom/default.ts":   template("first"),
		"templates/lib/not-a-target.ts": "export const x = 1;\n",
	})
	p := startRelay(t, dir)
	n := 0
	arrives := func(word string) func() bool {
		return func() bool { // a new event for every look
			n++
			p.accept(fmt.Sprintf(`{"type":"issue.created","title":"event-%d"}`, n))
			seen := false
			for _, body := range h.all() {
				seen = seen || strings.Contains(body, `"title":"`+word+` event-`)
			}
			return seen
		}
	}
	p.until("the first version renders", arrives("first"))

	path := filepath.Join(dir, "templates/custom/default.ts")
	writeFile(t, path, template("second"))
	p.until("the second version renders", arrives("second"))

	writeFile(t, path, "import { message } from \"relay\";\nexport default (event) => message({ title: ;\n")
	var problem placedProblem
	p.until("the mistake is reported", func() bool {
		for _, problem = range p.status().Templates.Problems {
			return true
		}
		return false
	})
	if !strings.HasSuffix(problem.File, "templates/custom/default.ts") || problem.Line != 2 || problem.Column == 0 {
		t.Errorf("the mistake is reported as %+v", problem)
	}
	before := len(h.all())
	p.accept(`{"type":"issue.created","title":"meanwhile"}`)
	p.until("the last good version goes on", func() bool { return len(h.all()) > before })
	p.until("it renders what came meanwhile", func() bool {
		all := h.all()
		return strings.Contains(strings.Join(all, "\n"), `"title":"second meanwhile"`)
	})

	writeFile(t, path, template("third"))
	p.until("the mended version renders", arrives("third"))
	p.until("the problem is over", func() bool { return len(p.status().Templates.Problems) == 0 })
	p.stop()
	if !strings.Contains(p.log.String(), "default.ts:2:") {
		t.Errorf("the log does not name the place of the mistake:\n%s", p.log)
	}
}

// TestConfigIsReloadedOrRefused changes relay.yaml under a running relay.
func TestConfigIsReloadedOrRefused(t *testing.T) {
	first, second := newHook(t), newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, first.URL)})
	p := startRelay(t, dir)
	p.accept(`{"type":"issue.created","title":"one"}`)
	p.until("the first place got it", func() bool { return len(first.all()) == 1 })

	path := filepath.Join(dir, "relay.yaml")
	good := fmt.Sprintf(crashConfig, second.URL)
	writeFile(t, path, strings.Replace(good, "format: event", "formt: event", 1))
	p.until("the mistake is reported", func() bool { return p.status().Config.Refused != nil })
	problem := p.status().Config.Refused.Problems[0]
	if problem.Line != 5 || problem.Path != "destinations.hook.formt" || !strings.Contains(problem.Message, "did you mean format?") {
		t.Errorf("the mistake is reported as %+v", problem)
	}
	p.accept(`{"type":"issue.created","title":"two"}`)
	p.until("what ran keeps running", func() bool { return len(first.all()) == 2 })

	writeFile(t, path, good)
	p.until("the refusal is over", func() bool { return p.status().Config.Refused == nil })
	p.accept(`{"type":"issue.created","title":"three"}`)
	p.until("the second place got it", func() bool { return len(second.all()) == 1 })

	// Back to what ran before, by way of a mistake: no error stays behind.
	writeFile(t, path, good+"oops: true\n")
	p.until("the second mistake is reported", func() bool { return p.status().Config.Refused != nil })
	writeFile(t, path, good)
	p.until("reverting clears it", func() bool { return p.status().Config.Refused == nil })

	writeFile(t, path, strings.Replace(good, "./store", "./elsewhere", 1))
	p.until("what needs a restart is refused by name", func() bool {
		r := p.status().Config.Refused
		return r != nil && r.Problems[0].Path == "store.path" && strings.Contains(r.Problems[0].Message, "restart")
	})
	p.stop()
}
