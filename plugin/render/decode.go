package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// decode turns JSON into values of the scope's runtime. It differs from
// JSON.parse in three ways that scripts rely on: integers that a JavaScript
// number cannot hold stay exact as strings (ids are kept as they came), nesting
// is bounded, and the characters that enclose mention tokens are dropped, so
// that nobody but a template can mention anyone.
func (s *scope) decode(raw []byte) (goja.Value, error) {
	d := decoder{scope: s, in: raw}
	v, err := d.value(1)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at < len(d.in) {
		return nil, d.unexpected()
	}
	return v, nil
}

type decoder struct {
	scope *scope
	in    []byte
	at    int
}

func (d *decoder) unexpected() error {
	if d.at >= len(d.in) {
		return errors.New("it ends too early")
	}
	return fmt.Errorf("unexpected %q at byte %d", d.in[d.at], d.at+1)
}

func (d *decoder) space() {
	for d.at < len(d.in) {
		switch d.in[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// peek skips space and is the next byte, 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.at < len(d.in) {
		return d.in[d.at]
	}
	return 0
}

func (d *decoder) value(depth int) (goja.Value, error) {
	switch c := d.peek(); {
	case c == '{' || c == '[':
		if depth > maxDepth {
			return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
		}
		d.at++
		if c == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case c == '"':
		text, err := d.text()
		return d.scope.rt.ToValue(text), err
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	}
	switch {
	case d.word("true"):
		return d.scope.rt.ToValue(true), nil
	case d.word("false"):
		return d.scope.rt.ToValue(false), nil
	case d.word("null"):
		return goja.Null(), nil
	}
	return nil, d.unexpected()
}

func (d *decoder) word(w string) bool {
	if strings.HasPrefix(string(d.in[d.at:min(d.at+len(w), len(d.in))]), w) {
		d.at += len(w)
		return true
	}
	return false
}

func (d *decoder) object(depth int) (goja.Value, error) {
	o := d.scope.rt.NewObject()
	if d.peek() == '}' {
		d.at++
		return o, nil
	}
	for {
		if d.peek() != '"' {
			return nil, d.unexpected()
		}
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		if d.peek() != ':' {
			return nil, d.unexpected()
		}
		d.at++
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		d.scope.put(o, key, v)
		switch d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return o, nil
		default:
			return nil, d.unexpected()
		}
	}
}

func (d *decoder) array(depth int) (goja.Value, error) {
	var items []any
	if d.peek() == ']' {
		d.at++
		return d.scope.rt.NewArray(), nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		switch d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			return d.scope.rt.NewArray(items...), nil
		default:
			return nil, d.unexpected()
		}
	}
}

// maxSafeInteger is the largest integer up to which a JavaScript number counts
// every one.
const maxSafeInteger = 1<<53 - 1

func (d *decoder) number() (goja.Value, error) {
	start, integer := d.at, true
	for d.at < len(d.in) {
		switch c := d.in[d.at]; {
		case c >= '0' && c <= '9' || c == '-' && d.at == start:
		case c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-':
			integer = false
		default:
			goto end
		}
		d.at++
	}
end:
	text := string(d.in[start:d.at])
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		d.at = start
		return nil, d.unexpected()
	}
	if integer && text != "-0" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n > maxSafeInteger || n < -maxSafeInteger {
			return d.scope.rt.ToValue(text), nil
		}
		return d.scope.rt.ToValue(n), nil
	}
	if !json.Valid(d.in[start:d.at]) {
		d.at = start
		return nil, d.unexpected()
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil { // out of range
		return d.scope.rt.ToValue(text), nil
	}
	return d.scope.rt.ToValue(f), nil
}

// text reads a string. Most have neither escapes nor odd characters, and are
// taken as they are.
func (d *decoder) text() (string, error) {
	d.at++
	start, plain := d.at, true
	for d.at < len(d.in) {
		switch c := d.in[d.at]; {
		case c == '"':
			text := string(d.in[start:d.at])
			d.at++
			if plain {
				return text, nil
			}
			return withoutTokens(strings.ToValidUTF8(text, "\uFFFD")), nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.unexpected()
		case c >= utf8.RuneSelf:
			plain = false
		}
		d.at++
	}
	return "", d.unexpected()
}

// escaped reads the rest of a string from its first backslash on.
func (d *decoder) escaped(start int) (string, error) {
	text := append([]byte(nil), d.in[start:d.at]...)
	for d.at < len(d.in) {
		c := d.in[d.at]
		switch {
		case c == '"':
			d.at++
			return withoutTokens(strings.ToValidUTF8(string(text), "\uFFFD")), nil
		case c < ' ':
			return "", d.unexpected()
		case c != '\\':
			text = append(text, c)
			d.at++
			continue
		}
		d.at++
		if d.at >= len(d.in) {
			break
		}
		c = d.in[d.at]
		if c == 'u' {
			r, err := d.unicode()
			if err != nil {
				return "", err
			}
			text = utf8.AppendRune(text, r)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			return "", d.unexpected()
		}
		text = append(text, "\"\\/\b\f\n\r\t"[i])
		d.at++
	}
	return "", d.unexpected()
}

// unicode reads from the u of \uXXXX on, and a second one where they are the
// halves of one character.
func (d *decoder) unicode() (rune, error) {
	first, err := d.hex()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if d.at+1 < len(d.in) && d.in[d.at] == '\\' && d.in[d.at+1] == 'u' {
		mark := d.at
		d.at++
		second, err := d.hex()
		if err != nil {
			return 0, err
		}
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, nil
		}
		d.at = mark
	}
	return utf8.RuneError, nil
}

func (d *decoder) hex() (rune, error) {
	if d.at+5 > len(d.in) {
		d.at = len(d.in)
		return 0, d.unexpected()
	}
	n, err := strconv.ParseUint(string(d.in[d.at+1:d.at+5]), 16, 32)
	if err != nil {
		return 0, d.unexpected()
	}
	d.at += 5
	return rune(n), nil
}
