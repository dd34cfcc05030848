package custom

import (
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// TestCatalogue composes what the shipped template makes of every event type,
// in every format.
func TestCatalogue(t *testing.T) {
	for _, format := range []string{formatBytebase, formatEvent, formatCloudEvents} {
		place := open(t, settings{URL: "https://app.example.com/hook", Format: format})
		scriptstest.Catalogue(t, "custom", "", func(t *testing.T, name string, d *plugin.Delivery, r relay.Rendered) {
			request, err := place.Compose(d, r)
			if err != nil {
				t.Fatal(err)
			}
			plugintest.Golden(t, "catalogue/"+format+"/"+name, request.Body, *update)
		})
	}
}
