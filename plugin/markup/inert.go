package markup

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hidden has no width. It stands where text would begin markup.
const Hidden = "\u200b"

// Inert is an Escape for markdown of which the vendor documents no escapes:
// what a sender wrote is text to every reader of markdown. What could begin a
// block, or join brackets to a link, gets [Hidden] before it; what could format
// or begin a tag gives way to a character that looks the same.
func Inert(dst []byte, before, r, after rune) []byte {
	switch r {
	case '#', '>', '-', '+', '=', '|':
		if before == 0 {
			dst = append(dst, Hidden...)
		}
	case ':': // [a]: would define a link
		if before == 0 || before == ']' {
			dst = append(dst, Hidden...)
		}
	case '(', '[':
		if before == ']' {
			dst = append(dst, Hidden...)
		}
	case '!':
		if after == '[' || after == Unknown { // before a link it would make an image
			return append(dst, "!"+Hidden...)
		}
	case '<':
		if !blank(after) { // also before digits and signs: <5@a.b> is an address
			return append(dst, "‹"...)
		}
	case '`':
		return append(dst, "ˋ"...)
	case '\\':
		return append(dst, "∖"...)
	case '~':
		if !blank(before) { // what cannot end struck-out text never begins any
			return append(dst, "∼"...)
		}
	case '*':
		if before == 0 || !blank(before) || !blank(after) {
			return append(dst, "∗"...)
		}
	case '_': // after a letter it can only end what never began
		if !wordRune(before) && !(blank(before) && blank(after)) {
			return append(dst, "ˍ"...)
		}
	}
	return utf8.AppendRune(dst, r)
}

// InertLabel is Inert for the text of a link, which a bracket could end.
func InertLabel(dst []byte, before, r, after rune) []byte {
	switch r {
	case '[':
		return append(dst, "［"...)
	case ']':
		return append(dst, "］"...)
	}
	return Inert(dst, before, r, after)
}

// Target is a URL as it may stand between the parentheses of a link: what could
// end it early, or is no ASCII, is percent-encoded.
func Target(url string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(url))
	for _, c := range []byte(url) {
		if c <= ' ' || c >= 0x7F || strings.IndexByte("()<>\"\\`*|", c) >= 0 {
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

func blank(r rune) bool { return r == 0 || unicode.IsSpace(r) }
