package slack

import (
	"errors"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Slack's limits, in characters where they are lengths.
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
	maxFields  = 10 // in one section
	maxButtons = 25
	maxButton  = 75
	maxURL     = 3000
	maxAlt     = 2000
	maxBlocks  = 50
	maxText    = 40000

	// maxMessage is what all texts together may have. The limit is not
	// documented; messages from about 9,600 characters on were refused.
	maxMessage = 9000
	// Of those, the fields have at most these, so that the text has the rest.
	maxAllFields = 4000
	maxFooter    = 300
	maxFieldName = 100
	// fieldCount keeps a message under 50 blocks, whatever its fields are: one
	// block each, and at most twelve others.
	fieldCount = 38
)

type message struct {
	Text        string       `json:"text"`
	Blocks      []block      `json:"blocks,omitempty"`
	Attachments []attachment `json:"attachments,omitempty"`
	UnfurlLinks bool         `json:"unfurl_links"`
	UnfurlMedia bool         `json:"unfurl_media"`
}

type attachment struct {
	Color  string  `json:"color"`
	Blocks []block `json:"blocks"`
}

type block struct {
	Type     string    `json:"type"`
	Text     *text     `json:"text,omitempty"`
	Fields   []text    `json:"fields,omitempty"`
	Elements []element `json:"elements,omitempty"`
	ImageURL string    `json:"image_url,omitempty"`
	AltText  string    `json:"alt_text,omitempty"`
}

// text is a text object. Verbatim keeps Slack from making mentions and links
// of what a sender wrote.
type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Emoji    bool   `json:"emoji,omitempty"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

// element is a button, or a text of a context block.
type element struct {
	Type     string `json:"type"`
	Text     any    `json:"text"`
	URL      string `json:"url,omitempty"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

func rich(s string) *text   { return &text{Type: "mrkdwn", Text: s, Verbatim: true} }
func simple(s string) *text { return &text{Type: "plain_text", Text: s, Emoji: true} }

// look is how a level shows: a colour, and a sign for those who do not see it.
func look(l relay.Level) (color, sign string) {
	switch l {
	case relay.LevelSuccess:
		return "#2EB67D", "✅ "
	case relay.LevelWarn:
		return "#ECB22E", "⚠️ "
	case relay.LevelError:
		return "#E01E5A", "❗ "
	}
	return "#1264A3", ""
}

// plainText is the message of a template that returned a string.
func plainText(s string) ([]byte, error) {
	s = plain.Text(s, nil, maxText)
	if s == "" {
		return nil, errors.New("the template returned an empty text")
	}
	return post.Encode(message{Text: s})
}

// portable makes Block Kit of a portable message. The title stands above the
// attachment, so that "text" is the notification and not shown twice. What has
// to fit is measured first, and the text gets the rest of the room.
func portable(m *relay.Message) ([]byte, error) {
	color, sign := look(m.Level)
	room := maxMessage
	take := func(s string) string {
		room -= markup.Runes.Len(s)
		return s
	}
	var out message
	if head := title(m, sign); head != nil {
		take(head.Text.Text)
		out.Blocks = []block{*head}
	}
	footer := take(mrkdwn.Text(m.Footer, m.Mentions, maxFooter))
	buttons := actions(m.Actions)
	for _, b := range buttons {
		take(b.Text.(*text).Text)
	}
	fields, used := fieldBlocks(m.Fields, m.Mentions)
	room -= used

	var body []block
	for _, piece := range mrkdwn.Split(m.Text, m.Mentions, maxSection, room) {
		body = append(body, block{Type: "section", Text: rich(piece)})
	}
	body = append(body, fields...)
	if m.Image != nil && linkable(m.Image.URL) {
		alt := plain.Line(m.Image.Alt, m.Mentions, maxFooter)
		if alt == "" {
			alt = "image"
		}
		body = append(body, block{Type: "image", ImageURL: m.Image.URL, AltText: alt})
	}
	if len(buttons) > 0 {
		body = append(body, block{Type: "actions", Elements: buttons})
	}
	if footer != "" {
		body = append(body, block{Type: "context", Elements: []element{{Type: "mrkdwn", Text: footer, Verbatim: true}}})
	}
	if len(body) > 0 {
		out.Attachments = []attachment{{Color: color, Blocks: body}}
	}
	if len(out.Blocks) == 0 && len(body) == 0 {
		return nil, errors.New("the message is empty; give it a title or a text")
	}
	out.Text = notification(m, sign)
	return post.Encode(out)
}

