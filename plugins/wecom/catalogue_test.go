package wecom

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
	"github.com/relay-sidecar/relay/templates"
)

// compiler compiles in this process.
type compiler struct{}

func (compiler) Compile(_ context.Context, files map[string][]byte, entries []string) ([]scripts.Compiled, error) {
	return scripts.Compile(files, entries), nil
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
		"recipients": []any{map[string]any{"name": "Bob", "ids": map[string]any{"wecom": "manager7"}}, map[string]any{"name": "Carol", "email": "carol@example.com"}},
		"data":       map[string]any{"environment": "prod", "stage": "Prod stage", "task": map[string]any{"name": "orders.sql", "status": "FAILED"}},
	})
	return raw
}

// TestCatalogue renders every type that templates ship for with the built-in
// templates.
func TestCatalogue(t *testing.T) {
	set, err := scripts.NewLibrary(scripts.Options{BuiltIn: templates.FS(), Compiler: compiler{}, Logger: slog.New(slog.DiscardHandler)}).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, eventType := range relay.Catalogue() {
		for language, zone := range map[string]string{"en": "Europe/Berlin", "zh-CN": "Asia/Shanghai"} {
			if language != "en" && eventType != "issue.approval_requested" {
				continue
			}
			t.Run(eventType+"."+language, func(t *testing.T) {
				template, err := render.New(*set.Find("wecom", eventType))
				if err != nil {
					t.Fatal(err)
				}
				out, fault := template.Render(t.Context(), render.Input{Event: sample(eventType), Seed: "1", Context: render.Context{
					Destination: "dba", Provider: "wecom", Language: language, TimeZone: zone, Now: time.Date(2026, 11, 21, 8, 0, 1, 0, time.UTC),
				}})
				if fault != nil {
					t.Fatal(fault)
				}
				golden(t, "catalogue/"+eventType+"."+language, out.Rendered)
			})
		}
	}
}
