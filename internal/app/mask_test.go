package app

import (
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
)

// A vendor may repeat a part of a secret URL: what can be a secret by itself is
// masked, a number too. Only beside a long token a number is an id.
func TestHideURL(t *testing.T) {
	long := "aZ3-" + strings.Repeat("kQ7_", 16)
	for _, c := range []struct{ url, shown, hidden string }{
		{"https://discord.example/api/webhooks/123456789012345678/" + long, "123456789012345678", long},
		{"https://receiver.example/v2/hooks/482910384756", "hooks", "482910384756"},
		{"https://receiver.example/inbound-webhooks/482910384756", "receiver", "482910384756"},
		{"https://receiver.example/482910384756/99887766554433", "receiver", "99887766554433"},
		{"https://receiver.example/services/T0AB1C2D3/B0AB1C2D4/x9y8z7w6v5u4", "services", "x9y8z7w6v5u4"},
	} {
		a := &App{masker: &relay.Masker{}}
		a.hide([]string{c.url})
		if got := a.masker.Mask("the vendor says " + c.shown + " and " + c.hidden); !strings.Contains(got, c.shown) || strings.Contains(got, c.hidden) {
			t.Errorf("%s: %s", c.url, got)
		}
	}
}
