package render

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// encode writes a value as JSON.stringify would, but stops at limit bytes and
// at [maxDepth]: a script can share one object so often that its JSON fills the
// memory before any clock is looked at. Mention tokens become names, since only
// the portable message knows mentions. undefined is null.
func (s *scope) encode(v goja.Value, limit int) ([]byte, error) {
	e := encoder{scope: s, limit: limit}
	if err := e.value(v, "", 1); err != nil {
		return nil, err
	}
	return e.out, nil
}

type encoder struct {
	scope *scope
	out   []byte
	limit int
}

func (e *encoder) value(v goja.Value, key string, depth int) error {
	if len(e.out) > e.limit {
		return fmt.Errorf("it is longer than %d KiB", e.limit>>10)
	}
	o, ok := v.(*goja.Object)
	if ok {
		if toJSON, ok := goja.AssertFunction(o.Get("toJSON")); ok {
			plain, err := toJSON(o, e.scope.rt.ToValue(key))
			if err != nil {
				panic(err)
			}
			v = plain
			o, ok = v.(*goja.Object)
			if !ok {
				return e.primitive(v)
			}
		}
	}
	if !ok {
		return e.primitive(v)
	}
	if depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels, or in a circle", maxDepth)
	}
	switch o.ClassName() {
	case "Array":
		return e.array(o, depth)
	case "Function":
		e.out = append(e.out, "null"...)
		return nil
	case "Number", "String", "Boolean":
		return e.primitive(e.scope.rt.ToValue(o.Export()))
	}
	return e.object(o, depth)
}

func (e *encoder) primitive(v goja.Value) error {
	switch {
	case absent(v) || goja.IsNull(v):
		e.out = append(e.out, "null"...)
	case goja.IsString(v):
		e.text(v.String())
	case goja.IsNumber(v):
		e.number(v)
	case goja.IsBigInt(v):
		return errors.New("it holds a BigInt, which JSON does not know; use String(n)")
	default:
		e.out = strconv.AppendBool(e.out, v.ToBoolean())
	}
	if len(e.out) > e.limit {
		return fmt.Errorf("it is longer than %d KiB", e.limit>>10)
	}
	return nil
}

func (e *encoder) number(v goja.Value) {
	if n, ok := v.Export().(int64); ok {
		e.out = strconv.AppendInt(e.out, n, 10)
		return
	}
	f := v.ToFloat()
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		e.out = append(e.out, "null"...)
	case f == 0: // JavaScript's JSON has no -0
		e.out = append(e.out, '0')
	default:
		e.out = append(e.out, v.String()...)
	}
}

func (e *encoder) array(o *goja.Object, depth int) error {
	e.out = append(e.out, '[')
	for i, n := int64(0), o.Get("length").ToInteger(); i < n; i++ {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		key := strconv.FormatInt(i, 10)
		if err := e.value(o.Get(key), key, depth+1); err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	return nil
}

func (e *encoder) object(o *goja.Object, depth int) error {
	e.out = append(e.out, '{')
	first := true
	for _, key := range o.Keys() {
		v := o.Get(key)
		if absent(v) {
			continue
		}
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		e.text(key)
		e.out = append(e.out, ':')
		if err := e.value(v, key, depth+1); err != nil {
			return err
		}
	}
	e.out = append(e.out, '}')
	return nil
}

// absent reports whether JSON leaves a value out of an object.
func absent(v goja.Value) bool {
	if v == nil || goja.IsUndefined(v) {
		return true
	}
	switch v := v.(type) {
	case *goja.Symbol:
		return true
	case *goja.Object:
		return v.ClassName() == "Function"
	}
	return false
}

const hexDigits = "0123456789abcdef"

// text writes a string with its mention tokens replaced by names.
func (e *encoder) text(text string) {
	text = strings.ToValidUTF8(e.scope.named(text), "\uFFFD")
	e.out = append(e.out, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e.out = append(e.out, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			e.out = append(e.out, '\\', c)
		case '\n':
			e.out = append(e.out, '\\', 'n')
		case '\t':
			e.out = append(e.out, '\\', 't')
		case '\r':
			e.out = append(e.out, '\\', 'r')
		default:
			e.out = append(e.out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	e.out = append(e.out, text[start:]...)
	e.out = append(e.out, '"')
}
