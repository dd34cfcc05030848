package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/relay-sidecar/relay/internal/config"
)

// editorSchema is what an editor makes of the schema for the file at path.
func editorSchema(t *testing.T, path string) *jsonschema.Schema {
	t.Helper()
	data, err := config.Schema(path, options(nil))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "x-relay") || strings.Contains(string(data), `"relay-`) {
		t.Error("the schema has words that editors do not know")
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("relay.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("relay.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// editorSees is the file as an editor reads it: by the rules of YAML alone.
func editorSees(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// An editor finds no fault where relay finds none.
func TestSchemaForEditorsTakesGoodFiles(t *testing.T) {
	for _, path := range []string{"testdata/good.yaml", "../../relay.yaml", "../../cmd/relay/starter/relay.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := editorSchema(t, path).Validate(editorSees(t, text)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSchemaForEditorsFindsFaults(t *testing.T) {
	schema := editorSchema(t, "nowhere.yaml")
	for text, good := range map[string]bool{
		"destinations: {d: {provider: slack, url: https://a.example}}":                          true,
		"destinations: {d: {provider: slack, url: https://a.example, rate: '${RATE}'}}":         true,
		"destinations: {d: {provider: slack, url: https://a.example, language: '${LANG:-en}'}}": true,
		"destinations: {d: {provider: custom, url: https://a.example, agent_id: '${ID}'}}":      true,
		"destinations: {d: {provider: an-entry-to-come, url: https://a.example}}":               true,
		"server:\ndestinations:\n":                                     true,
		"destinations: {d: {provider: slack, ulr: https://a.example}}": false,
		"destinations: {d: {provider: slack}}":                         false,
		"destinations: {d: {url: https://a.example}}":                  false,
		"store: {max_pending: many}":                                   false,
		"log: {level: loud}":                                           false,
		"destintions: {}":                                              false,
	} {
		if err := schema.Validate(editorSees(t, []byte(text))); (err == nil) != good {
			t.Errorf("%s: %v, want good to be %v", text, err, good)
		}
	}
}

// An editor takes a value where relay takes it, and marks it where relay does
// not: of every kind of value the good and the bad ones at every kind of key.
func TestSchemaForEditorsAgreesWithCheck(t *testing.T) {
	schema := editorSchema(t, "nowhere.yaml")
	keys := map[string]string{ // path → a file with it
		"store.removed_grace": "store: {removed_grace: VALUE}", "store.retain": "store: {retain: VALUE}", "store.max_size": "store: {max_size: VALUE}",
		"server.listen": "server: {listen: VALUE}", "server.socket_mode": "server: {socket_mode: VALUE}", "server.max_body": "server: {max_body: VALUE}",
		"egress.allow[0]": "egress: {allow: [VALUE]}", "log.level": "log: {level: VALUE}",
		"sources.a.script": "sources: {a: {script: VALUE}}", "sources.b.standard_webhooks.secret": "sources: {b: {standard_webhooks: {secret: VALUE}}}",
		"destinations.u.url": "destinations: {u: {provider: custom, url: VALUE}}",
	}
	for _, key := range []string{"timeout", "rate", "template", "time_zone", "retry", "concurrency", "disabled"} {
		keys["destinations."+key+"."+key] = "destinations: {" + key + ": {provider: custom, url: https://a.example, " + key + ": VALUE}}"
	}
	const whole = `
store: {removed_grace: VALUE, retain: VALUE, max_size: VALUE}
server: {tokens: [a-token-for-all], listen: VALUE, socket_mode: VALUE, max_body: VALUE}
egress: {allow: [VALUE]}
log: {level: VALUE}
sources: {a: {script: VALUE}, b: {standard_webhooks: {secret: VALUE}}}
destinations:
  u: {provider: custom, url: VALUE}
  timeout: {provider: custom, url: https://a.example, timeout: VALUE}
  rate: {provider: custom, url: https://a.example, rate: VALUE}
  template: {provider: custom, url: https://a.example, template: VALUE}
  time_zone: {provider: custom, url: https://a.example, time_zone: VALUE}
  retry: {provider: custom, url: https://a.example, retry: VALUE}
  concurrency: {provider: custom, url: https://a.example, concurrency: VALUE}
  disabled: {provider: custom, url: https://a.example, disabled: VALUE}
`
	for _, value := range []string{
		"10", "'10'", "0", "'0'", "1", "10s", "'10s'", "1h30m", "1.5h", ".5s", "0s", "250ms", "30d", "fast", "10 s", "-1s", "10x", "1d1", "s",
		"1MiB", "64KiB", "1MB", "10GiB", "5B", "0KiB", "1/s", "20/m", "0/m", "20/d", "5 per minute", "/s",
		"8750", "127.0.0.1:8750", "localhost:0", "'[::1]:8750'", "'127.0.0.1:99999'", "127.0.0.1", "127.0.0.1:http", "unix:///run/r.sock", "unix://r.sock", "a/b:1",
		"0660", "'0660'", "'0o600'", "rw", "Asia/Shanghai", "UTC", "a/b.ts", "b.js", "/b.ts", "sources/a.ts", "b.py",
		"https://a.example/x", "HTTPS://a.example", "http://127.0.0.1:1", "ftp://a.example", "https://", "'https://a.example/ x'", "'https://:80'", "a.example",
		"10.0.0.0/8", "10.0.0.1", "'fd00::/8'", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret", "true", "yes", "''", "1.5", "debug", "'${PORT}'",
	} {
		o := options(map[string]string{"PORT": "1"})
		o.ReadFile = func(string) ([]byte, error) { return []byte(strings.ReplaceAll(whole, "VALUE", value)), nil }
		_, _, err := config.Load("relay.yaml", o)
		refused := map[string]string{}
		var problems config.Problems
		errors.As(err, &problems)
		for _, p := range problems {
			refused[p.Path] = p.Message
		}
		for path, file := range keys {
			marked := schema.Validate(editorSees(t, []byte(strings.ReplaceAll(file, "VALUE", value))))
			_, bad := refused[path]
			switch {
			case strings.Contains(value, "${"):
				if marked != nil {
					t.Errorf("%s: %s: %v", path, value, marked)
				}
			case path == "destinations.concurrency.concurrency" && value == "0660": // readers of YAML differ
			case bad != (marked != nil):
				t.Errorf("%s: %s\n  relay: %s\n  an editor: %v", path, value, refused[path], marked)
			}
		}
	}
}

// Whoever hovers over a key is told what it is for.
func TestSchemaForEditorsDescribesEveryKey(t *testing.T) {
	core, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(core, &schema); err != nil {
		t.Fatal(err)
	}
	undescribed(t, "", schema)
}

func undescribed(t *testing.T, at string, value any) {
	s, _ := value.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	for key, p := range properties {
		if p, _ := p.(map[string]any); p["description"] == nil && p["$ref"] == nil { // or what it refers to is described
			t.Errorf("%s.%s has no description", at, key)
		}
	}
	for key, inner := range s {
		undescribed(t, at+"."+key, inner)
	}
}
