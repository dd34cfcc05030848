package wecom

import (
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// page is the room that a message still has.
type page struct{ left int }

// block takes the room for a block; one that does not fit is left out.
func (p *page) block(s string) string {
	if s == "" || len(s)+len(blankLine) > p.left {
		return ""
	}
	p.left -= len(s) + len(blankLine)
	return s
}

// write is a message of at most room bytes. What has to fit is measured first,
// and the message's own text gets the rest of the room.
func (f form) write(m *relay.Message, room int) string {
	p := &page{left: room + len(blankLine)} // none before the first block
	if f.mark != "" {
		p.left -= len(blankLine) + len(f.mark)
	}
	target := markup.Target(m.Link)
	title := p.block(f.title(m, web(target) && !leadsTo(m.Actions, m.Link)))
	actions := p.block(f.actions(m.Actions, p.left/2))
	footer := p.block(f.footer(f.style.Line(markup.Names(m.Footer, m.Mentions), nil, maxFooter)))
	image := p.block(f.image(m))
	fields := p.block(f.fields(m, min(maxFields, p.left/2)))
	words := p.block(f.style.Markdown(m.Text, m.Mentions, p.left-len(blankLine)))

	var blocks []string
	for _, b := range []string{title, words, fields, image, actions, footer} {
		if b != "" {
			blocks = append(blocks, b)
		}
	}
	switch {
	case f.mark == "" || len(blocks) == 0:
	case footer != "":
		blocks[len(blocks)-1] += " " + f.mark
	default:
		blocks = append(blocks, f.mark)
	}
	return strings.Join(blocks, blankLine)
}

func leadsTo(list []relay.Action, target string) bool {
	for _, a := range list {
		if a.URL == target {
			return true
		}
	}
	return false
}

// leastField is the room that makes another field worth while.
const leastField = maxName + 100

// fields stand below each other. Those without a value are left out.
func (f form) fields(m *relay.Message, room int) string {
	var b strings.Builder
	for _, field := range m.Fields {
		if text.Text(field.Value, m.Mentions, maxField) == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		left := room - b.Len() - len("\n"+markup.Ellipsis)
		if left < leastField {
			b.WriteString(markup.Ellipsis)
			break
		}
		name := f.style.Line(field.Name, m.Mentions, maxName)
		if name != "" {
			name = f.field(name)
		}
		b.WriteString(name + f.style.Text(field.Value, m.Mentions, min(maxField, left-len(name))))
	}
	return b.String()
}

// image is a link: neither markdown with colours nor text shows images.
func (f form) image(m *relay.Message) string {
	if m.Image == nil {
		return ""
	}
	target := markup.Target(m.Image.URL)
	if !web(target) {
		return ""
	}
	words := strings.TrimSpace(markup.Cut(markup.Names(m.Image.Alt, m.Mentions), maxFooter, markup.Bytes))
	if words == "" {
		return f.link(target, target)
	}
	return f.link(target, words)
}

// actions are links, as many as fit.
func (f form) actions(list []relay.Action, room int) string {
	var b strings.Builder
	for _, a := range list {
		target := markup.Target(a.URL)
		if !web(target) {
			continue
		}
		words := markup.Cut(strings.TrimSpace(a.Text), maxAction, markup.Bytes)
		if words == "" {
			words = markup.Cut(target, maxAction, markup.Bytes)
		}
		s := f.link(target, words)
		full := b.Len()+len(f.links)+len(s)+len(f.links+markup.Ellipsis+blankLine) > room
		if full {
			s = markup.Ellipsis
		}
		if b.Len() > 0 {
			b.WriteString(f.links)
		}
		if b.WriteString(s); full {
			break
		}
	}
	return b.String()
}
