package wecom

import (
	"errors"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Lengths in bytes of UTF-8; the first two are WeCom's own.
const (
	maxMarkdown = 4096
	maxText     = 2048

	maxHeading = 512
	maxName    = 120 // of a field
	maxField   = 800
	maxFields  = 1500 // of all fields
	maxFooter  = 300
	maxAction  = 90
	maxURL     = 1024
)

const blankLine = "\n\n"

type message struct {
	Type     string   `json:"msgtype"`
	Text     *content `json:"text,omitempty"`
	Markdown *content `json:"markdown,omitempty"`
}

type content struct {
	Content string   `json:"content"`
	Mobiles []string `json:"mentioned_mobile_list,omitempty"` // of text only
}

var errEmpty = errors.New("the message is empty; give it a title or a text")

// plainText is the message of a template that returned a string.
func plainText(s string) ([]byte, error) {
	return textMessage(text.Text(s, nil, maxText), nil)
}

func textMessage(s string, mobiles []string) ([]byte, error) {
	if s == "" {
		return nil, errEmpty
	}
	return post.Encode(message{Type: "text", Text: &content{Content: s, Mobiles: mobiles}})
}

// portable makes markdown of a message, or text where somebody is called whom
// WeCom knows by phone number only.
func portable(m *relay.Message) ([]byte, error) {
	if numbers := mobiles(m.Mentions); len(numbers) > 0 {
		return textMessage(inText().write(m, maxText), numbers)
	}
	s := inMarkdown().write(m, maxMarkdown)
	if s == "" {
		return nil, errEmpty
	}
	return post.Encode(message{Type: "markdown", Markdown: &content{Content: s}})
}

// form is how the parts of a message are written.
type form struct {
	style  *markup.Style
	title  func(m *relay.Message, linked bool) string
	field  func(name string) string // before its value
	link   func(target, words string) string
	footer func(words string) string
	links  string // between two links
	mark   string // what the message ends with, behind its footer
}

func inMarkdown() form {
	return form{
		style:  &markdown,
		title:  heading,
		field:  func(name string) string { return "**" + name + ":** " },
		link:   link,
		footer: func(words string) string { return colored("comment", words) },
		links:  " · ",
	}
}

func inText() form {
	return form{
		style: &text,
		title: func(m *relay.Message, linked bool) string {
			s := levelSign(m.Level) + text.Line(m.Title, m.Mentions, maxHeading)
			if linked {
				s += "\n" + markup.Target(m.Link)
			}
			return strings.TrimSpace(s)
		},
		field: func(name string) string { return name + ": " },
		link: func(target, words string) string {
			if words == target {
				return target
			}
			return text.Line(words, nil, maxHeading) + ": " + target
		},
		footer: func(words string) string { return words },
		links:  "\n",
	}
}

// heading is the title in the level's colour, or a link where the message has
// one that no action leads to.
func heading(m *relay.Message, linked bool) string {
	const mark = "### "
	sign := levelSign(m.Level)
	words := strings.TrimSpace(markup.Names(m.Title, m.Mentions))
	if linked {
		return mark + sign + link(m.Link, words)
	}
	if words = markdown.Line(words, nil, maxHeading); words == "" {
		return ""
	}
	return mark + colored(levelColor(m.Level), sign+words)
}

// colored writes words in one of WeCom's three colours.
func colored(color, words string) string {
	if color == "" || words == "" {
		return words
	}
	return `<font color="` + color + `">` + words + "</font>"
}

// levelColor: info is green, warning is orange red.
func levelColor(l relay.Level) string {
	switch l {
	case relay.LevelSuccess:
		return "info"
	case relay.LevelWarn, relay.LevelError:
		return "warning"
	}
	return ""
}

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
