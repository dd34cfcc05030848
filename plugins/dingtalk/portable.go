package dingtalk

import (
	"errors"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Lengths in bytes of UTF-8.
const (
	// maxBody is where DingTalk refuses a message with 460101. It is not
	// documented, only observed, so that relay's own messages stay well below.
	maxBody    = 20000
	maxPlanned = 15000

	maxPreview = 300 // of a notification
	maxHeading = 1000
	maxName    = 200 // of a field
	maxField   = 2000
	maxFields  = 4000 // of all fields
	maxFooter  = 500
	maxButton  = 60
	maxURL     = 2000

	// maxButtons is what the cards of app robots have; those of custom robots
	// have no documented number. What comes after them is a link in the text.
	maxButtons = 5
	// wideButton is the longest label, in characters, of two that share a line.
	wideButton = 8
)

type message struct {
	UUID       string      `json:"msgUuid,omitempty"` // DingTalk's deduplication key
	Type       string      `json:"msgtype"`
	Text       *textBody   `json:"text,omitempty"`
	Markdown   *titled     `json:"markdown,omitempty"`
	ActionCard *actionCard `json:"actionCard,omitempty"`
	At         *at         `json:"at,omitempty"`
}

type textBody struct {
	Content string `json:"content"`
}

// titled is markdown with the title that notifications and the list of chats show.
type titled struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type actionCard struct {
	titled
	SingleTitle string   `json:"singleTitle,omitempty"`
	SingleURL   string   `json:"singleURL,omitempty"`
	Orientation string   `json:"btnOrientation,omitempty"` // "0": below each other, "1": side by side
	Buttons     []button `json:"btns,omitempty"`
}

type button struct {
	Title string `json:"title"`
	URL   string `json:"actionURL"`
}

type at struct {
	Mobiles []string `json:"atMobiles,omitempty"`
	UserIDs []string `json:"atUserIds,omitempty"`
}

var errEmpty = errors.New("the message is empty; give it a title or a text")

// fit encodes what compose makes with so much room for its text that the whole
// fits: quotes and line breaks are longer in JSON than in the text.
func fit(compose func(room int) (text string, made any)) ([]byte, error) {
	for room := maxPlanned; ; {
		text, made := compose(room)
		if text == "" {
			return nil, errEmpty
		}
		body, err := post.Encode(made)
		over := len(body) - maxPlanned
		if err != nil || over <= 0 {
			return body, err
		}
		quoted, err := post.Encode(text)
		if err != nil {
			return nil, err
		}
		room = len(text) - max(1, over*len(text)/len(quoted))
	}
}

// plainText is the message of a template that returned a string.
func (r *robot) plainText(id, s string) ([]byte, error) {
	return fit(func(room int) (string, any) {
		text := plain.Text(s, nil, room-reserved(r.keyword))
		if text == "" {
			return "", nil
		}
		if !strings.Contains(text, r.keyword) {
			text += "\n" + r.keyword
		}
		return text, message{UUID: id, Type: "text", Text: &textBody{text}}
	})
}

// portable makes a card of a message with actions, and markdown of another.
func (r *robot) portable(id string, m *relay.Message) ([]byte, error) {
	who := newCaller(m.Mentions)
	return portable(m, who, r.keyword, func(body titled, buttons []button) any {
		out := message{UUID: id, At: who.at(m.Mentions, body.Text)}
		if len(buttons) == 0 {
			out.Type, out.Markdown = "markdown", &body
		} else {
			out.Type, out.ActionCard = "actionCard", card(body, buttons)
		}
		return out
	})
}

// portable fits a message: wrap makes what is sent of its text and of the
// buttons below it. Cards know members by their id only, so that one that
// calls somebody by phone number has links in place of buttons.
func portable(m *relay.Message, who *caller, keyword string, wrap func(body titled, buttons []button) any) ([]byte, error) {
	buttons, links := split(m.Actions)
	if who.byPhone {
		buttons, links = nil, append(buttons, links...)
	}
	title := preview(m)
	return fit(func(room int) (string, any) {
		text := page(m, who, links, keyword, room)
		if text == "" && len(buttons) > 0 { // there is no card without a text
			buttons, links = nil, append(buttons, links...)
			text = page(m, who, links, keyword, room)
		}
		return text, wrap(titled{Title: title, Text: text}, buttons)
	})
}

func card(body titled, buttons []button) *actionCard {
	if len(buttons) == 1 {
		return &actionCard{titled: body, SingleTitle: buttons[0].Title, SingleURL: buttons[0].URL}
	}
	c := &actionCard{titled: body, Orientation: "0", Buttons: buttons}
	if sideBySide(buttons) {
		c.Orientation = "1"
	}
	return c
}

// sideBySide reports whether buttons can share a line.
func sideBySide(buttons []button) bool {
	return len(buttons) == 2 && markup.Runes.Len(buttons[0].Title) <= wideButton && markup.Runes.Len(buttons[1].Title) <= wideButton
}

// split makes buttons of actions: those that a card shows, and the rest.
func split(actions []relay.Action) (buttons, rest []button) {
	for _, a := range actions {
		b := button{URL: markup.Target(a.URL)}
		if !web(b.URL) {
			continue
		}
		if b.Title = plain.Line(a.Text, nil, maxButton); b.Title == "" {
			b.Title = plain.Line(b.URL, nil, maxButton)
		}
		if len(buttons) < maxButtons {
			buttons = append(buttons, b)
		} else {
			rest = append(rest, b)
		}
	}
	return buttons, rest
}

// levelSign is how a level shows, for DingTalk documents no colours.
func levelSign(l relay.Level) string {
	switch l {
	case relay.LevelSuccess:
		return "✅ "
	case relay.LevelWarn:
		return "⚠️ "
	case relay.LevelError:
		return "❗ "
	}
	return ""
}

// preview is what notifications and the list of chats show.
func preview(m *relay.Message) string {
	candidates := []string{plain.Line(m.Title, m.Mentions, maxPreview), plain.Line(plain.Markdown(m.Text, m.Mentions, maxPreview), nil, maxPreview)}
	for _, f := range m.Fields {
		candidates = append(candidates, plain.Line(f.Name+": "+f.Value, m.Mentions, maxPreview))
	}
	for _, c := range candidates {
		if c != "" {
			return levelSign(m.Level) + c
		}
	}
	return levelSign(m.Level) + markup.Ellipsis
}
