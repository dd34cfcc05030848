package wecom

import (
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// TestCatalogue composes what the shipped templates make of every event type.
func TestCatalogue(t *testing.T) {
	scriptstest.Catalogue(t, "wecom", "manager7", func(t *testing.T, name string, _ *plugin.Delivery, r relay.Rendered) {
		plugintest.Golden(t, "catalogue/"+name, compose(t, r), *update)
	})
}
