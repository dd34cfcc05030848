package teams

import (
	"encoding/json"
	"errors"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// summaryRoom is what a notification shows, in bytes.
const summaryRoom = 300

// message is an activity of a bot: what the card is in, outside of flows. Teams
// shows a text beside the card, as a second message; so what stands for the
// card where no card can be shown is the summary ("Bot Framework – Activity").
// That notifications show it too is observed, not documented.
type message struct {
	Type        string        `json:"type"`
	Summary     string        `json:"summary,omitempty"`
	Attachments []messageCard `json:"attachments"`
}

type messageCard struct {
	ContentType string `json:"contentType"`
	Content     any    `json:"content"`
}

// activity is what a template made, as a bot sends it. It has no id: whether a
// receiver would tell two of the same id apart, Teams does not promise.
func activity(r relay.Rendered) ([]byte, error) {
	if r.Native != nil {
		return nativeActivity(r.Native)
	}
	c, err := composed(r)
	if err != nil {
		return nil, err
	}
	return post.Encode(message{Type: "message", Summary: summary(r), Attachments: []messageCard{{cardType, c}}})
}

func summary(r relay.Rendered) string {
	m := r.Portable
	if m == nil {
		return plain.Line(r.Text, nil, summaryRoom)
	}
	if s := plain.Line(m.Title, m.Mentions, summaryRoom); s != "" {
		return s
	}
	text := plain.Markdown(markup.Cut(m.Text, maxMessage, markup.Bytes), m.Mentions, summaryRoom)
	return plain.Line(text, nil, summaryRoom)
}

// nativeActivity checks a template's own object for a bot: an Adaptive Card, or
// an activity of type message, which is sent as it is. So what is made for a
// flow works here too.
func nativeActivity(raw json.RawMessage) ([]byte, error) {
	m, err := readNative(raw)
	if err != nil {
		return nil, err
	}
	body := []byte(raw)
	switch m.Type {
	case "AdaptiveCard":
		if body, err = post.Encode(message{Type: "message", Attachments: []messageCard{{cardType, raw}}}); err != nil {
			return nil, err
		}
	case "message":
		if m.Text == "" && len(m.Attachments) == 0 {
			return nil, errors.New("the message has neither a text nor attachments")
		}
	default:
		return nil, wrongType(m)
	}
	return body, checkSize(body)
}
