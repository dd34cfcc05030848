package markup

import (
	"strings"

	"github.com/relay-sidecar/relay"
)

// Unknown is the neighbour of a character, for [Style].Escape, that the writer
// does not know yet.
const Unknown rune = -1

// Marks stand before and after a piece of text, such as "*" and "*".
type Marks struct{ Open, Close string }

// Style is how a vendor writes text. It is a value without state; its
// functions may be called concurrently. The zero Style writes plain text.
type Style struct {
	Unit Unit // what the limits below count

	// Escape appends r as plain text. before and after are its neighbours: 0 at
	// the beginning or the end of a line, Unknown where something else than
	// text follows or may follow. nil: as it is.
	Escape func(dst []byte, before, r, after rune) []byte
	// EscapeCode does so inside Code and CodeBlock. nil: as Escape.
	EscapeCode func(dst []byte, before, r, after rune) []byte

	Strong, Emphasis, Strike, Code Marks
	CodeBlock                      Marks // stands on lines of its own
	Heading                        func(level int) Marks
	Quote                          string // before each line of a quotation
	Bullet                         string // before an item of a list without numbers; default "• "
	Rule                           string // a thematic break; default "———"
	Break                          string // ends a line inside a paragraph; default "\n"

	// Joint separates marks from letters that touch them, where the vendor
	// knows marks at the edges of words only. Empty: not needed.
	Joint string

	// Link writes a link to a URL that has been checked and percent-encoded;
	// the label is plain text, not yet escaped. nil: "label (url)".
	Link func(url, label string) string

	// Mention writes the mention of a person in the vendor's markup, or ""
	// where the vendor does not know the person: then the name is printed.
	Mention func(relay.Person) string
}

// Markdown writes CommonMark of at most limit units.
func (s *Style) Markdown(text string, people []relay.Person, limit int) string {
	pieces := s.Split(text, people, limit, limit)
	if len(pieces) == 0 {
		return ""
	}
	return pieces[0]
}

// Split writes CommonMark in pieces of at most each units, which together have
// at most total. A piece ends between two blocks where it can; markup that is
// open at its end is closed, and opened again in the next one. Only the last
// piece can be cut.
func (s *Style) Split(text string, people []relay.Person, each, total int) []string {
	w := newWriter(s, people, each, total)
	w.document([]byte(text))
	return w.finish()
}

// Text writes plain text, which may hold mention tokens and line breaks.
func (s *Style) Text(text string, people []relay.Person, limit int) string {
	w := newWriter(s, people, limit, limit)
	for i, line := range strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n") {
		if i > 0 {
			w.lineBreak()
		}
		w.text(line)
	}
	if pieces := w.finish(); len(pieces) > 0 {
		return pieces[0]
	}
	return ""
}

// Line is Text in one line: a title, a label.
func (s *Style) Line(text string, people []relay.Person, limit int) string {
	return s.Text(strings.Join(strings.Fields(text), " "), people, limit)
}

// Plain is the style of text without markup.
func Plain(u Unit) *Style { return &Style{Unit: u} }

// Name is what a person is called where no mention is possible.
func Name(p relay.Person) string {
	for _, name := range []string{p.Name, p.Email, p.Phone, p.ID.String()} {
		if name != "" {
			return name
		}
	}
	return ""
}

// visible reports whether a character may be shown: control characters, those
// that reverse the direction of text and the mention tokens' own are not.
func visible(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return true
	case r < ' ', r >= 0x7F && r < 0xA0: // C0, DEL, C1
		return false
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069: // embeddings, overrides, isolates
		return false
	case r == relay.MentionOpen, r == relay.MentionClose:
		return false
	case r == 0x2028, r == 0x2029: // line breaks that are no "\n"
		return false
	}
	return true
}
