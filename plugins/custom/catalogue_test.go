package custom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin"
)

// TestCatalogue composes what the shipped template makes of every event type,
// in every format.
func TestCatalogue(t *testing.T) {
	for _, format := range []string{formatBytebase, formatEvent, formatCloudEvents} {
		place, problems := open(t, settings{URL: "https://app.example.com/hook", Format: format})
		if place == nil {
			t.Fatal(problems)
		}
		scriptstest.Catalogue(t, "custom", "", func(t *testing.T, name string, d *plugin.Delivery, r relay.Rendered) {
			request, err := place.Compose(d, r)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, request.Body, "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			file := filepath.Join("testdata", "catalogue", format, name+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}