// title is a header; or, where the message has a link that no button leads to,
// a bold line that is the link, which a header cannot be.
func title(m *relay.Message, sign string) *block {
	if linkable(m.Link) && !leadsTo(m.Actions, m.Link) {
		label := markup.Cut(strings.Join(strings.Fields(markup.Names(m.Title, m.Mentions)), " "), 2*maxHeader, markup.Runes)
		if label == "" {
			label = m.Link
		}
		if s := sign + "*" + link(m.Link, label) + "*"; markup.Runes.Len(s) <= maxSection {
			return &block{Type: "section", Text: rich(s)}
		}
	}
	if s := plain.Line(m.Title, m.Mentions, maxHeader-markup.Runes.Len(sign)); s != "" {
		return &block{Type: "header", Text: simple(sign + s)}
	}
	return nil
}

// notification is what shows where blocks do not.
func notification(m *relay.Message, sign string) string {
	if s := plain.Line(m.Title, m.Mentions, maxSection); s != "" {
		return sign + s
	}
	if s := plain.Markdown(m.Text, m.Mentions, maxFooter); s != "" {
		return sign + s
	}
	for _, f := range m.Fields {
		if s := plain.Line(f.Name+": "+f.Value, m.Mentions, maxFooter); s != "" {
			return sign + s
		}
	}
	return sign + "…"
}

// fieldBlocks shows short fields in two columns and long ones below each other,
// in their order, and says how many characters they have.
func fieldBlocks(fields []relay.Field, people []relay.Person) (blocks []block, used int) {
	for i, f := range fields {
		room := min(maxField, maxAllFields-used)
		if i == fieldCount || room < 2*maxFieldName { // no room for a name and a value
			return append(blocks, block{Type: "section", Text: rich(markup.Ellipsis)}), used + 1
		}
		s := field(f, people, room)
		if s == "" {
			continue
		}
		used += markup.Runes.Len(s)
		last := len(blocks) - 1
		switch {
		case !f.Short:
			blocks = append(blocks, block{Type: "section", Text: rich(s)})
		case last >= 0 && len(blocks[last].Fields) > 0 && len(blocks[last].Fields) < maxFields:
			blocks[last].Fields = append(blocks[last].Fields, *rich(s))
		default:
			blocks = append(blocks, block{Type: "section", Fields: []text{*rich(s)}})
		}
	}
	return blocks, used
}

// field is a bold name above its value. A field without a value is left out.
func field(f relay.Field, people []relay.Person, limit int) string {
	name := mrkdwn.Line(f.Name, people, maxFieldName)
	if name != "" {
		name = "*" + name + "*\n"
	}
	value := mrkdwn.Text(f.Value, people, limit-markup.Runes.Len(name))
	if value == "" {
		return ""
	}
	return name + value
}

func actions(list []relay.Action) []element {
	var buttons []element
	for _, a := range list {
		if len(buttons) == maxButtons || !linkable(a.URL) {
			continue
		}
		label := plain.Line(a.Text, nil, maxButton)
		if label == "" {
			label = plain.Line(a.URL, nil, maxButton)
		}
		buttons = append(buttons, element{Type: "button", Text: simple(label), URL: a.URL})
	}
	return buttons
}

func leadsTo(list []relay.Action, target string) bool {
	for _, a := range list {
		if a.URL == target {
			return true
		}
	}
	return false
}

func linkable(target string) bool {
	return markup.Linkable(target) && !strings.HasPrefix(strings.ToLower(target), "mailto:") && markup.Runes.Len(target) <= maxURL
}
