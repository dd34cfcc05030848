package slack

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// mrkdwn is Slack's markup. These styles are never changed.
var mrkdwn = markup.Style{
	Escape:     escape,
	EscapeCode: escapeCode,
	Strong:     markup.Marks{Open: "*", Close: "*"},
	Emphasis:   markup.Marks{Open: "_", Close: "_"},
	Strike:     markup.Marks{Open: "~", Close: "~"},
	Code:       markup.Marks{Open: "`", Close: "`"},
	CodeBlock:  markup.Marks{Open: "```\n", Close: "\n```"},
	Heading:    func(int) markup.Marks { return markup.Marks{Open: "*", Close: "*"} },
	Quote:      "> ",
	Joint:      "\u200b", // Slack sees marks at the edges of words only; Chinese has no spaces there
	Link:       link,
	Mention:    mention,
}

// labels is the text of a link, in which Slack knows no markup but text styles.
var labels = markup.Style{Escape: escape}

// plain is what notifications and plain_text objects take: Slack reads the
// three escapes there too, and nothing else.
var plain = markup.Style{
	Escape: func(dst []byte, _, r, _ rune) []byte { return escapeThree(dst, r) },
}

func escapeThree(dst []byte, r rune) []byte {
	switch r {
	case '&':
		return append(dst, "&amp;"...)
	case '<':
		return append(dst, "&lt;"...)
	case '>':
		return append(dst, "&gt;"...)
	}
	return utf8.AppendRune(dst, r)
}

// escape writes text that means nothing to Slack. Slack has no escape for its
// formatting characters: where one stands at the edge of a word, so that it
// could format, a character that looks the same takes its place.
func escape(dst []byte, before, r, after rune) []byte {
	switch r {
	case '>':
		if before == 0 { // also as &gt; it would begin a quotation
			dst = append(dst, "\u00ad"...)
		}
	case '`':
		return append(dst, "ˋ"...)
	case '_':
		// After a letter it can only end what never began: created_at stays.
		if !inWord(before) && !(blank(before) && blank(after)) {
			return append(dst, lookAlike(r)...)
		}
	case '*', '~':
		if !(inWord(before) && inWord(after)) && !(blank(before) && blank(after)) {
			return append(dst, lookAlike(r)...)
		}
	}
	return escapeThree(dst, r)
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
func blank(r rune) bool  { return r == 0 || unicode.IsSpace(r) }

func lookAlike(r rune) string {
	switch r {
	case '*':
		return "∗"
	case '_':
		return "ˍ"
	}
	return "∼"
}

func escapeCode(dst []byte, _, r, _ rune) []byte {
	if r == '`' {
		return append(dst, "ˋ"...)
	}
	return escapeThree(dst, r)
}

// urlEscapes are the characters that would end a link early or begin another one.
var urlEscapes = strings.NewReplacer("|", "%7C", ">", "%3E", "<", "%3C", " ", "%20", "&", "&amp;")

func link(target, label string) string {
	escaped := labels.Line(label, nil, maxSection)
	if escaped == "" || label == target {
		return "<" + urlEscapes.Replace(target) + ">"
	}
	return "<" + urlEscapes.Replace(target) + "|" + escaped + ">"
}

// mention notifies a person whose Slack id is known.
func mention(p relay.Person) string {
	id := p.IDs["slack"]
	if len(id) < 3 || id[0] != 'U' && id[0] != 'W' {
		return ""
	}
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return "<@" + id + ">"
}
