package discord

import (
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// TestCatalogue composes what the shipped templates make of every event type.
func TestCatalogue(t *testing.T) {
	scriptstest.Catalogue(t, "discord", "80351110224678912", func(t *testing.T, name string, _ *plugin.Delivery, r relay.Rendered) {
		body := compose(t, r)
		refuse(t, body)
		plugintest.Golden(t, "catalogue/"+name, body, *update)
	})
}
