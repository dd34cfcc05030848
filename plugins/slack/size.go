package slack

import (
	"encoding/json"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// measure counts what Slack does: the texts of all blocks together, or the text
// of a message without blocks.
func measure(body []byte) plugin.Size {
	var m struct {
		Text        string
		Blocks      any
		Attachments []struct{ Blocks any }
	}
	_ = json.Unmarshal(body, &m) // it is a message
	used := countTexts(m.Blocks)
	for _, a := range m.Attachments {
		used += countTexts(a.Blocks)
	}
	if used == 0 {
		return plugin.Size{Used: int64(markup.Runes.Len(m.Text)), Limit: maxText, Unit: "characters"}
	}
	return plugin.Size{Used: int64(used), Limit: maxMessage, Unit: "characters in blocks"}
}

func countTexts(v any) (n int) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n += countTexts(item)
		}
	case map[string]any:
		for key, value := range v {
			if s, ok := value.(string); ok && key == "text" {
				n += markup.Runes.Len(s)
			} else {
				n += countTexts(value)
			}
		}
	}
	return n
}

// Measure implements [plugin.Measured].
func (w *webhook) Measure(r *plugin.Request) plugin.Size { return measure(r.Body) }

// Measure implements [plugin.Measured].
func (c *channel) Measure(r *plugin.Request) plugin.Size { return measure(r.Body) }

// Measure implements [plugin.Measured].
func (d *direct) Measure(r *plugin.Request) plugin.Size { return measure(r.Body) }

var (
	_ plugin.Measured = (*webhook)(nil)
	_ plugin.Measured = (*channel)(nil)
	_ plugin.Measured = (*direct)(nil)
)
