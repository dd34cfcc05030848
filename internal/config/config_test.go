package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
)

var update = flag.Bool("update", false, "write the expected words anew")

// Schemas in the shape of those that plugins publish.
const (
	slackProvider = `{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
		"properties": {"api_base": {"$ref": "#/$defs/url"}, "bot_token": {"type": "string", "writeOnly": true}},
		"$defs": {"url": {"type": "string", "format": "relay-url"}}}`
	slackDestination = `{"type": "object", "required": ["url"], "additionalProperties": false,
		"properties": {"url": {"type": "string", "format": "relay-url", "writeOnly": true}}}`
	customDestination = `{"type": "object", "required": ["url"],
		"properties": {
			"url": {"type": "string", "format": "relay-url", "x-relay-http": "anywhere", "writeOnly": true},
			"secret": {"type": "string", "writeOnly": true},
			"secrets": {"type": "array", "items": {"type": "string"}, "writeOnly": true},
			"headers": {"type": "object", "additionalProperties": {"type": "string"}, "writeOnly": true},
			"format": {"type": "string", "enum": ["bytebase", "event", "cloudevents"]},
			"verify": {"type": "boolean"}, "agent_id": {"type": "integer"}, "any": {}},
		"not": {"required": ["secret", "secrets"]}}`
	chatDestination = `{"anyOf": [{"required": ["url"]}, {"required": ["channel"]}],
		"properties": {"url": {"type": "string"}, "channel": {"type": "string"}}}`
)

func options(env map[string]string) config.Options {
	return config.Options{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Provider: func(name string) (config.Schemas, bool) {
			switch name {
			case "slack":
				return config.Schemas{Provider: []byte(slackProvider), Destination: []byte(slackDestination), Rate: relay.Rate{Count: 1, Per: time.Second}, DirectTimeout: 30 * time.Second}, true
			case "custom":
				return config.Schemas{Destination: []byte(customDestination), Concurrency: 32}, true
			case "chat":
				return config.Schemas{Destination: []byte(chatDestination)}, true
			}
			return config.Schemas{}, false
		},
		Providers: []string{"slack", "custom", "chat"},
		Sources:   []string{"bytebase", "backlog"},
	}
}

// environment is what the files in testdata may refer to.
func environment() map[string]string {
	return map[string]string{"PORT": "8750", "NOT_A_URL": "hunter2hunter2", "EMPTY": ""}
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("found %d bad files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			cfg, _, err := config.Load(file, options(environment()))
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error %v, want problems", err)
			}
			if cfg == nil || cfg.Revision == "" || len(cfg.Files) == 0 || cfg.Destinations != nil {
				t.Errorf("a refused file gives %+v, want its files and revision only", cfg)
			}
			got := strings.ReplaceAll(problems.Error(), file, "relay.yaml") + "\n"
			for _, secret := range []string{"verysecret", "secretsecret", "hunter2", "one-secret", "two-secret"} {
				if strings.Contains(got, secret) {
					t.Errorf("the words show the secret %s:\n%s", secret, got)
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
