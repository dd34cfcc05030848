package intake

import (
	"bytes"
	"encoding/json"
	"iter"

	"github.com/relay-sidecar/relay"
)

// maxDepth bounds how deep an event may nest; its own object is the first
// level. Deeper JSON could end the JavaScript engine's process.
const maxDepth = 64

// survey is how deep a well-formed value nests, and whether there is white
// space between its parts.
func survey(raw []byte) (depth int, spaced bool) {
	level := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i) - 1
		case '{', '[':
			level++
			depth = max(depth, level)
		case '}', ']':
			level--
		case ' ', '\t', '\r', '\n':
			spaced = true
		}
	}
	return depth, spaced
}

// stringEnd is the index behind the string that begins at i.
func stringEnd(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is the index behind the value that begins at i.
func valueEnd(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return stringEnd(raw, i)
	case '{', '[':
		level := 0
		for ; ; i++ {
			switch raw[i] {
			case '"':
				i = stringEnd(raw, i) - 1
			case '{', '[':
				level++
			case '}', ']':
				if level--; level == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(raw) {
		switch raw[i] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
		i++
	}
	return i
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\r' || raw[i] == '\n') {
		i++
	}
	return i
}

// elements splits a well-formed array.
func elements(raw []byte) [][]byte {
	var out [][]byte
	i := skipSpace(raw, 1)
	for raw[i] != ']' {
		end := valueEnd(raw, i)
		out = append(out, raw[i:end])
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return out
}

// members are the keys of a well-formed object with their values as they came,
// in order, doubles included.
func members(raw []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := skipSpace(raw, 1)
		for raw[i] != '}' {
			end := stringEnd(raw, i)
			key := unquote(raw[i:end])
			i = skipSpace(raw, skipSpace(raw, end)+1) // behind the colon
			end = valueEnd(raw, i)
			if !yield(key, raw[i:end]) {
				return
			}
			if i = skipSpace(raw, end); raw[i] == ',' {
				i = skipSpace(raw, i+1)
			}
		}
	}
}

// unquote is what a well-formed string says. It may share raw's memory.
func unquote(raw []byte) []byte {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil // cannot be: it was checked
	}
	return []byte(s)
}

// The characters that are never shown are NUL and those that stand for mentions
// in messages, which only templates make. JSON holds them in strings only: as
// they are, except NUL, or escaped.
const (
	mentionOpen  = string(relay.MentionOpen)
	mentionClose = string(relay.MentionClose)
)

// withoutHidden is a well-formed value without those characters: raw itself
// where it has none of them.
func withoutHidden(raw []byte) []byte {
	if !bytes.Contains(raw, []byte(`\u`)) && !bytes.Contains(raw, []byte(mentionOpen)) && !bytes.Contains(raw, []byte(mentionClose)) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		n := 1
		switch {
		case bytes.HasPrefix(raw, []byte(mentionOpen)), bytes.HasPrefix(raw, []byte(mentionClose)):
			raw = raw[len(mentionOpen):]
			continue
		case raw[0] == '\\' && raw[1] == 'u':
			if n = len(`\u0000`); isHidden(raw[:n]) {
				raw = raw[n:]
				continue
			}
		case raw[0] == '\\':
			n = 2
		}
		out = append(out, raw[:n]...)
		raw = raw[n:]
	}
	return out
}

func isHidden(escape []byte) bool {
	return bytes.EqualFold(escape, []byte(`\u0000`)) || bytes.EqualFold(escape, []byte(`\ue000`)) || bytes.EqualFold(escape, []byte(`\ue001`))
}
