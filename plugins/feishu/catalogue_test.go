package feishu

import (
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts/scriptstest"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// TestCatalogue composes what the shipped templates make of every event type,
// and sends it to a bot.
func TestCatalogue(t *testing.T) {
	b := newBot(t)
	w := open(t, settings{URL: b.url()}, "")
	scriptstest.Catalogue(t, "feishu", "ou_ann", func(t *testing.T, name string, d *plugin.Delivery, r relay.Rendered) {
		plugintest.Golden(t, "catalogue/"+name, compose(t, w, r), *update)
		if got := plugintest.Send(t, w, d, r); got.Verdict != relay.Delivered {
			t.Errorf("got %s: %s", got.Verdict, got.Error)
		}
	})
}
