package problem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

const (
	// maxFaults keeps an answer readable; a body of a thousand bad events has thousands.
	maxFaults = 50
	// maxQuoted bounds how much of a sender's words stands in an answer to it, in bytes.
	maxQuoted = 60
)

// CheckJSON says where a body is no well-formed JSON in UTF-8, or nil.
func CheckJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not UTF-8")
	}
	if bytes.HasPrefix(body, []byte("\uFEFF")) {
		return errors.New("malformed JSON at byte 1: a byte order mark; send the JSON without it")
	}
	if json.Valid(body) {
		return nil
	}
	err := json.Unmarshal(body, new(json.RawMessage)) // only to learn where
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("malformed JSON at byte %d: %s", syntax.Offset, syntax)
	}
	return errors.New("malformed JSON")
}

// Refuse is the answer to faults, which says in words what comes of them; nil
// where there are none.
func Refuse(words string, faults []Fault) *Problem {
	if len(faults) == 0 {
		return nil
	}
	first := faults[0].Path + " " + faults[0].Message
	switch n := len(faults); {
	case n > maxFaults:
		first = fmt.Sprintf("%d faults, of which %d are listed; the first is %s", n, maxFaults, first)
		faults = faults[:maxFaults]
	case n > 1:
		first = fmt.Sprintf("%d faults, the first is %s", n, first)
	}
	return New(http.StatusBadRequest, words+": "+first, faults...)
}

// Child is the part of a JSON path that names a member.
func Child(key string) string {
	plain := func(c rune) bool {
		return c == '_' || c == '-' || c == '$' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	if key != "" && len(key) <= maxQuoted && !strings.ContainsFunc(key, func(c rune) bool { return !plain(c) }) {
		return "." + key
	}
	return fmt.Sprintf("[%q]", Cut(key))
}

// Cut is text short enough to be quoted.
func Cut(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
