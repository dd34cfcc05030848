package store

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
)

// redaction stands where a person's email, phone or id was.
const redaction = "[purged]"

// person is somebody who is to be forgotten, by one email, phone or id.
type person struct {
	folded  string
	pattern *regexp.Regexp
}

func newPerson(name string) person {
	name = strings.TrimSpace(name)
	return person{fold(name), regexp.MustCompile("(?i)" + regexp.QuoteMeta(name))}
}

// is reports whether one of a recipient's values is the person's.
func (p person) is(recipient string) bool {
	for _, value := range personTexts(recipient) {
		if fold(strings.TrimSpace(value)) == p.folded {
			return true
		}
	}
	return false
}

// redact is a text without the person. joann@example.com is not
// ann@example.com, and neither is ann@example.com.au.
func (p person) redact(text string) string {
	var out strings.Builder
	from := 0
	for _, m := range p.pattern.FindAllStringIndex(text, -1) {
		before, _ := utf8.DecodeLastRuneInString(text[:m[0]])
		if partOfName(before) || strings.ContainsRune(".%+-_", before) || goesOn(text[m[1]:]) {
			continue
		}
		out.WriteString(text[from:m[0]])
		out.WriteString(redaction)
		from = m[1]
	}
	if from == 0 {
		return text
	}
	out.WriteString(text[from:])
	return out.String()
}

func partOfName(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// goesOn reports whether a name is only the beginning of a longer one.
func goesOn(after string) bool {
	first, size := utf8.DecodeRuneInString(after)
	second, _ := utf8.DecodeRuneInString(after[size:])
	return partOfName(first) || strings.ContainsRune("-_.@", first) && size > 0 && partOfName(second)
}

// redactEvent is an event's canonical JSON without the person: not among the
// recipients, not as the actor, and in no text. It reports whether that is
// another one.
func (p person) redactEvent(body string) (string, bool) {
	fields, err := members([]byte(body))
	if err != nil {
		out := p.redact(body)
		return out, out != body
	}
	changed := false
	var out bytes.Buffer
	out.WriteByte('{')
	for _, f := range fields {
		value := f.value
		switch f.name {
		case "recipients":
			var all, left []json.RawMessage
			_ = json.Unmarshal(value, &all) // canonical JSON
			for _, r := range all {
				if !p.is(string(r)) {
					left = append(left, r)
				}
			}
			if len(left) < len(all) {
				changed = true
				value, _ = json.Marshal(append([]json.RawMessage{}, left...)) // raw JSON
			}
		case "actor":
			if p.is(string(value)) {
				changed = true
				continue
			}
		}
		if v, ok := p.redactJSON(value); ok {
			value, changed = v, true
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		name, _ := json.Marshal(f.name)
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	if !changed {
		return body, false
	}
	return out.String(), true
}

// inOriginal reports whether what a sender sent, JSON or not, names the person.
func (p person) inOriginal(original string) bool {
	_, changed := p.redactJSON([]byte(original))
	return changed || p.redact(original) != original
}

// redactJSON takes the person out of every text of a JSON value. A value that
// changes is written anew, with the keys of its objects sorted.
func (p person) redactJSON(value []byte) ([]byte, bool) {
	if !bytes.Contains(value, []byte(`\u`)) && !strings.Contains(fold(string(value)), p.folded) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	changed := false
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			s := p.redact(v)
			changed = changed || s != v
			return s
		case json.Number:
			if fold(v.String()) == p.folded {
				changed = true
				return redaction
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for key, value := range v {
				delete(v, key)
				name := p.redact(key)
				changed = changed || name != key
				v[name] = walk(value)
			}
		}
		return v
	}
	v = walk(v)
	if !changed {
		return nil, false
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return nil, false
	}
	return bytes.TrimSpace(out.Bytes()), true
}

// member is one key of an object with its value.
type member struct {
	name  string
	value json.RawMessage
}

// members are those of a JSON object, in order.
func members(object []byte) (all []member, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{}
		m.name, _ = key.(string)
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// keys are the other values by which look-ups may have asked for a person.
func keys(recipient string) []string {
	var p relay.Person
	if json.Unmarshal([]byte(recipient), &p) != nil {
		return nil
	}
	return []string{strings.ToLower(strings.TrimSpace(p.Email)), strings.NewReplacer(" ", "", "-", "").Replace(p.Phone)}
}
