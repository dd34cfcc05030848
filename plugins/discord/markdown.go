package discord

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// Discord counts Unicode code points (discord-api-docs issue 1315), which is
// what the zero Unit of a Style counts. These styles are never changed.
var (
	// markdown is for content, descriptions, and the names and values of fields.
	markdown = markup.Style{
		Escape:     escape,
		EscapeCode: escapeCode,
		Strong:     markup.Marks{Open: "**", Close: "**"},
		Emphasis:   markup.Marks{Open: "*", Close: "*"},
		Strike:     markup.Marks{Open: "~~", Close: "~~"},
		Code:       markup.Marks{Open: "`", Close: "`"},
		CodeBlock:  markup.Marks{Open: "```\n", Close: "\n```"},
		Heading:    func(int) markup.Marks { return markup.Marks{Open: "**", Close: "**"} },
		Quote:      "> ",
		Link:       link,
		Mention:    mention,
	}

	// labels is the text of a link. Brackets would end it early, and Discord
	// knows no escape for them there.
	labels = markup.Style{Escape: func(dst []byte, before, r, after rune) []byte {
		switch r {
		case '[':
			return append(dst, '(')
		case ']':
			return append(dst, ')')
		}
		return escape(dst, before, r, after)
	}}

	// plain is for titles and footers. That titles take no markup is not
	// documented; where it is wrong, a title can be bold but not mention or link.
	plain = markup.Style{}
)

// escape writes text that means nothing to Discord. Which characters a
// backslash takes the meaning from is not documented either; its clients take
// one before any punctuation.
func escape(dst []byte, before, r, after rune) []byte {
	switch r {
	case '\\', '*', '_', '~', '`', '|', '[', ']', '<', '@':
		dst = append(dst, '\\')
	case '>', '#', '-': // where a line or an item of a list begins
		if before == 0 || unicode.IsSpace(before) {
			dst = append(dst, '\\')
		}
	case ':': // :emoji:, and the address in https://…
		if after != 0 && !unicode.IsSpace(after) {
			dst = append(dst, '\\')
		}
	}
	return utf8.AppendRune(dst, r)
}

// escapeCode: code ends at a backtick, for which there is no escape.
func escapeCode(dst []byte, _, r, _ rune) []byte {
	if r == '`' {
		return append(dst, "ˋ"...)
	}
	return utf8.AppendRune(dst, r)
}

// mention calls a person whose Discord id is known.
func mention(p relay.Person) string {
	id := p.IDs["discord"]
	if !snowflake.MatchString(id) {
		return ""
	}
	return "<@" + id + ">"
}

// urlEscapes are the characters that would end a link early.
var urlEscapes = strings.NewReplacer("(", "%28", ")", "%29", "<", "%3C", ">", "%3E", " ", "%20", `\`, "%5C", "`", "%60", `"`, "%22")

// link is a masked link, or the bare URL. Discord shows no link whose text
// looks like another URL, so there the URL stands behind the text.
func link(target, label string) string {
	text := labels.Line(label, nil, maxDescription)
	if strings.HasPrefix(strings.ToLower(target), "mailto:") { // no link at Discord
		if address := target[len("mailto:"):]; label != address && label != target {
			return text + " (" + labels.Line(address, nil, maxDescription) + ")"
		}
		return text
	}
	bare := urlEscapes.Replace(target)
	switch {
	case text == "", label == target:
		return "<" + bare + ">"
	case strings.Contains(label, "://"):
		return text + " (<" + bare + ">)"
	}
	return "[" + text + "](" + bare + ")"
}

// webURL is a URL as Discord takes it beside the text: http or https, and not
// too long.
func webURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
		return "", false
	}
	escaped := urlEscapes.Replace(raw)
	return escaped, markup.Runes.Len(escaped) <= maxURL
}
