package intake

import (
	"bytes"
	"encoding/json"
	"slices"
)

// canonical writes the event with what relay filled in, its keys in one order
// and everything else as it came, without the white space between.
func (r *reader) canonical(spaced bool) []byte {
	size := 2
	for i, v := range r.values {
		size += len(keyNames[i]) + len(v) + len(`"":,`)
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	for i, v := range r.values {
		if v == nil {
			continue
		}
		if i == keyID { // the first, and always there
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(keyNames[i])
		b.WriteString(`":`)
		if spaced && (v[0] == '{' || v[0] == '[') {
			json.Compact(b, v) // cannot fail: the body was checked
		} else {
			b.Write(v)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes a string as JSON.
func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string always encodes
	return b
}

// enclose is quote for a string that holds nothing to escape.
func enclose(s string) []byte { return []byte(`"` + s + `"`) }

// object writes a JSON object, its members in the order in which they were put.
type object struct {
	names  []string
	values [][]byte
}

func (o *object) put(name string, value []byte) {
	if !slices.Contains(o.names, name) {
		o.names, o.values = append(o.names, name), append(o.values, value)
	}
}

func (o *object) json() []byte {
	b := bytes.NewBufferString("{")
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(name))
		b.WriteByte(':')
		json.Compact(b, o.values[i]) // cannot fail: it was checked
	}
	b.WriteByte('}')
	return b.Bytes()
}
