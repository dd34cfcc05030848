package teams

import (
	"encoding/json"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
	"github.com/relay-sidecar/relay/templates"
)

// TestCatalogue renders every type of the catalogue with the template that
// ships for it, and composes what a flow gets.
func TestCatalogue(t *testing.T) {
	files := map[string][]byte{}
	locales := relay.Locales{Revision: "test", Strings: map[string]map[string]string{}}
	err := fs.WalkDir(templates.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(templates.FS(), name)
		if language, ok := strings.CutSuffix(path.Base(name), ".json"); ok && err == nil {
			texts := map[string]string{}
			locales.Strings[language] = texts
			return json.Unmarshal(raw, &texts)
		}
		files[name] = raw
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, eventType := range relay.Catalogue() {
		entries = append(entries, eventType+".ts")
	}
	for i, c := range scripts.Compile(files, entries) {
		eventType := relay.Catalogue()[i]
		for _, language := range []string{"en", "zh-CN"} {
			if language != "en" && eventType != "issue.approval_requested" {
				continue
			}
			t.Run(eventType+"/"+language, func(t *testing.T) {
				if len(c.Problems) > 0 {
					t.Fatal(c.Problems)
				}
				template, err := render.New(relay.Program{Name: c.Name, Code: c.Code, Locales: &locales})
				if err != nil {
					t.Fatal(err)
				}
				out, fault := template.Render(t.Context(), render.Input{Event: sample(eventType), Seed: "0199a5b0", Context: render.Context{
					Destination: "dba-team", Provider: "teams", Language: language, TimeZone: "UTC",
					Now: time.Date(2026, 11, 21, 8, 0, 1, 0, time.UTC),
				}})
				if fault != nil {
					t.Fatal(fault)
				}
				body := compose(t, out.Rendered)
				refuse(t, body)
				golden(t, filepath.Join("catalogue", eventType+"."+language), body)
			})
		}
	}
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
		"link":    "https://bytebase.example.com/projects/demo/issues/101",
		"actor":   map[string]any{"id": 1, "name": "Alice", "email": "alice@example.com"},
		"project": map[string]any{"id": 1, "name": "demo"},
		"issue":   map[string]any{"id": 101, "name": "add index", "status": "DONE", "type": "bb.issue.database.schema.update"},
		"recipients": []any{
			map[string]any{"name": "Bob", "email": "bob@example.com"},
			map[string]any{"name": "Carol", "phone": "+8613800000000"},
		},
		"data": map[string]any{"environment": "prod", "stage": "Prod stage", "task": map[string]any{"name": "orders.sql", "status": "FAILED"}},
	})
	return raw
}
