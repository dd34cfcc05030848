package intake

import (
	"bytes"
	"fmt"
	"slices"
)

// object checks an object's id and the strings in it. What else it holds is
// kept. Keys compare in any letter case, since so does encoding/json where the
// event is read again: {"Name": 1} must not pass here and fail there.
func (r *reader) object(path string, v []byte, texts ...string) {
	if v == nil {
		return
	}
	if v[0] != '{' {
		r.fault(path, "is not an object")
		return
	}
	if len(texts) == 0 {
		return
	}
	for key, value := range members(v) {
		switch {
		case string(value) == "null":
		case is(key, "id"):
			if !isID(value) {
				r.fault(path+child(key), "is neither a number nor a string")
			}
		case value[0] != '"' && slices.ContainsFunc(texts, func(name string) bool { return is(key, name) }):
			r.fault(path+child(key), "is not a string")
		}
	}
}

// person checks an actor or a recipient.
func (r *reader) person(path string, v []byte) {
	r.object(path, v, "name", "email", "phone")
	if v == nil || v[0] != '{' {
		return
	}
	for key, value := range members(v) {
		switch {
		case !is(key, "ids") || string(value) == "null":
		case value[0] != '{':
			r.fault(path+child(key), "is not an object")
		default:
			for provider, id := range members(value) {
				if id[0] != '"' && string(id) != "null" {
					r.fault(path+child(key)+child(provider), "is not a string")
				}
			}
		}
	}
}

// recipients checks every one of them.
func (r *reader) recipients() {
	v := r.values[keyRecipients]
	if v == nil {
		return
	}
	if v[0] != '[' {
		r.fault(".recipients", "is not an array")
		return
	}
	all := elements(v)
	if len(all) > maxRecipients {
		r.fault(".recipients", "has %d recipients, at most %d are taken", len(all), maxRecipients)
		return
	}
	for i, one := range all {
		r.person(fmt.Sprintf(".recipients[%d]", i), one)
	}
}

// addRecipients adds an array of persons to the event's own recipients.
func (r *reader) addRecipients(more []byte) {
	v := r.values[keyRecipients]
	switch {
	case more == nil || v != nil && v[0] != '[':
	case v == nil || len(elements(v)) == 0:
		r.values[keyRecipients] = more
	default:
		r.values[keyRecipients] = slices.Concat(v[:len(v)-1], []byte(","), more[1:])
	}
}

// is reports whether a key has a name, as encoding/json sees it.
func is(key []byte, name string) bool { return bytes.EqualFold(key, []byte(name)) }
