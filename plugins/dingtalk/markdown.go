package dingtalk

import (
	"strings"

	"github.com/relay-sidecar/relay/plugin/markup"
)

// lineEnd is a line break inside a paragraph: two spaces before it.
const lineEnd = "  \n"

// markdown is DingTalk's: headings, quotations, bold, italic, links, images
// and lists. Code, tables and struck-out text are not documented, so that they
// are written as text; nor is any escape. These styles are never changed.
var markdown = markup.Style{
	Unit:     markup.Bytes,
	Escape:   markup.Inert,
	Strong:   markup.Marks{Open: "**", Close: "**"},
	Emphasis: markup.Marks{Open: "*", Close: "*"},
	Heading:  func(int) markup.Marks { return markup.Marks{Open: "#### "} }, // below the title's
	Quote:    "> ",
	Bullet:   "- ",
	Break:    lineEnd,
	Link:     link,
}

// plain is what titles, buttons and text messages take.
var plain = markup.Style{Unit: markup.Bytes}

// label is the text of a link.
var label = markup.Style{Unit: markup.Bytes, Escape: markup.InertLabel}

// link writes a link; an address of mail is text.
func link(target, text string) string {
	target = markup.Target(target)
	text = label.Line(text, nil, maxHeading)
	switch {
	case !web(target):
		return text
	case text == "":
		text = label.Line(target, nil, maxHeading)
	}
	return "[" + text + "](" + target + ")"
}

// web reports whether a URL can be opened from a message.
func web(target string) bool {
	return markup.Linkable(target) && !strings.HasPrefix(strings.ToLower(target), "mailto:") && len(target) <= maxURL
}
