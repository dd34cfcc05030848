package teams

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// The style below writes these characters where markup begins and ends, and
// lines reads them again. They are private-use characters, taken out of all
// text, so that nobody else can write them.
const (
	strongOpen, strongClose   = '\uE010', '\uE011'
	emphOpen, emphClose       = '\uE012', '\uE013'
	strikeOpen, strikeClose   = '\uE014', '\uE015'
	codeOpen, codeClose       = '\uE016', '\uE017'
	linkOpen, linkLabel       = '\uE018', '\uE019'
	linkClose                 = '\uE01A'
	personOpen, personClose   = '\uE01B', '\uE01C'
	firstControl, lastControl = strongOpen, personClose
)

// rich is text with markup, plain is text without; neither is ever changed.
// They count bytes, as the limit on the whole message does.
var (
	rich = markup.Style{
		Unit:     markup.Bytes,
		Escape:   withoutControls,
		Strong:   marks(strongOpen, strongClose),
		Emphasis: marks(emphOpen, emphClose),
		Strike:   marks(strikeOpen, strikeClose),
		Code:     marks(codeOpen, codeClose),
		// A block of code is its lines, each in its own RichTextBlock.
		CodeBlock: marks(codeOpen, codeClose),
		Heading:   func(int) markup.Marks { return marks(strongOpen, strongClose) },
		Quote:     "│ ",
		Link:      link,
		Mention: func(p relay.Person) string {
			id := userID(p)
			if id == "" {
				return ""
			}
			return string(personOpen) + id + string(personClose)
		},
	}
	plain = markup.Style{Unit: markup.Bytes, Escape: withoutControls}
)

func marks(begin, end rune) markup.Marks {
	return markup.Marks{Open: string(begin), Close: string(end)}
}

func withoutControls(dst []byte, _, r, _ rune) []byte {
	if r >= firstControl && r <= lastControl {
		return dst
	}
	return utf8.AppendRune(dst, r)
}

func link(target, label string) string {
	label = plain.Line(label, nil, maxMessage)
	if _, ok := webURL(target); !ok { // mailto, or too long
		target, label = strings.TrimPrefix(target, "mailto:"), strings.TrimPrefix(label, "mailto:")
		if target == label || label == "" {
			return target
		}
		return label + " (" + target + ")"
	}
	if label == "" {
		label = target
	}
	return string(linkOpen) + target + string(linkLabel) + label + string(linkClose)
}

// webURL is a URL that a button or an image may have.
func webURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || len(raw) > maxURL {
		return "", false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return strings.ReplaceAll(raw, " ", "%20"), true
	}
	return "", false
}

// run is a piece of text of one look. Teams reads no Markdown in it
// (Adaptive Cards, TextRun).
type run struct {
	Type          string  `json:"type"`
	Text          string  `json:"text"`
	Size          string  `json:"size,omitempty"`
	Weight        string  `json:"weight,omitempty"`
	Color         string  `json:"color,omitempty"`
	IsSubtle      bool    `json:"isSubtle,omitempty"`
	Italic        bool    `json:"italic,omitempty"`
	Strikethrough bool    `json:"strikethrough,omitempty"`
	FontType      string  `json:"fontType,omitempty"`
	SelectAction  *action `json:"selectAction,omitempty"`

	person string // the id of who is named here; Text is the name
}

// line is one line of text; gap: an empty line stood before it.
type line struct {
	runs []run
	gap  bool
}

// lines reads what rich wrote.
func lines(text string, who *people) []line {
	var all []line
	look := run{Type: "TextRun"}
	gap := false
	for row := range strings.SplitSeq(text, "\n") {
		l := line{gap: gap}
		add := func(r run) {
			if r.Text != "" {
				l.runs = append(l.runs, r)
			}
		}
		for row != "" {
			at := strings.IndexFunc(row, func(r rune) bool { return r >= firstControl && r <= lastControl })
			if at != 0 {
				if at < 0 {
					at = len(row)
				}
				r := look
				r.Text = row[:at]
				add(r)
				row = row[at:]
				continue
			}
			control, size := utf8.DecodeRuneInString(row)
			row = row[size:]
			switch control {
			case strongOpen:
				look.Weight = "Bolder"
			case strongClose:
				look.Weight = ""
			case emphOpen, emphClose:
				look.Italic = control == emphOpen
			case strikeOpen, strikeClose:
				look.Strikethrough = control == strikeOpen
			case codeOpen:
				look.FontType = "Monospace"
			case codeClose:
				look.FontType = ""
			case linkOpen:
				r := look
				var target string
				target, row, _ = strings.Cut(row, string(linkLabel))
				r.Text, row, _ = strings.Cut(row, string(linkClose))
				r.SelectAction = openURL(target)
				add(r)
			case personOpen:
				r := look
				r.person, row, _ = strings.Cut(row, string(personClose))
				r.Text = who.name(r.person)
				add(r)
			}
		}
		if gap = len(l.runs) == 0; gap {
			continue
		}
		// Cards show no spaces at the beginning of a line; these they do.
		first := &l.runs[0]
		text := strings.TrimLeft(first.Text, " \t")
		first.Text = strings.Repeat("\u00a0", len(first.Text)-len(text)) + text
		all = append(all, l)
	}
	return all
}
