package teams

import (
	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// envelope is what the templates of Workflows take: they post a card for each
// of the attachments.
type envelope struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"` // null
	Content     any     `json:"content"`
}

const cardType = "application/vnd.microsoft.card.adaptive"

// enveloped is what a template made, as a flow takes it.
func enveloped(r relay.Rendered) ([]byte, error) {
	if r.Native != nil {
		return native(r.Native)
	}
	c, err := composed(r)
	if err != nil {
		return nil, err
	}
	return wrap(c)
}

func wrap(content any) ([]byte, error) {
	return post.Encode(envelope{Type: "message", Attachments: []attachment{{ContentType: cardType, Content: content}}})
}

// card is an Adaptive Card. Cards of version 1.5 were refused for years where
// flows post them, 1.6 still is.
type card struct {
	Schema  string    `json:"$schema"`
	Type    string    `json:"type"`
	Version string    `json:"version"`
	MSTeams msTeams   `json:"msteams"`
	Body    []element `json:"body"`
	Actions []action  `json:"actions,omitempty"`
}

type msTeams struct {
	Width    string   `json:"width"`
	Entities []entity `json:"entities,omitempty"`
}

func newCard(body []element) card {
	return card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		MSTeams: msTeams{Width: "Full"}, Body: body,
	}
}

// element is a TextBlock, RichTextBlock, ColumnSet or Image.
type element struct {
	Type    string   `json:"type"`
	Text    string   `json:"text,omitempty"`
	Wrap    bool     `json:"wrap,omitempty"`
	Inlines []run    `json:"inlines,omitempty"`
	Columns []column `json:"columns,omitempty"`
	URL     string   `json:"url,omitempty"`
	AltText string   `json:"altText,omitempty"`
	Spacing string   `json:"spacing,omitempty"`
}

type column struct {
	Type  string    `json:"type"`
	Width string    `json:"width"`
	Items []element `json:"items"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

func openURL(target string) *action { return &action{Type: "Action.OpenUrl", URL: target} }
func textBlock(s string) *element   { return &element{Type: "TextBlock", Text: s, Wrap: true} }
func richBlock(r ...run) element    { return element{Type: "RichTextBlock", Inlines: r} }

// encodedSize is the length of v as JSON.
func encodedSize(v any) int {
	b, _ := post.Encode(v) // strings, numbers and lists always encode
	return len(b)
}

// size is the length of the whole message with a card.
func size(c card) int {
	b, _ := wrap(c)
	return len(b)
}
