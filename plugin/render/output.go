package render

import (
	"fmt"
	"strings"

	"github.com/dop251/goja"

	"github.com/relay-sidecar/relay"
)

// brand is the key that message() gives to a portable message.
const brand = "$relay"

// remedy ends the words for a result that is nothing of the kind.
const remedy = "return message({…}), an object, a string, or null to skip"

// output is what the default export's result stands for.
func (s *scope) output(v goja.Value) Output {
	switch {
	case v == nil || goja.IsUndefined(v):
		s.fail("the default export returned undefined; %s", remedy)
	case goja.IsNull(v):
		return Output{JSON: []byte("null")}
	case goja.IsString(v):
		return s.textOutput(v.String())
	}
	o, ok := v.(*goja.Object)
	if !ok {
		s.fail("the default export returned %s; %s", describe(v), remedy)
	}
	if mark := o.Get(brand); mark != nil && !goja.IsUndefined(mark) {
		return s.portable(o, mark)
	}
	switch class := o.ClassName(); class {
	case "Array", "Function", "Error", "Date", "RegExp", "Promise", "Map", "Set", "String", "Number", "Boolean":
		s.fail("the default export returned %s; %s", describe(v), remedy)
	}
	raw, err := s.encode(o, MaxOutput)
	if err != nil {
		s.fail("the default export's object cannot be sent: %v", err)
	}
	if raw[0] != '{' {
		s.fail("the default export's object has a toJSON that makes no object of it; %s", remedy)
	}
	return Output{Rendered: relay.Rendered{Native: raw}, JSON: raw}
}

func (s *scope) textOutput(text string) Output {
	text = cut(strings.ToValidUTF8(s.named(text), "\uFFFD"), MaxOutput)
	if strings.TrimSpace(text) == "" {
		s.fail("the default export returned an empty string; %s", remedy)
	}
	return Output{Rendered: relay.Rendered{Text: text}, JSON: logged(text)}
}

// portable reads a branded object as a portable message.
func (s *scope) portable(o *goja.Object, mark goja.Value) Output {
	if !goja.IsNumber(mark) || mark.ToInteger() != relay.MessageMark {
		s.fail("%s is %s; this relay knows portable messages of form %d, which message() makes", brand, mark, relay.MessageMark)
	}
	r := reader{scope: s}
	m := r.message(o)
	if r.problem != "" {
		f := refusal{message: "message(): " + r.problem}
		if s.branded[0].Position().Line > 0 {
			f.place = &s.branded[0]
		}
		panic(f)
	}
	s.tidy(m)
	return Output{Rendered: relay.Rendered{Portable: m}, JSON: logged(m)}
}

// reader reads a portable message leniently in what it means (a number is a
// text, what is undefined, null or empty is left out) and strictly in what it
// does not know. It keeps the first problem.
type reader struct {
	scope   *scope
	problem string
	size    int // of the strings beside the text
}

func (r *reader) fail(format string, args ...any) {
	if r.problem == "" {
		r.problem = fmt.Sprintf(format, args...)
	}
}

func (r *reader) message(o *goja.Object) *relay.Message {
	m := &relay.Message{Mark: relay.MessageMark}
	for _, key := range o.Keys() {
		v := o.Get(key)
		if missing(v) {
			continue
		}
		switch key {
		case brand:
		case "title":
			m.Title = r.text(v, key)
		case "text":
			m.Text = cut(r.long(v, key), MaxOutput)
		case "level":
			level, ok := relay.ParseLevel(r.text(v, key))
			if !ok {
				r.fail("level is %q; it is info, success, warn or error", v.String())
			}
			m.Level = level
		case "link":
			m.Link = r.link(v, key)
		case "fields":
			r.each(v, key, func(o *goja.Object, path string) { r.field(m, o, path) })
		case "actions":
			r.each(v, key, func(o *goja.Object, path string) { r.action(m, o, path) })
		case "image":
			if o := r.object(v, key); o != nil {
				r.image(m, o)
			}
		case "footer":
			m.Footer = r.text(v, key)
		case "mentions":
			r.mentions(m, v)
		default:
			r.fail("there is no key %q; there are title, text, level, link, fields, actions, image, footer and mentions", key)
		}
	}
	if r.size > MaxOutput {
		r.fail("the strings beside the text are longer than %d KiB", MaxOutput>>10)
	}
	return m
}

