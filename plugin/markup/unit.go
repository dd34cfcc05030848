package markup

import (
	"unicode/utf8"
)

// Ellipsis marks a cut.
const Ellipsis = "…"

// Unit is what a vendor counts.
type Unit int

// The units.
const (
	Runes Unit = iota // Unicode code points
	Bytes             // bytes of UTF-8
	UTF16             // code units of UTF-16: a character beyond the first plane counts twice
)

// Len is the length of s.
func (u Unit) Len(s string) int {
	switch u {
	case Bytes:
		return len(s)
	case UTF16:
		n := 0
		for _, r := range s {
			n += u.rune(r)
		}
		return n
	}
	return utf8.RuneCountInString(s)
}

func (u Unit) rune(r rune) int {
	switch {
	case u == Bytes:
		return max(utf8.RuneLen(r), 1)
	case u == UTF16 && r > 0xFFFF:
		return 2
	}
	return 1
}

// Cut is s, of at most limit units; where it was longer it is cut at a rune
// and marked. It knows nothing of markup: see [Style.Text] for that.
func Cut(s string, limit int, u Unit) string {
	if len(s) <= limit { // no unit is shorter than a byte
		return s
	}
	room := limit - u.Len(Ellipsis)
	used, end := 0, 0
	for i, r := range s {
		if used <= room {
			end = i
		}
		if used += u.rune(r); used > limit {
			if room < 0 {
				return ""
			}
			return s[:end] + Ellipsis
		}
	}
	return s
}
