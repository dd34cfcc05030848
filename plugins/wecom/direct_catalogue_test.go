package wecom

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugin/render"
	"github.com/relay-sidecar/relay/templates"
)

// TestDirectCatalogue composes what the shipped templates make of the types
// that speak to their reader, in both languages.
func TestDirectCatalogue(t *testing.T) {
	set, err := scripts.NewLibrary(scripts.Options{BuiltIn: templates.FS(), Compiler: inProcess{}, Logger: slog.New(slog.DiscardHandler)}).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, eventType := range []string{"issue.approval_requested", "issue.approved", "issue.sent_back", "issue.rollout_requested", "relay.test"} {
		for language, zone := range map[string]string{"en": "Europe/Berlin", "zh-CN": "Asia/Shanghai"} {
			name := eventType + "." + language
			t.Run(name, func(t *testing.T) {
				template, err := render.New(*set.Find("wecom", eventType))
				if err != nil {
					t.Fatal(err)
				}
				out, fault := template.Render(t.Context(), render.Input{
					Event: scriptstest.Event(eventType, "wecom", "manager7"), Seed: deliveryID, Context: render.Context{
						Destination: "dba-team", Provider: "wecom", Language: language, TimeZone: zone, Now: time.Date(2026, 11, 21, 8, 0, 1, 0, time.UTC),
						Direct: true, Recipient: json.RawMessage(`{"name":"Bob","email":"bob@example.com","ids":{"wecom":"manager7"}}`),
					},
				})
				if fault != nil {
					t.Fatal(fault)
				}
				body := sendBody(t, out.Rendered)
				plugintest.Golden(t, "direct/catalogue/"+name, body, *update)
				if strings.Contains(string(body), "Carol") || !strings.Contains(string(body), "Bob") {
					t.Errorf("it does not speak to Bob alone: %s", body)
				}
			})
		}
	}
}

// inProcess compiles without a child: what ships does not crash the compiler.
type inProcess struct{}

func (inProcess) Compile(_ context.Context, files map[string][]byte, entries []string) ([]scripts.Compiled, error) {
	return scripts.Compile(files, entries), nil
}
