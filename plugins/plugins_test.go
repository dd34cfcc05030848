package plugins_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins"
)

// A provider is named after its directory, in order, and its schemas are JSON
// objects that allow no further key.
func TestAll(t *testing.T) {
	var names []string
	for _, p := range plugins.All() {
		d := p.Describe()
		names = append(names, d.Name)
		for _, schema := range []json.RawMessage{d.ProviderSchema, d.DestinationSchema} {
			if schema == nil {
				continue
			}
			var s struct {
				Type                 string
				AdditionalProperties *bool
			}
			if err := json.Unmarshal(schema, &s); err != nil || s.Type != "object" || s.AdditionalProperties == nil || *s.AdditionalProperties {
				t.Errorf("%s: the schema is not one of an object without further keys: %v", d.Name, err)
			}
		}
		if d.Version == "" {
			t.Errorf("%s has no version", d.Name)
		}
	}
	directories, err := filepath.Glob("*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range directories {
		directories[i] = filepath.Dir(d)
	}
	if !slices.Equal(names, directories) {
		t.Errorf("the list has %v, the directories are %v", names, directories)
	}
}

// Every provider's README has the same headings, and one more where it reaches people.
func TestREADMEs(t *testing.T) {
	for _, p := range plugins.All() {
		want := []string{"Setup", "Settings", "Example", "Templates", "Limits", "Errors"}
		if _, ok := p.(plugin.DirectProvider); ok {
			want = slices.Insert(want, 3, "Direct messages")
		}
		name := p.Describe().Name
		text, err := os.ReadFile(filepath.Join(name, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(text)) {
			if heading, ok := strings.CutPrefix(line, "## "); ok {
				got = append(got, strings.TrimSpace(heading))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if !strings.HasPrefix(string(text), "# "+name+"\n") {
			t.Errorf("%s: the title is not its name", name)
		}
	}
}
