package markup

import (
	"iter"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/util"

	"github.com/relay-sidecar/relay"
)

const (
	tokenOpen  = string(relay.MentionOpen)
	tokenClose = string(relay.MentionClose)

	// maxIndex bounds the digits of a token.
	maxIndex = 4

	// maxReference bounds a character reference: the longest name has 31 letters.
	maxReference = 34
)

// text writes plain text with mention tokens.
func (w *writer) text(s string) { w.tokens(s, false) }

// tokens writes text and turns mention tokens into mentions, in code into names.
func (w *writer) tokens(s string, code bool) {
	for part, person := range w.mentions(s) {
		if person == nil {
			w.plain(part, code)
			continue
		}
		if w.style.Mention != nil && !code {
			if m := w.style.Mention(*person); m != "" {
				w.atom(m)
				continue
			}
		}
		w.plain(withoutTokens(Name(*person)), code)
	}
}

// escaped writes text in which CommonMark's escapes and character references
// still stand. What they spell is text, never a token.
func (w *writer) escaped(s string) {
	if !strings.ContainsAny(s, `\&`) {
		w.tokens(s, false)
		return
	}
	var b strings.Builder
	for part, literal := range unescape(s) {
		if literal {
			part = withoutTokens(part)
		}
		b.WriteString(part)
	}
	w.tokens(b.String(), false)
}

// named is s with the names of those who are mentioned.
func (w *writer) named(s string) string {
	if !strings.Contains(s, tokenOpen) {
		return s
	}
	var b strings.Builder
	for part, person := range w.mentions(s) {
		if person != nil {
			part = Name(*person)
		}
		b.WriteString(withoutTokens(part))
	}
	return b.String()
}

// Names is text with the names of those who are mentioned in place of the
// tokens, for a vendor that takes no markup.
func Names(s string, people []relay.Person) string {
	return (&writer{people: people}).named(s)
}

// mentions parts s at its mention tokens: text with nil, or a person. A token
// that names nobody is left out.
func (w *writer) mentions(s string) iter.Seq2[string, *relay.Person] {
	return func(yield func(string, *relay.Person) bool) {
		for {
			before, rest, found := strings.Cut(s, tokenOpen)
			if before != "" && !yield(before, nil) || !found {
				return
			}
			digits, _, closed := strings.Cut(rest[:min(len(rest), maxIndex+len(tokenClose))], tokenClose)
			index, err := strconv.Atoi(digits)
			if !closed || err != nil {
				s = rest // a lone character
				continue
			}
			if index >= 0 && index < len(w.people) && !yield("", &w.people[index]) {
				return
			}
			s = rest[len(digits)+len(tokenClose):]
		}
	}
}

// unescape parts text at backslash escapes and character references; literal
// parts are what those stand for.
func unescape(s string) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for s != "" {
			at := strings.IndexAny(s, `\&`)
			if at < 0 {
				yield(s, false)
				return
			}
			if at > 0 && !yield(s[:at], false) {
				return
			}
			s = s[at:]
			if s[0] == '\\' && len(s) > 1 && util.IsPunct(s[1]) {
				if !yield(s[1:2], true) {
					return
				}
				s = s[2:]
				continue
			}
			size, value := 1, s[:1]
			if s[0] == '&' {
				if end := strings.IndexByte(s[:min(len(s), maxReference)], ';'); end > 0 {
					reference := []byte(s[:end+1])
					if v := string(util.ResolveEntityNames(util.ResolveNumericReferences(reference))); v != s[:end+1] {
						size, value = end+1, v
					}
				}
			}
			if !yield(value, true) {
				return
			}
			s = s[size:]
		}
	}
}
