package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// TestConformance builds the plugin and runs relay's conformance kit on it.
func TestConformance(t *testing.T) {
	executable := filepath.Join(t.TempDir(), "relay-plugin-ntfy")
	if out, err := exec.Command("go", "build", "-o", executable, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plugintest.Run(t, "plugincheck.json", executable)
}

// What a portable message becomes in ntfy's words.
func TestCompose(t *testing.T) {
	place, problems := (&provider{}).Open(plugin.Settings{Target: []byte(`{"topic": "alerts"}`)})
	if problems != nil {
		t.Fatal(problems)
	}
	request, err := place.Compose(&plugin.Delivery{ID: "d1"}, relay.Rendered{Portable: &relay.Message{
		Title: "Rollout failed", Text: "It was **release 42**.", Level: "error", Link: "https://ci.example.com/42",
		Fields: []relay.Field{{Name: "Stage", Value: "prod"}}, Actions: []relay.Action{{Text: "Review", URL: "https://ci.example.com/42/review"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"topic":"alerts","title":"Rollout failed","message":"It was release 42.\n\nStage: prod","priority":5,"click":"https://ci.example.com/42",` +
		`"actions":[{"action":"view","label":"Review","url":"https://ci.example.com/42/review"}],"sequence_id":"d1"}`
	if string(request.Body) != want {
		t.Errorf("got\n%s\nwant\n%s", request.Body, want)
	}
}
