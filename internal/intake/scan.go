package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds how deep a body may nest; the event's own object is the
// first level. Deeper JSON could end the JavaScript engine's process.
const maxDepth = 64

// member is one key of an object with its value as it came.
type member struct {
	key   string
	value []byte
}

// check makes sure that the rest of this file sees well-formed JSON only. An
// array of events may nest one level deeper than an event.
func check(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not UTF-8")
	}
	if !json.Valid(body) {
		var v json.RawMessage
		err := json.Unmarshal(body, &v)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("malformed JSON at byte %d: %s", syntax.Offset, syntax)
		}
		return errors.New("malformed JSON")
	}
	return nil
}

// depth is how deep a well-formed value nests.
func depth(raw []byte) int {
	deepest, level := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i) - 1
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
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
	for i < len(raw) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(raw[i])) {
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

// members splits a well-formed object, in order, doubles included.
func members(raw []byte) []member {
	var out []member
	i := skipSpace(raw, 1)
	for raw[i] != '}' {
		end := stringEnd(raw, i)
		m := member{key: text(raw[i:end])}
		i = skipSpace(raw, skipSpace(raw, end)+1) // behind the colon
		end = valueEnd(raw, i)
		m.value = raw[i:end]
		out = append(out, m)
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return out
}

// text is the value of a well-formed string.
func text(raw []byte) string {
	if !bytes.ContainsRune(raw, '\\') {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "" // cannot be: check has seen it
	}
	return s
}
