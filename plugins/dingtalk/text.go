package dingtalk

import (
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// blankLine parts the blocks of a text.
const blankLine = "\n\n"

// sheet is the room that a text still has.
type sheet struct{ left int }

// block takes the room for a block; one that does not fit is left out.
func (p *sheet) block(s string) string {
	if s == "" || len(s)+len(blankLine) > p.left {
		return ""
	}
	p.left -= len(s) + len(blankLine)
	return s
}

// reserved is the room that a keyword may need.
func reserved(keyword string) int {
	if keyword == "" {
		return 0
	}
	return len(keyword) + len(blankLine)
}

// page is a message in DingTalk's markdown, of at most room bytes. What has to
// fit is measured first, and the message's own text gets the rest of the room.
func page(m *relay.Message, who *caller, links []button, keyword string, room int) string {
	style := markdown
	style.Mention = who.mention
	p := &sheet{left: room - reserved(keyword) + len(blankLine)} // none before the first block
	title := p.block(heading(m, &style))
	open := p.block(linkLine(links, p.left))
	footer := p.block(quoted(style.Line(m.Footer, m.Mentions, maxFooter)))
	image := p.block(picture(m))
	fields := p.block(fieldLines(m, &style, min(maxFields, p.left/2)))
	text := p.block(style.Markdown(m.Text, m.Mentions, p.left-len(blankLine)))

	var blocks []string
	for _, b := range []string{title, text, fields, image, open, footer} {
		if b != "" {
			blocks = append(blocks, b)
		}
	}
	all := strings.Join(blocks, blankLine)
	if all != "" && !strings.Contains(all, keyword) {
		all += blankLine + keyword
	}
	return all
}

// heading is the title, which the bubble does not show by itself; it is a link
// where the message has one that no action leads to.
func heading(m *relay.Message, style *markup.Style) string {
	const mark = "### "
	sign := levelSign(m.Level)
	if target := markup.Target(m.Link); web(target) && !leadsTo(m.Actions, m.Link) {
		text := markup.Names(m.Title, m.Mentions)
		if plain.Line(text, nil, maxHeading) == "" {
			text = target
		}
		return mark + sign + link(target, text)
	}
	if title := style.Line(m.Title, m.Mentions, maxHeading); title != "" {
		return mark + sign + title
	}
	return ""
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

// fieldLines are the fields below each other, a bold name before its value.
// Fields without a value are left out.
func fieldLines(m *relay.Message, style *markup.Style, room int) string {
	var b strings.Builder
	for _, f := range m.Fields {
		if plain.Text(f.Value, m.Mentions, maxField) == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(lineEnd)
		}
		left := room - b.Len() - len(lineEnd+markup.Ellipsis)
		if left < leastField {
			b.WriteString(markup.Ellipsis)
			break
		}
		name := style.Line(f.Name, m.Mentions, maxName)
		if name != "" {
			name = "**" + name + ":** "
		}
		b.WriteString(name + style.Text(f.Value, m.Mentions, min(maxField, left-len(name))))
	}
	return b.String()
}

func picture(m *relay.Message) string {
	if m.Image == nil {
		return ""
	}
	target := markup.Target(m.Image.URL)
	if !web(target) {
		return ""
	}
	return "![" + label.Line(m.Image.Alt, m.Mentions, maxFooter) + "](" + target + ")"
}

// linkLine is a line of links, as many as fit.
func linkLine(links []button, room int) string {
	const between = " · "
	var b strings.Builder
	for _, l := range links {
		s := link(l.URL, l.Title)
		full := b.Len()+len(between)+len(s)+len(between+markup.Ellipsis+blankLine) > room
		if full {
			s = markup.Ellipsis
		}
		if b.Len() > 0 {
			b.WriteString(between)
		}
		if b.WriteString(s); full {
			break
		}
	}
	return b.String()
}

func quoted(line string) string {
	if line == "" {
		return ""
	}
	return "> " + line
}
