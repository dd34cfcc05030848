// Package scriptstest renders what ships with relay, for the tests of those who
// turn it into something else.
package scriptstest

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/render"
	"github.com/relay-sidecar/relay/templates"
)

// Catalogue calls f, as a subtest, with what the built-in template of every
// event type makes for a provider in English, and for one type in Chinese. The
// recipients are Bob, who has the id at the provider, and Carol, who has a phone.
func Catalogue(t *testing.T, provider, id string, f func(t *testing.T, name string, d *plugin.Delivery, r relay.Rendered)) {
	t.Helper()
	library := scripts.NewLibrary(scripts.Options{BuiltIn: templates.FS(), Compiler: inProcess{}, Logger: slog.New(slog.DiscardHandler)})
	set, err := library.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if problems := set.Problems(); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, eventType := range relay.Catalogue() {
		for language, zone := range map[string]string{"en": "Europe/Berlin", "zh-CN": "Asia/Shanghai"} {
			if language != "en" && eventType != "issue.approval_requested" {
				continue
			}
			name := eventType + "." + language
			t.Run(name, func(t *testing.T) {
				d := &plugin.Delivery{
					ID: "0199a5b0-0000-7000-8000-000000000001", Attempt: 1, EventID: "0199a5b0-0000-7000-8000-000000000000",
					Event: Event(eventType, provider, id),
					Context: plugin.Context{
						Destination: "dba-team", Provider: provider, Language: language, TimeZone: zone, Now: time.Date(2026, 11, 21, 8, 0, 1, 0, time.UTC),
					},
				}
				f(t, name, d, rendered(t, set.Find(provider, eventType), d))
			})
		}
	}
}

func rendered(t *testing.T, p *relay.Program, d *plugin.Delivery) relay.Rendered {
	t.Helper()
	template, err := render.New(*p)
	if err != nil {
		t.Fatal(err)
	}
	out, fault := template.Render(t.Context(), render.Input{Event: d.Event, Seed: d.ID, Context: render.Context{
		Destination: d.Destination, Provider: d.Provider, Language: d.Language, TimeZone: d.TimeZone, Now: d.Now,
	}})
	if fault != nil {
		t.Fatal(fault)
	}
	return out.Rendered
}

// Event is an event of a type with everything in it that senders give.
func Event(eventType, provider, id string) json.RawMessage {
	level := relay.LevelInfo
	switch {
	case strings.HasSuffix(eventType, "failed"):
		level = relay.LevelError
	case strings.HasSuffix(eventType, "approval_requested"):
		level = relay.LevelWarn
	case strings.HasSuffix(eventType, "completed"), strings.HasSuffix(eventType, "approved"):
		level = relay.LevelSuccess
	}
	bob := map[string]any{"name": "Bob", "email": "bob@example.com"}
	if id != "" {
		bob["ids"] = map[string]any{provider: id}
	}
	raw, _ := json.Marshal(map[string]any{ // plain data always encodes
		"id": "7f0c2b1e", "type": eventType, "source": "bytebase", "time": "2026-11-21T08:00:00Z", "level": level,
		"title": "add index to orders", "description": "Adds an index on **orders(created_at)**.",
		"link":       "https://bytebase.example.com/projects/demo/issues/101",
		"actor":      map[string]any{"id": 1, "name": "Alice", "email": "alice@example.com"},
		"project":    map[string]any{"id": 1, "name": "demo"},
		"issue":      map[string]any{"id": 101, "name": "add index", "status": "DONE", "type": "bb.issue.database.schema.update"},
		"recipients": []any{bob, map[string]any{"name": "Carol", "phone": "+8613800000000"}},
		"data":       map[string]any{"environment": "prod", "stage": "Prod stage", "task": map[string]any{"name": "orders.sql", "status": "FAILED"}},
	})
	return raw
}

// inProcess compiles without a child: what ships does not crash the compiler.
type inProcess struct{}

func (inProcess) Compile(_ context.Context, files map[string][]byte, entries []string) ([]scripts.Compiled, error) {
	return scripts.Compile(files, entries), nil
}
