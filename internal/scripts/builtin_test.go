package scripts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// builtIn loads what ships with relay.
func builtIn(t testing.TB) *scripts.Set {
	t.Helper()
	set, err := scripts.NewLibrary(scripts.Options{
		BuiltIn: os.DirFS("../../templates"), Compiler: &inProcess{}, Logger: slog.New(slog.DiscardHandler),
	}).Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Problems() {
		t.Error(p)
	}
	return set
}

// sample is an event of a type with everything in it that senders give.
func sample(eventType string) []byte {
	level := relay.LevelInfo
	switch {
	case strings.HasSuffix(eventType, "failed"):
		level = relay.LevelError
	case strings.HasSuffix(eventType, "approval_requested"):
		level = relay.LevelWarn
	case strings.HasSuffix(eventType, "completed"), strings.HasSuffix(eventType, "approved"):
		level = relay.LevelSuccess
	}
	raw, _ := json.Marshal(map[string]any{
		"id": "7f0c2b1e", "type": eventType, "source": "bytebase", "time": "2026-11-21T08:00:00Z", "level": level,
		"title": "add index to orders", "description": "Adds an index on **orders(created_at)**.",
		"link":       "https://bytebase.example.com/projects/demo/issues/101",
		"actor":      map[string]any{"id": 1, "name": "Alice", "email": "alice@example.com"},
		"project":    map[string]any{"id": 1, "name": "demo"},
		"issue":      map[string]any{"id": 101, "name": "add index", "status": "DONE", "type": "bb.issue.database.schema.update"},
		"recipients": []any{map[string]any{"name": "Bob", "email": "bob@example.com"}, map[string]any{"name": "Carol", "phone": "+8613800000000"}},
		"data":       map[string]any{"environment": "prod", "stage": "Prod stage", "task": map[string]any{"name": "orders.sql", "status": "FAILED"}},
	})
	return raw
}

func input(event []byte, language string, direct bool) render.Input {
	zone := map[string]string{"en": "Europe/Berlin", "zh-CN": "Asia/Shanghai"}[language]
	return render.Input{Event: event, Seed: "0199a5b0", Context: render.Context{
		Destination: "dba-team", Provider: "slack", Direct: direct, Language: language, TimeZone: zone,
		Now: time.Date(2026, 11, 21, 8, 0, 1, 0, time.UTC),
	}}
}

// TestCatalogue renders every type that templates ship for, and one that has no
// template, in both languages, and compares with testdata/catalogue.
func TestCatalogue(t *testing.T) {
	set := builtIn(t)
	for _, eventType := range append(relay.Catalogue(), "billing.invoice_overdue") {
		for _, language := range []string{"en", "zh-CN"} {
			t.Run(eventType+"/"+language, func(t *testing.T) {
				p := set.Find("slack", eventType)
				if want := eventType + ".ts"; p.Name != want && eventType != "billing.invoice_overdue" {
					t.Errorf("Find(%q) = %s, want %s", eventType, p.Name, want)
				}
				golden(t, filepath.Join("testdata", "catalogue", eventType+"."+language+".json"), renderJSON(t, p, input(sample(eventType), language, false)))
			})
		}
	}
}

