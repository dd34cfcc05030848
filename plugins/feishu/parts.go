package feishu

import (
	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// fields shows short fields in two columns and long ones below each other, in
// their order.
func (w *writer) fields(fields []relay.Field, people []relay.Person) []element {
	var out []element
	room, count := maxFields, 0
	alone := false // the last one is short, and nothing stands beside it
	for _, f := range fields {
		text := w.field(f, people)
		if text == "" {
			continue
		}
		e := rich(text)
		if room -= w.size(element{Tag: "column", Elements: []element{e}}); room < 0 || count+5 > fieldElements {
			return append(out, rich(markup.Ellipsis))
		}
		if f.Short && alone {
			count += 4
			out[len(out)-1] = columns("bisect", out[len(out)-1], e)
			alone = false
			continue
		}
		count++
		out = append(out, e)
		alone = f.Short
	}
	return out
}

// field is a bold name above its value. A field without a value is left out.
func (w *writer) field(f relay.Field, people []relay.Person) string {
	value := w.markdown.Text(f.Value, people, maxFieldText)
	if value == "" {
		return ""
	}
	if name := w.markdown.Line(markup.Cut(f.Name, maxFieldName, markup.Runes), people, maxFieldText); name != "" {
		return "**" + name + "**\n" + value
	}
	return value
}

// columns puts elements side by side.
func columns(mode string, side ...element) element {
	set := element{Tag: "column_set", FlexMode: mode}
	for _, e := range side {
		column := element{Tag: "column", Width: "auto", Elements: []element{e}}
		if mode == "bisect" {
			column.Width, column.Weight = "weighted", 1
		}
		set.Columns = append(set.Columns, column)
	}
	return set
}

// image is a link: a card shows only images that were uploaded, which a
// webhook cannot do; an app would need one more permission for it.
func (w *writer) image(m *relay.Message) []element {
	if m.Image == nil || !linkable(m.Image.URL) {
		return nil
	}
	label := markup.Cut(markup.Names(m.Image.Alt, m.Mentions), maxFooter, markup.Runes)
	e := rich("🖼 " + link(m.Image.URL, label))
	if w.size(e) > maxImage {
		return nil
	}
	return []element{e}
}

// actions are buttons, side by side where there are several.
func (w *writer) actions(list []relay.Action) []element {
	var buttons []element
	room := maxActions
	for _, a := range list {
		if !linkable(a.URL) {
			continue
		}
		label := plain.Line(a.Text, nil, maxButton)
		if label == "" {
			label = plain.Line(a.URL, nil, maxButton)
		}
		text := simple(label)
		b := element{Tag: "button", Text: &text, Type: "default", Behaviors: []behavior{{Type: "open_url", DefaultURL: a.URL}}}
		if len(buttons) == 0 {
			b.Type = "primary"
		}
		if room -= w.size(columns("flow", b)); room < 0 || 3*len(buttons)+3 > actionElements {
			break
		}
		buttons = append(buttons, b)
	}
	if len(buttons) < 2 {
		return buttons
	}
	return []element{columns("flow", buttons...)}
}

// footer is small and grey; card JSON 2.0 has no note.
func (w *writer) footer(m *relay.Message) []element {
	text := w.markdown.Line(markup.Cut(m.Footer, maxFooter, markup.Runes), m.Mentions, maxFieldText)
	if text == "" {
		return nil
	}
	e := rich("<font color='grey'>" + text + "</font>")
	e.TextSize = "notation"
	return []element{e}
}
