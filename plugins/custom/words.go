package custom

import (
	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// words are what a template may say in place of the event.
type words struct {
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Level       relay.Level `json:"level"`
	Link        string      `json:"link"`
}

// replaced is w with what the template made. A title and a level are never
// empty; a text and a link that the template left out are gone.
func (w words) replaced(made relay.Rendered) words {
	m := made.Portable
	if m == nil {
		w.Description = made.Text
		return w
	}
	if title := markup.Names(m.Title, m.Mentions); title != "" {
		w.Title = title
	}
	if m.Level != "" {
		w.Level = m.Level
	}
	w.Description = markup.Names(m.Text, m.Mentions)
	w.Link = m.Link
	return w
}
