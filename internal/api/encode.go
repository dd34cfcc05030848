package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// timeLayout is a time in answers: RFC 3339, in UTC and always with
// milliseconds, so that the texts are of one width and sort as the times do.
const timeLayout = `"2006-01-02T15:04:05.000Z"`

// encode is an answer as encoding/json would write it, but for times, which have
// one form wherever they stand and whatever clock they come from. Answers have
// no cycles, and their maps have strings for keys.
func encode(v any) ([]byte, error) {
	e := encoder{known: map[reflect.Type][]member{}}
	e.leaves = json.NewEncoder(&e)
	e.leaves.SetEscapeHTML(false) // masked URLs hold <secret>
	err := e.value(reflect.ValueOf(v))
	return e.Bytes(), err
}

type encoder struct {
	bytes.Buffer
	leaves *json.Encoder // writes what holds no time
	known  map[reflect.Type][]member
}

// member is a field of a struct as JSON has it.
type member struct {
	index            []int
	name             string
	noEmpty, noZeros bool // is left out then
}

// members are the fields that encoding/json would write, those of embedded
// structs among them.
func (e *encoder) members(t reflect.Type) []member {
	all, ok := e.known[t]
	if ok {
		return all
	}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.Anonymous && f.IsExported() && name != "-" {
			all = append(all, member{f.Index, cmp.Or(name, f.Name), options == "omitempty", options == "omitzero"})
		}
	}
	e.known[t] = all
	return all
}

func (e *encoder) leaf(v any) error {
	err := e.leaves.Encode(v)
	e.Truncate(len(bytes.TrimSuffix(e.Bytes(), []byte("\n"))))
	return err
}

func (e *encoder) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		if v.IsNil() {
			e.WriteString("null")
			return nil
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return e.value(v.Elem())
	case reflect.Struct, reflect.Slice, reflect.Map:
	default:
		return e.leaf(v.Interface())
	}
	switch x := v.Interface().(type) {
	case time.Time:
		e.WriteString(x.UTC().Format(timeLayout))
		return nil
	case json.Marshaler, []byte:
		return e.leaf(x)
	}
	switch v.Kind() {
	case reflect.Struct:
		return e.object(v)
	case reflect.Slice:
		return e.array(v)
	}
	return e.table(v)
}

func (e *encoder) object(v reflect.Value) error {
	e.WriteByte('{')
	first := true
	for _, m := range e.members(v.Type()) {
		value := v.FieldByIndex(m.index)
		if m.noEmpty && isEmpty(value) || m.noZeros && value.IsZero() {
			continue
		}
		if err := e.member(m.name, value, first); err != nil {
			return err
		}
		first = false
	}
	e.WriteByte('}')
	return nil
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func (e *encoder) member(name string, value reflect.Value, first bool) error {
	if !first {
		e.WriteByte(',')
	}
	if err := e.leaf(name); err != nil {
		return err
	}
	e.WriteByte(':')
	return e.value(value)
}

func (e *encoder) array(v reflect.Value) error {
	e.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			e.WriteByte(',')
		}
		if err := e.value(v.Index(i)); err != nil {
			return err
		}
	}
	e.WriteByte(']')
	return nil
}

func (e *encoder) table(v reflect.Value) error {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return cmp.Compare(x.String(), y.String()) })
	e.WriteByte('{')
	for i, key := range keys {
		if err := e.member(key.String(), v.MapIndex(key), i == 0); err != nil {
			return err
		}
	}
	e.WriteByte('}')
	return nil
}