func renderJSON(t *testing.T, p *relay.Program, in render.Input) []byte {
	t.Helper()
	template, err := render.New(*p)
	if err != nil {
		t.Fatal(err)
	}
	out, fault := template.Render(context.Background(), in)
	if fault != nil {
		t.Fatal(fault)
	}
	if out.Portable == nil {
		t.Fatalf("%s made %s, want a portable message", p.Name, out.JSON)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out.JSON, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	// The characters around mentions cannot be seen; their escapes can.
	return []byte(strings.NewReplacer("\uE000", `\ue000`, "\uE001", `\ue001`).Replace(pretty.String()))
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; make it with: go test ./internal/scripts -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

// TestBuiltInTemplatesTakeAnyEvent: nothing stands behind the built-in
// templates, so no event that relay accepts may make one fail.
func TestBuiltInTemplatesTakeAnyEvent(t *testing.T) {
	events := map[string]string{
		"Bare": `{"id":"1","type":"T","source":"events","time":"2026-11-21T08:00:00Z","level":"info","title":"t"}`,
		"Nulls": `{"id":"1","type":"T","source":"events","time":"2026-11-21T08:00:00Z","level":"info","title":"t",
			"actor":null,"project":null,"issue":null,"recipients":null,"data":null,"link":null,"description":null}`,
		"OddData": `{"id":"1","type":"T","source":"events","time":"2026-11-21T08:00:00Z","level":"error","title":"t",
			"data":{"environment":{"x":[]},"stage":[1,[2]],"task":7,"status":{"a":1}},"issue":{"id":9007199254740993},"actor":{},"recipients":[{}]}`,
		"Largest": `{"id":"1","type":"T","source":"events","time":"2026-11-21T08:00:00Z","level":"warn","title":"` +
			strings.Repeat("题", 1000) + `","description":"` + strings.Repeat("x", 64<<10) + `","recipients":[` +
			strings.Repeat(`{"name":"`+strings.Repeat("n", 200)+`"},`, 99) + `{"email":"z@example.com"}]}`,
	}
	set := builtIn(t)
	for name, event := range events {
		for _, p := range set.Programs() {
			t.Run(name+"/"+p.Name, func(t *testing.T) {
				for _, direct := range []bool{false, true} {
					renderJSON(t, p, input([]byte(event), "zh-CN", direct))
				}
			})
		}
	}
}

// TestDirectMessagesSpeakToTheirReader: by name, where there is one, and to
// nobody else. A name is text, whatever it holds.
func TestDirectMessagesSpeakToTheirReader(t *testing.T) {
	set := builtIn(t)
	for _, c := range []struct{ eventType, language, recipient, want string }{
		{"issue.approval_requested", "en", `{"name":"Bob"}`, "Bob, your approval is needed: add index to orders"},
		{"issue.approval_requested", "zh-CN", `{"name":"Bob"}`, "Bob，有一个工单等待您审批：add index to orders"},
		{"issue.approval_requested", "en", `{"email":"bob@example.com"}`, "Your approval is needed: add index to orders"},
		{"issue.approval_requested", "zh-CN", `{}`, "有一个工单等待您审批：add index to orders"},
		{"issue.approved", "en", `{"name":" {title} *B* [x](y) "}`, "{title} *B* [x](y), your issue was approved: add index to orders"},
		{"issue.approved", "en", `{"name":"` + strings.Repeat("字", 100) + `"}`, strings.Repeat("字", 59) + "…, your issue was approved: add index to orders"},
		{"issue.sent_back", "en", `{"name":" "}`, "Your issue was sent back: add index to orders"},
		{"issue.sent_back", "zh-CN", `{"name":"王芳"}`, "王芳，您的工单被退回：add index to orders"},
		{"issue.rollout_requested", "en", `null`, "Your issue is waiting for rollout: add index to orders"},
		{"relay.test", "en", `{"name":"Bob"}`, "Bob, this is a test: add index to orders"},
		{"issue.created", "en", `{"name":"Bob"}`, "Issue created: add index to orders"},
	} {
		in := input(sample(c.eventType), c.language, true)
		in.Context.Recipient = json.RawMessage(c.recipient)
		var got relay.Message
		made := renderJSON(t, set.Find("slack", c.eventType), in)
		if err := json.Unmarshal(made, &got); err != nil {
			t.Fatal(err)
		}
		if got.Title != c.want || len(got.Mentions) > 0 || strings.Contains(string(made), "Carol") {
			t.Errorf("%s to %s: got %s, want %q", c.eventType, c.recipient, made, c.want)
		}
	}
	in := input([]byte(`{"id":"1","type":"relay.test","source":"relay","time":"2026-11-21T08:00:00Z","level":"info","title":"t"}`), "en", true)
	if got := string(renderJSON(t, set.Find("slack", "relay.test"), in)); !strings.Contains(got, `"Direct messages of dba-team reach you here."`) {
		t.Errorf("got %s", got)
	}
}

// TestCustomSaysWhatTheEventSays: the custom provider's formats are shapes of
// the event.
func TestCustomSaysWhatTheEventSays(t *testing.T) {
	set := builtIn(t)
	p := set.Find("custom", "issue.created")
	if p.Name != "custom/default.ts" {
		t.Fatalf("Find(custom) = %s, want custom/default.ts", p.Name)
	}
	want := `{
  "$relay": 1,
  "title": "add index to orders",
  "text": "Adds an index on **orders(created_at)**.",
  "level": "info",
  "link": "https://bytebase.example.com/projects/demo/issues/101"
}
`
	if got := renderJSON(t, p, input(sample("issue.created"), "zh-CN", false)); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestTranslationsAreComplete: a key that one language lacks shows English to
// its readers.
func TestTranslationsAreComplete(t *testing.T) {
	locales := builtIn(t).Programs()[0].Locales.Strings
	for language, texts := range locales {
		for other, others := range locales {
			for key := range others {
				if texts[key] == "" {
					t.Errorf("%s has no %q, which %s has", language, key, other)
				}
			}
		}
	}
}
