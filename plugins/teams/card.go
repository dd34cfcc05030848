package teams

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

const (
	// Teams takes about 28 KB a message, counting text, links, images and
	// mentions; a flow finds out after it has answered 202 ("Size limits"). A
	// message that relay composes stays well below, in bytes of the whole JSON.
	maxNative  = 28 << 10
	maxMessage = 24 << 10

	// Of these, the parts beside the text have at most so many bytes of JSON,
	// so that the text has about 4 KiB at least.
	titleRoom   = 1 << 10 // of text, which JSON can make twice as long
	footerRoom  = 500     // of text
	fieldsRoom  = 7 << 10
	actionsRoom = 5 << 10
	peopleRoom  = 4 << 10

	maxFieldName = 200
	maxLabel     = 200
	maxURL       = 2048
	maxButtons   = 6 // Teams shows no more on a card; further ones become links
	leastRoom    = 64
)

// shown is how a level shows: a colour, and a sign for those who do not see it.
func shown(l relay.Level) (color, sign string) {
	switch l {
	case relay.LevelSuccess:
		return "Good", "✅ "
	case relay.LevelWarn:
		return "Warning", "⚠️ "
	case relay.LevelError:
		return "Attention", "❗ "
	}
	return "Accent", ""
}

// composed is the card of what is no native object.
func composed(r relay.Rendered) (card, error) {
	if r.Portable != nil {
		return portable(r.Portable)
	}
	return plainText(r.Text)
}

// plainText is the card of a template that returned a string.
func plainText(s string) (card, error) {
	c := newCard([]element{})
	nobody := newPeople(nil, 0)
	c.Body = fit(maxMessage-size(c), nobody, func(limit int) string { return plain.Text(s, nil, limit) })
	if len(c.Body) == 0 {
		return card{}, errors.New("the template returned an empty text")
	}
	return c, nil
}

// portable makes a card of a portable message. What stands beside the text is
// measured first, and the text gets the rest of the room.
func portable(m *relay.Message) (card, error) {
	who := newPeople(m.Mentions, peopleRoom)
	head := title(m)
	var below []element
	below = append(below, fields(m.Fields, m.Mentions, who)...)
	actions := m.Actions
	if m.Image != nil {
		alt := plain.Line(m.Image.Alt, m.Mentions, maxLabel)
		switch target, ok := webURL(m.Image.URL); {
		case ok && strings.HasPrefix(strings.ToLower(target), "https:"):
			below = append(below, element{Type: "Image", URL: target, AltText: alt})
		case ok: // Teams loads images over https only
			actions = append(slices.Clone(actions), relay.Action{Text: alt, URL: target})
		}
	}
	if head == nil && !leadsTo(actions, m.Link) {
		actions = append(slices.Clone(actions), relay.Action{URL: m.Link})
	}
	buttons, links := buttons(actions)
	below = append(below, links...)
	bare := head == nil && len(below) == 0 && len(buttons) == 0
	if s := plain.Line(m.Footer, m.Mentions, footerRoom); s != "" {
		below = append(below, richBlock(run{Type: "TextRun", Text: s, Size: "Small", IsSubtle: true}))
	}

	c := newCard(slices.Concat(head, below))
	c.Actions, c.MSTeams.Entities = buttons, who.entities
	room := maxMessage - size(c)
	if call := who.call(); call != nil { // at most these: a line of the text may call them too
		room -= encodedSize(call) + 1
	}
	// What is longer than the whole message is not even read: reading made-up
	// text can take time that grows with the square of its length.
	source := markup.Cut(m.Text, maxMessage, markup.Bytes)
	text := fit(room, who, func(limit int) string { return rich.Markdown(source, m.Mentions, limit) })
	if bare && len(text) == 0 {
		return card{}, errors.New("the message is empty; give it a title or a text")
	}
	if call := who.call(); call != nil {
		head = append(head, *call)
	}
	c.Body = slices.Concat(head, text, below)
	return c, nil
}

