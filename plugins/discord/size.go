package discord

import (
	"encoding/json"

	"github.com/relay-sidecar/relay/plugin"
)

// measure counts what Discord does: the characters of all embeds together, of
// the displays of components, or of the content, whichever there is.
func measure(body []byte) plugin.Size {
	var m nativeMessage
	_ = json.Unmarshal(body, &m) // it is a message
	used := 0
	for _, e := range m.Embeds {
		n, _ := e.check("") // within the limits: it was composed
		used += n
	}
	switch {
	case used > 0:
		return plugin.Size{Used: int64(used), Limit: maxEmbedText, Unit: "characters in embeds"}
	case m.Content == "" && len(m.Components) > 0:
		return plugin.Size{Used: int64(countDisplays(m.Components)), Limit: maxDisplay, Unit: "characters in components"}
	}
	return plugin.Size{Used: int64(sized{text: m.Content}.len()), Limit: maxContent, Unit: "characters"}
}

func countDisplays(list []nativeComponent) (n int) {
	for _, c := range list {
		n += sized{text: c.Content}.len() + countDisplays(c.Components)
	}
	return n
}

// Measure implements [plugin.Measured].
func (w *webhook) Measure(r *plugin.Request) plugin.Size { return measure(r.Body) }

// Measure implements [plugin.Measured].
func (d *direct) Measure(r *plugin.Request) plugin.Size { return measure(r.Body) }

var (
	_ plugin.Measured = (*webhook)(nil)
	_ plugin.Measured = (*direct)(nil)
)