func (r *reader) field(m *relay.Message, o *goja.Object, path string) {
	var f relay.Field
	r.keys(o, path, func(key string, v goja.Value) bool {
		switch key {
		case "name":
			f.Name = r.text(v, path+".name")
		case "value":
			f.Value = r.text(v, path+".value")
		case "short":
			f.Short = v.ToBoolean()
		default:
			return false
		}
		return true
	}, "name, value and short")
	if f.Value != "" {
		m.Fields = append(m.Fields, f)
	}
}

func (r *reader) action(m *relay.Message, o *goja.Object, path string) {
	var a relay.Action
	r.keys(o, path, func(key string, v goja.Value) bool {
		switch key {
		case "text":
			a.Text = r.text(v, path+".text")
		case "url":
			a.URL = r.link(v, path+".url")
		default:
			return false
		}
		return true
	}, "text and url")
	if a.URL == "" {
		return
	}
	if a.Text == "" {
		a.Text = a.URL
	}
	m.Actions = append(m.Actions, a)
}

func (r *reader) image(m *relay.Message, o *goja.Object) {
	var i relay.Image
	r.keys(o, "image", func(key string, v goja.Value) bool {
		switch key {
		case "url":
			i.URL = r.link(v, "image.url")
		case "alt":
			i.Alt = r.text(v, "image.alt")
		default:
			return false
		}
		return true
	}, "url and alt")
	if i.URL != "" {
		m.Image = &i
	}
}

// mentions are people who are called below the text, for templates that do not
// place them themselves.
func (r *reader) mentions(m *relay.Message, v goja.Value) {
	var tokens []string
	r.each(v, "mentions", func(o *goja.Object, path string) {
		token, err := r.scope.mention(o)
		if err != nil {
			r.fail("%s: %v", path, err)
		}
		if token != "" {
			tokens = append(tokens, token)
		}
	})
	if len(tokens) == 0 {
		return
	}
	if m.Text != "" {
		m.Text += "\n\n"
	}
	m.Text += strings.Join(tokens, " ")
}

func (r *reader) keys(o *goja.Object, path string, take func(string, goja.Value) bool, known string) {
	for _, key := range o.Keys() {
		if v := o.Get(key); !missing(v) && !take(key, v) {
			r.fail("%s has no key %q; it has %s", path, key, known)
		}
	}
}

// each visits the objects of an array; missing elements are left out, so that
// `condition && {…}` works.
func (r *reader) each(v goja.Value, path string, visit func(*goja.Object, string)) {
	list := r.object(v, path)
	if list == nil {
		return
	}
	if list.ClassName() != "Array" {
		r.fail("%s is %s; it must be an array", path, describe(v))
		return
	}
	n := list.Get("length").ToInteger()
	if n > maxItems {
		r.fail("%s has %d elements; there may be %d", path, n, maxItems)
		return
	}
	for i := range n {
		item := list.Get(fmt.Sprint(i))
		if missing(item) || !item.ToBoolean() {
			continue
		}
		place := fmt.Sprintf("%s[%d]", path, i)
		if o := r.object(item, place); o != nil {
			visit(o, place)
		}
	}
}

// maxItems bounds fields, actions and mentions. No vendor shows as many.
const maxItems = 200

func (r *reader) object(v goja.Value, path string) *goja.Object {
	o, ok := v.(*goja.Object)
	if !ok {
		r.fail("%s is %s; it must be an object", path, describe(v))
		return nil
	}
	return o
}

func (r *reader) text(v goja.Value, path string) string {
	text := r.long(v, path)
	r.size += len(text)
	return text
}

func (r *reader) long(v goja.Value, path string) string {
	if _, ok := v.(*goja.Object); ok || absent(v) {
		r.fail("%s is %s; it must be a text", path, describe(v))
		return ""
	}
	return strings.ToValidUTF8(v.String(), "\uFFFD")
}

func (r *reader) link(v goja.Value, path string) string {
	text := strings.TrimSpace(r.text(v, path))
	lower := strings.ToLower(text[:min(len(text), len("https://"))])
	if text != "" && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
		r.fail("%s is %q; it must begin with http:// or https://", path, clip(text))
		return ""
	}
	return text
}

// missing reports whether a template left a value out.
func missing(v goja.Value) bool { return v == nil || goja.IsUndefined(v) || goja.IsNull(v) }