// title is in the level's colour. It is the link that no button leads to.
func title(m *relay.Message) []element {
	color, sign := shown(m.Level)
	s := plain.Line(m.Title, m.Mentions, titleRoom-len(sign))
	if s == "" {
		return nil
	}
	r := run{Type: "TextRun", Text: sign + s, Size: "Large", Weight: "Bolder", Color: color}
	if target, ok := webURL(m.Link); ok && !leadsTo(m.Actions, m.Link) {
		r.SelectAction = openURL(target)
	}
	return []element{richBlock(r)}
}

// fit is text as elements of at most room bytes of JSON. How much JSON a text
// makes depends on its lines and markup: it is cut until it fits.
func fit(room int, who *people, text func(limit int) string) []element {
	for limit := room; limit > len(markup.Ellipsis); {
		called := maps.Clone(who.called)
		all := elements(lines(text(limit), who), who)
		used := 0
		for _, e := range all {
			used += encodedSize(e) + 1 // a comma
		}
		if used <= room {
			return all
		}
		who.called = called // those whose line was cut away are not called there
		limit = min(limit-limit/16-1, limit*room/used)
	}
	return nil
}

func elements(all []line, who *people) []element {
	var out []element
	for i, l := range all {
		e := richBlock(l.runs...)
		if block := who.mentionBlock(l); block != nil {
			e = *block
		}
		if i > 0 && !l.gap {
			e.Spacing = "None"
		}
		out = append(out, e)
	}
	return out
}

// fields shows short fields in two columns and long ones below each other, in
// their order. A field without a value is left out.
func fields(list []relay.Field, mentions []relay.Person, who *people) []element {
	var out []element
	room := fieldsRoom
	half := false // the last element is a ColumnSet with room for another field
	for _, f := range list {
		if room < 4*leastRoom+2*maxFieldName {
			return append(out, richBlock(run{Type: "TextRun", Text: markup.Ellipsis}))
		}
		var items []element
		if name := plain.Line(f.Name, mentions, maxFieldName); name != "" {
			items = append(items, richBlock(run{Type: "TextRun", Text: name, Weight: "Bolder"}))
		}
		const columns = 110 // bytes of a ColumnSet and its Column
		value := fit(room-columns-encodedSize(items), who, func(limit int) string { return rich.Text(f.Value, mentions, limit) })
		if len(value) == 0 {
			continue
		}
		if len(items) > 0 {
			value[0].Spacing = "None"
		}
		items = append(items, value...)
		room -= columns + encodedSize(items)
		switch next := (column{Type: "Column", Width: "stretch", Items: items}); {
		case !f.Short:
			out, half = append(out, items...), false
		case half:
			last := &out[len(out)-1]
			last.Columns, half = append(last.Columns, next), false
		default:
			out, half = append(out, element{Type: "ColumnSet", Columns: []column{next}}), true
		}
	}
	return out
}

// buttons are the actions, those that have no button as links.
func buttons(list []relay.Action) (buttons []action, links []element) {
	room := actionsRoom
	for _, a := range list {
		target, ok := webURL(a.URL)
		if !ok {
			continue
		}
		label := plain.Line(a.Text, nil, maxLabel)
		if label == "" {
			label = markup.Cut(target, maxLabel, markup.Bytes)
		}
		b := action{Type: "Action.OpenUrl", Title: label, URL: target}
		l := richBlock(run{Type: "TextRun", Text: label, SelectAction: openURL(target)})
		if room -= encodedSize(l) + 1; room < 0 {
			return buttons, links
		}
		if len(buttons) < maxButtons {
			buttons = append(buttons, b)
		} else {
			links = append(links, l)
		}
	}
	return buttons, links
}

func leadsTo(list []relay.Action, target string) bool {
	return slices.ContainsFunc(list, func(a relay.Action) bool { return a.URL == target })
}
