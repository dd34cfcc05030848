package wecom

import (
	"path/filepath"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin"
)

// TestCatalogue composes what the shipped templates make of every event type.
func TestCatalogue(t *testing.T) {
	scriptstest.Catalogue(t, "wecom", "manager7", func(t *testing.T, name string, _ *plugin.Delivery, r relay.Rendered) {
		golden(t, filepath.Join("catalogue", name), r)
	})
}
