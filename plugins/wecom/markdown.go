package wecom

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// markdown is WeCom's first markdown, the one with colours and mentions:
// headings, bold, links, code in a line and quotations. Lists, images, italic
// and blocks of code are written as text; no escape is documented. These
// styles are never changed.
var markdown = markup.Style{
	Unit:       markup.Bytes,
	Escape:     markup.Inert,
	EscapeCode: escapeCode,
	Strong:     markup.Marks{Open: "**", Close: "**"},
	Code:       markup.Marks{Open: "`", Close: "`"},
	Heading:    func(int) markup.Marks { return markup.Marks{Open: "#### "} }, // below the title's
	Quote:      "> ",
	Link:       link,
	Mention:    mention,
}

// text is what text messages take, in which WeCom reads nothing but mentions.
var text = markup.Style{Unit: markup.Bytes, Escape: escapeTag, Mention: mention}

// label is the text of a link.
var label = markup.Style{Unit: markup.Bytes, Escape: markup.InertLabel}

// escapeTag writes text that cannot begin <@somebody>.
func escapeTag(dst []byte, _, r, after rune) []byte {
	if r == '<' && !unicode.IsSpace(after) {
		return append(dst, "‹"...)
	}
	return utf8.AppendRune(dst, r)
}

func escapeCode(dst []byte, before, r, after rune) []byte {
	if r == '`' {
		return append(dst, "ˋ"...)
	}
	return escapeTag(dst, before, r, after)
}

// link writes a link; an address of mail is text.
func link(target, words string) string {
	target = markup.Target(target)
	words = label.Line(words, nil, maxHeading)
	switch {
	case !web(target):
		return words
	case words == "":
		words = label.Line(target, nil, maxHeading)
	}
	return "[" + words + "](" + target + ")"
}

// web reports whether a URL can be opened from a message.
func web(target string) bool {
	return markup.Linkable(target) && !strings.HasPrefix(strings.ToLower(target), "mailto:") && len(target) <= maxURL
}

// mention notifies a member whose userid is known.
func mention(p relay.Person) string {
	if id := p.IDs["wecom"]; goodUserID(id) {
		return "<@" + id + ">"
	}
	return ""
}

// goodUserID: letters, digits and a few signs; everybody is nobody's userid.
func goodUserID(id string) bool {
	const longest = 64
	return id != "" && len(id) <= longest && !strings.EqualFold(strings.Trim(id, "@"), "all") &&
		!strings.ContainsFunc(id, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@", r)
		})
}

// mobiles are the phone numbers of those whom nothing else can call. WeCom
// knows members by numbers of mainland China without the country; how it
// writes others is not documented: those people need ids.wecom.
func mobiles(people []relay.Person) []string {
	var list []string
	for _, p := range people {
		digits := strings.TrimPrefix(strings.NewReplacer(" ", "", "-", "").Replace(p.Phone), "+86")
		const length = 11
		if mention(p) == "" && len(digits) == length && digits[0] == '1' && strings.Trim(digits, "0123456789") == "" {
			list = append(list, digits)
		}
	}
	return list
}
