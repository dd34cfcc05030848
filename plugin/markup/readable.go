package markup

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// maxReadable bounds what Readable writes of one text, in bytes; templates make less.
const maxReadable = 256 << 10

// Readable is what a template made (a portable message, a vendor's own object,
// a string or null) as plain text: the words that people will read, in order.
// Of a vendor's object it is a guess by the names of its keys, without the
// vendor's markup being understood.
func Readable(message json.RawMessage) string {
	v, err := ordered(message)
	if err != nil {
		return ""
	}
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case object:
		var m relay.Message
		if json.Unmarshal(message, &m) == nil && m.Mark == relay.MessageMark {
			return readablePortable(&m)
		}
		return readableNative(v)
	}
	return ""
}

// readablePortable has a block for each part of a message.
func readablePortable(m *relay.Message) string {
	plain := Plain(Bytes)
	line := func(s string) string { return plain.Line(s, m.Mentions, maxReadable) }
	blocks := []string{linked(line(m.Title), m.Link), plain.Markdown(m.Text, m.Mentions, maxReadable)}
	var fields, actions []string
	for _, f := range m.Fields {
		fields = append(fields, paired(line(f.Name), plain.Text(f.Value, m.Mentions, maxReadable)))
	}
	for _, a := range m.Actions {
		actions = append(actions, linked("["+line(a.Text)+"]", a.URL))
	}
	blocks = append(blocks, strings.Join(fields, "\n"))
	if m.Image != nil {
		blocks = append(blocks, linked(line(m.Image.Alt), m.Image.URL))
	}
	blocks = append(blocks, strings.Join(actions, "\n"), line(m.Footer))
	blocks = slices.DeleteFunc(blocks, func(s string) bool { return s == "" })
	return strings.Join(blocks, "\n\n")
}

func paired(name, value string) string {
	if name == "" || value == "" {
		return name + value
	}
	return name + ": " + value
}

func linked(text, target string) string {
	if text == "" || target == "" {
		return text + target
	}
	return text + " " + target
}

// readableNative has a line for each text.
func readableNative(o object) string {
	var lines []string
	for _, l := range readableLines(o) {
		if !slices.Contains(lines, l) { // what a notification shows is often the title again
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "\n")
}

// The names that vendors give to what people read, and to where it leads.
var (
	readableKeys = []string{"text", "title", "subtitle", "sub_title_text", "content", "description", "desc", "summary", "name", "keyname", "value",
		"label", "alt_text", "altText", "alt", "footer", "header", "markdown", "message", "quote_text", "singleTitle"}
	nameKeys   = []string{"name", "title", "keyname"}
	targetKeys = []string{"url", "link", "href", "title_link", "image_url", "jump_url", "singleURL", "actionURL", "messageUrl"}
)

func readableLines(v any) (lines []string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			lines = append(lines, readableLines(item)...)
		}
	case object:
		if name, value := v.text(nameKeys...), v.text("value"); name != "" && value != "" {
			return []string{paired(name, value)}
		}
		for _, m := range v {
			text, ok := m.value.(string)
			switch inner, err := ordered(json.RawMessage(text)); {
			case !ok:
				lines = append(lines, readableLines(m.value)...)
			case !slices.Contains(readableKeys, m.key) || strings.TrimSpace(text) == "":
			case err == nil && isObject(inner): // some vendors want JSON in a string
				lines = append(lines, readableLines(inner)...)
			default:
				lines = append(lines, strings.TrimSpace(text))
			}
		}
		if target := v.text(targetKeys...); target != "" {
			if len(lines) == 0 {
				lines = []string{""}
			}
			lines[0] = linked(lines[0], target)
		}
	}
	return lines
}

// object is a JSON object with its members in order.
type object []member

type member struct {
	key   string
	value any // object, []any, string, or another scalar
}

func isObject(v any) bool { _, ok := v.(object); return ok }

// text is the first of the members with one of the names that is a text.
func (o object) text(names ...string) string {
	for _, m := range o {
		if s, ok := m.value.(string); ok && s != "" && slices.Contains(names, m.key) {
			return s
		}
	}
	return ""
}

// ordered reads JSON and keeps the order of its keys.
func ordered(raw json.RawMessage) (any, error) {
	if !json.Valid(raw) {
		return nil, errors.New("no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return next(d)
}

func next(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := next(d)
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			o = append(o, member{name, value})
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := next(d)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := d.Token()
		return list, err
	}
	return token, nil
}
