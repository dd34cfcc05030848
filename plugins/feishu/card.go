package feishu

import (
	"bytes"
	"errors"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The vendor's limits (add-custom-bot, card JSON 2.0).
const (
	// maxBody is the longest request, in bytes. The guide says 20 KB, and Lark's
	// says 30: the smaller one, of the smaller kilobytes.
	maxBody = 20000

	// maxElements is what is documented; 180 were seen to pass and 200 to be
	// refused, so that a card of relay's own stays well below.
	maxElements = 200
	maxTables   = 5
	maxTags     = 3   // in text_tag_list
	maxButton   = 100 // characters
)

// What a card of relay's own may have. The first are characters, those that
// count a share of the body are bytes of JSON.
const (
	maxTitle     = 200 // about the four lines that a header shows
	maxFieldName = 100
	maxFooter    = 300

	maxURL       = 2000 // longer ones are left out, as most servers do not take them
	maxFieldText = 1500
	maxFields    = 6000
	maxActions   = 4000
	maxImage     = 2500

	fieldElements  = 100 // at most five for two fields side by side
	actionElements = 40  // at most three for one of several buttons
)

type message struct {
	MsgType string   `json:"msg_type"`
	Content *content `json:"content"`
}

type content struct {
	Text string `json:"text"`
}

type card struct {
	Schema   string    `json:"schema"`
	Config   config    `json:"config"`
	Header   *header   `json:"header,omitempty"`
	Body     body      `json:"body"`
	CardLink *cardLink `json:"card_link,omitempty"`
}

type config struct {
	UpdateMulti   bool   `json:"update_multi"`
	WidthMode     string `json:"width_mode"`
	EnableForward bool   `json:"enable_forward"`
}

type header struct {
	Title    element  `json:"title"`
	Subtitle *element `json:"subtitle,omitempty"`
	Template string   `json:"template"`
}

type body struct {
	Direction string    `json:"direction"`
	Elements  []element `json:"elements"`
}

type cardLink struct {
	URL string `json:"url"`
}

// element is any part of a card that has a tag.
type element struct {
	Tag       string     `json:"tag"`
	Content   string     `json:"content,omitempty"`
	TextSize  string     `json:"text_size,omitempty"`
	FlexMode  string     `json:"flex_mode,omitempty"`
	Columns   []element  `json:"columns,omitempty"`
	Width     string     `json:"width,omitempty"`
	Weight    int        `json:"weight,omitempty"`
	Elements  []element  `json:"elements,omitempty"`
	Text      *element   `json:"text,omitempty"`
	Type      string     `json:"type,omitempty"`
	Behaviors []behavior `json:"behaviors,omitempty"`
}

type behavior struct {
	Type       string `json:"type"`
	DefaultURL string `json:"default_url"`
}

func rich(s string) element { return element{Tag: "markdown", Content: s} }

func simple(s string) element { return element{Tag: "plain_text", Content: s} }

// look is how a level shows: a colour, and a sign for those who do not see it.
func look(l relay.Level) (template, sign string) {
	switch l {
	case relay.LevelSuccess:
		return "green", "✅ "
	case relay.LevelWarn:
		return "orange", "⚠️ "
	case relay.LevelError:
		return "red", "❗ "
	}
	return "blue", ""
}

// writer makes cards and texts for one way of sending them.
type writer struct {
	keyword  string // empty: the bot asks for none
	quoted   bool   // what it makes becomes a string inside JSON, which counts
	people   directory
	markdown *markup.Style
}

// card makes a card of a portable message, of at most room bytes. What has to
// fit is measured first, as JSON, and the text gets the rest of the room.
func (w *writer) card(m *relay.Message, room int) ([]byte, error) {
	out := card{
		Schema: "2.0",
		Config: config{UpdateMulti: true, WidthMode: "fill", EnableForward: true},
		Header: head(m),
		Body:   body{Direction: "vertical", Elements: []element{}},
	}
	if linkable(m.Link) {
		out.CardLink = &cardLink{URL: m.Link}
	}
	room -= w.size(out)
	if w.keyword != "" {
		room -= w.size(header{Title: simple(w.keyword), Subtitle: &element{}})
	}
	var below []element
	for _, part := range [][]element{w.fields(m.Fields, m.Mentions), w.image(m), w.actions(m.Actions), w.footer(m)} {
		for _, e := range part {
			room -= w.size(e) + len(",")
		}
		below = append(below, part...)
	}
	if text, ok := w.body(m, room); ok {
		out.Body.Elements = append(out.Body.Elements, text)
	}
	out.Body.Elements = append(out.Body.Elements, below...)
	if out.Header == nil && len(out.Body.Elements) == 0 {
		return nil, errors.New("the message is empty; give it a title or a text")
	}
	w.addKeyword(&out)
	return post.Encode(out)
}

// head is the header, or nil where there is nothing to show in it.
func head(m *relay.Message) *header {
	template, sign := look(m.Level)
	title := strings.TrimSpace(sign + plain.Line(m.Title, m.Mentions, maxTitle-markup.Runes.Len(sign)))
	if title == "" {
		return nil
	}
	return &header{Title: simple(title), Template: template}
}

// body is the text, as long as fits into room bytes of JSON.
func (w *writer) body(m *relay.Message, room int) (element, bool) {
	text := w.fit(room-w.size(rich("x"))+len("x"), func(limit int) string { return w.markdown.Markdown(m.Text, m.Mentions, limit) })
	return rich(text), text != ""
}

// fit is a text that has at most room bytes in JSON, where a quote has two.
// write makes it of at most limit bytes.
func (w *writer) fit(room int, write func(limit int) string) string {
	for limit := room; limit > 0; {
		text := write(limit)
		n := w.size(text) - w.size("")
		if n <= room {
			return text
		}
		limit = min(limit-1, len(text)*room/n)
	}
	return ""
}

// size is how many bytes of JSON v has, or of a string that holds this JSON.
func (w *writer) size(v any) int {
	raw, err := post.Encode(v)
	if err != nil {
		return maxBody // nothing that is too large to be measured fits
	}
	n := len(raw)
	if w.quoted {
		n += bytes.Count(raw, []byte{'"'}) + bytes.Count(raw, []byte{'\\'})
	}
	return n
}
