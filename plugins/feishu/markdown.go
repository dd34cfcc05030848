package feishu

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// markdown is the style of a card's markdown element (card JSON 2.0, rich
// text): CommonMark with tags such as <at> and <font>.
func markdown(people directory) *markup.Style {
	return &markup.Style{
		Unit:       markup.Bytes,
		Escape:     escape,
		EscapeCode: escapeCode,
		Strong:     markup.Marks{Open: "**", Close: "**"},
		Emphasis:   markup.Marks{Open: "*", Close: "*"},
		Strike:     markup.Marks{Open: "~~", Close: "~~"},
		Code:       markup.Marks{Open: "`", Close: "`"},
		CodeBlock:  markup.Marks{Open: "```\n", Close: "\n```"},
		Heading:    func(int) markup.Marks { return markup.Marks{Open: "**", Close: "**"} },
		Quote:      "> ",
		Bullet:     "-   ", // what is inside stands four spaces in, which is one level
		Joint:      " ",    // bold asks for a space before and after it
		Link:       link,
		Mention:    people.mention,
	}
}

// plain is the style of plain_text elements and of text messages. Both hold no
// markup but <at>, which is said of texts only; a "<" that could begin it
// becomes one that looks the same.
var plain = markup.Style{Escape: func(dst []byte, _, r, after rune) []byte { return noTag(dst, r, after) }}

// plainBytes is plain, counted in bytes.
var plainBytes = markup.Style{Unit: markup.Bytes, Escape: plain.Escape}

// escape writes text that means nothing in markdown: as character references,
// which is what the vendor asks for.
func escape(dst []byte, before, r, after rune) []byte {
	special := false
	switch r {
	case '&', '<', '>', '*', '_', '~', '`', '[', ']', '\\', '$':
		special = true
	case '#', '-', '+', '=', '|': // headings, lists, rules and tables begin lines
		special = before == 0 || unicode.IsSpace(before)
	case '.', ')': // an ordered list
		special = unicode.IsDigit(before) && !unicode.IsLetter(after) && !unicode.IsDigit(after)
	case ':': // an emoji, such as :DONE:; not a time, a URL or the end of a word
		clock := unicode.IsDigit(before) && unicode.IsDigit(after)
		special = before == 0 || !clock && after != '/' && after != 0 && !unicode.IsSpace(after)
	}
	if !special {
		return utf8.AppendRune(dst, r)
	}
	dst = append(dst, "&#"...)
	dst = strconv.AppendInt(dst, int64(r), 10)
	return append(dst, ';')
}

// escapeCode keeps code from ending early. References are not read in code, so
// look-alikes take the places of what could be markup.
func escapeCode(dst []byte, _, r, after rune) []byte {
	if r == '`' {
		return append(dst, "ˋ"...)
	}
	return noTag(dst, r, after)
}

// noTag writes "<" as it is only before what no tag begins with.
func noTag(dst []byte, r, after rune) []byte {
	if r != '<' || after == ' ' || after == '=' || after == '>' || after == '-' || after == '<' || after >= '0' && after <= '9' {
		return utf8.AppendRune(dst, r)
	}
	return append(dst, "‹"...)
}

// labels is the text of a link.
var labels = markup.Style{Escape: escape}

// link writes a link. Feishu knows http and https; a mail address stays text.
func link(target, label string) string {
	text := labels.Line(label, nil, maxURL)
	if !linkable(target) {
		address := strings.TrimPrefix(target, "mailto:")
		if strings.Contains(label, address) {
			return text
		}
		return text + " (" + labels.Line(address, nil, maxURL) + ")"
	}
	if text == "" {
		text = labels.Line(target, nil, maxURL)
	}
	return "[" + text + "](" + markup.Target(target) + ")"
}

func linkable(target string) bool {
	return markup.Linkable(target) && !strings.HasPrefix(strings.ToLower(target), "mailto:") && len(target) <= maxURL
}

// directory finds the vendor's ids of people. Those of Feishu mean nothing to
// Lark and the other way round, so that a person may have both.
type directory struct{ lark bool }

// id is the open_id or user_id of a person, or "".
func (d directory) id(p relay.Person) string {
	id := p.IDs["feishu"]
	if d.lark && p.IDs["lark"] != "" {
		id = p.IDs["lark"]
	}
	if !userID(id) {
		return ""
	}
	return id
}

// mention notifies a person whose id is known.
func (d directory) mention(p relay.Person) string {
	id := d.id(p)
	if id == "" {
		return ""
	}
	return "<at id=" + id + "></at>"
}

// userID reports whether id can be an open_id (ou_…) or a user_id, which are
// all that a webhook may mention.
func userID(id string) bool {
	for _, other := range []string{"on_", "oc_", "cli_"} { // people over several apps, groups, apps
		if strings.HasPrefix(id, other) {
			return false
		}
	}
	return plainID(id)
}

// plainID reports whether id is made as all the vendor's are. "all" is
// everybody, which no person is.
func plainID(id string) bool {
	const longest = 64
	if id == "" || len(id) > longest || strings.EqualFold(id, "all") {
		return false
	}
	for _, c := range []byte(id) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
