package templates_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/templates"
)

// TestFSHoldsEveryFile: go:embed leaves out what its patterns forget, and a
// template that is only in the repository is no template.
func TestFSHoldsEveryFile(t *testing.T) {
	embedded := templates.FS()
	found := 0
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if name == "testdata" { // fixtures and golden files are for relay template test only
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || path.Ext(name) == ".go" {
			return err
		}
		found++
		want, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		got, err := fs.ReadFile(embedded, name)
		if err != nil {
			t.Errorf("%s is not embedded: %v", name, err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: the embedded file differs from the one on disk", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(embedded, "testdata"); err == nil {
		t.Error("testdata is embedded")
	}
	if found < 15 {
		t.Errorf("found %d files; is this the templates directory?", found)
	}
}

// TestSamples: there is one of every type, and it is an event.
func TestSamples(t *testing.T) {
	for _, eventType := range relay.Catalogue() {
		raw, ok := templates.Sample(eventType)
		var e relay.Event
		if err := json.Unmarshal(raw, &e); !ok || err != nil || e.Title == "" || e.Level == "" {
			t.Errorf("%s: %v, %+v", eventType, err, e)
		}
	}
	if _, ok := templates.Sample("no.such"); ok {
		t.Error("there is a sample of what is not in the catalogue")
	}
}
