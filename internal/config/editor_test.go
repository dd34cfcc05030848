package config_test

import (
	"bytes"
	"encoding/json"
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
	for _, path := range []string{"testdata/good.yaml", "../../relay.yaml"} {
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
