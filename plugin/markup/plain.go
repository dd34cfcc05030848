package markup

import (
	"unicode"
	"unicode/utf8"
)

// plain writes text as it is to be read: no tokens, no escapes, no references.
func (w *writer) plain(s string, code bool) {
	escape := w.style.Escape
	if code && w.style.EscapeCode != nil {
		escape = w.style.EscapeCode
	}
	for i := 0; i < len(s) && !w.full; {
		if n := simple(s[i:], w.room()-w.used-w.owed-w.ellipsis); n > 1 && w.before != 0 && w.number == 0 && !w.closed && w.pending == 0 {
			// Letters need no escape: all that fit at once.
			w.out = append(w.out, s[i:i+n]...)
			w.used += n
			i += n
			w.before = rune(s[i-1])
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if !visible(r) {
			continue
		}
		if r == '\n' {
			w.lineBreak()
			continue
		}
		if w.before == 0 && (r == ' ' || r == '\t') && !code && len(w.open) == 0 {
			continue // a line does not begin with a space
		}
		after := following(s[i:])
		w.flush()
		w.joint(r)
		w.scratch = w.scratch[:0]
		if escape != nil {
			w.scratch = escape(w.scratch, w.before, r, after)
		} else {
			w.scratch = utf8.AppendRune(w.scratch, r)
		}
		w.put(w.scratch, w.style.Unit.Len(string(w.scratch)))
		w.began(r)
	}
}

// began notes a character. What follows an indentation, or a number such as
// "1. " that begins a list, still begins the line.
func (w *writer) began(r rune) {
	begins := w.before == 0
	w.before = r
	switch {
	case (r == ' ' || r == '\t') && (begins || w.number == 2):
		w.before, w.number = 0, 0
	case r >= '0' && r <= '9' && (begins || w.number == 1):
		w.number = 1
	case (r == '.' || r == ')') && w.number == 1 && !begins:
		w.number = 2
	default:
		w.number = 0
	}
}

// following is the neighbour after a character: the next one that shows.
func following(s string) rune {
	for _, r := range s {
		switch {
		case r == '\n':
			return 0
		case visible(r):
			return r
		}
	}
	return Unknown
}

// joint parts a letter from the mark that was closed just before it.
func (w *writer) joint(r rune) {
	if w.closed && wordRune(r) && w.style.Joint != "" {
		w.put([]byte(w.style.Joint), w.style.Unit.Len(w.style.Joint))
	}
	w.closed = false
}

// atom writes markup that must stay whole.
func (w *writer) atom(s string) {
	w.flush()
	w.closed = false
	w.put([]byte(s), w.style.Unit.Len(s))
	w.before = ' '
}

// simple is how many bytes at the beginning of s, of at most limit, are ASCII
// letters, digits and spaces, which no vendor needs escaped inside a line.
func simple(s string, limit int) int {
	s = s[:min(len(s), max(limit, 0))]
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != ' ' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return i
		}
	}
	return len(s)
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
