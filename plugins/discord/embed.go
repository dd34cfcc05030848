package discord

import (
	"errors"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Discord's limits, in characters where they are lengths ("Execute Webhook",
// "Embed Limits").
const (
	maxContent     = 2000
	maxEmbeds      = 10
	maxTitle       = 256
	maxDescription = 4096
	maxFields      = 25
	maxFieldName   = 256
	maxFieldValue  = 1024
	maxFooter      = 2048
	maxAuthor      = 256
	maxEmbedText   = 6000 // of all embeds of a message together
	maxURL         = 2048
	maxUsername    = 80
	maxThreadName  = 100
	maxComponents  = 40
	maxDisplay     = 4000 // a text display component
	maxMentioned   = 100

	// Of the 6,000, a portable message's footer, links and fields have at most
	// these, so that the text has the rest.
	footerRoom = 300
	linksRoom  = 2300 // one link with the longest URL
	fieldsRoom = 2500
	leastField = 32 // less room is not worth a field

	nothing = "\u200b" // Discord wants a name for every field
)

type message struct {
	Content string  `json:"content,omitempty"`
	Embeds  []embed `json:"embeds,omitempty"`
	look
	AllowedMentions allowed `json:"allowed_mentions"`
}

// allowed is who may be notified. An empty Parse keeps text from notifying
// anybody; Users are those whom the template mentioned.
type allowed struct {
	Parse []string `json:"parse"`
	Users []string `json:"users,omitempty"`
}

type embed struct {
	Title       string  `json:"title,omitempty"`
	URL         string  `json:"url,omitempty"`
	Description string  `json:"description,omitempty"`
	Color       int     `json:"color"`
	Fields      []field `json:"fields,omitempty"`
	Image       *image  `json:"image,omitempty"`
	Footer      *footer `json:"footer,omitempty"`
}

type field struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Inline bool   `json:"inline"`
}

type image struct {
	URL string `json:"url"`
}

type footer struct {
	Text string `json:"text"`
}

// shown is how a level shows: a colour, and a sign for those who do not see it.
func shown(l relay.Level) (color int, sign string) {
	switch l {
	case relay.LevelSuccess:
		return 0x2ECC71, "✅ "
	case relay.LevelWarn:
		return 0xF1C40F, "⚠️ "
	case relay.LevelError:
		return 0xE74C3C, "❗ "
	}
	return 0x3498DB, ""
}

// plainText is the message of a template that returned a string.
func plainText(s string, as look) ([]byte, error) {
	s = markdown.Text(s, nil, maxContent)
	if s == "" {
		return nil, errors.New("the template returned an empty text")
	}
	return post.Encode(message{Content: s, look: as, AllowedMentions: allowed{Parse: []string{}}})
}

// portable makes an embed of a portable message. What has to fit is measured
// first, and the text gets the rest of the room.
func portable(m *relay.Message, as look) ([]byte, error) {
	var e embed
	room := maxEmbedText
	take := func(s string) string {
		room -= markup.Runes.Len(s)
		return s
	}
	color, sign := shown(m.Level)
	e.Color = color
	target, linked := webURL(m.Link)
	actions := m.Actions
	if s := plain.Line(m.Title, m.Mentions, maxTitle-markup.Runes.Len(sign)); s != "" {
		e.Title = take(sign + s)
		if linked {
			e.URL = target
		}
	} else if linked && !leadsTo(actions, m.Link) {
		actions = append(slices.Clone(actions), relay.Action{URL: m.Link})
	}
	if s := take(plain.Line(m.Footer, m.Mentions, footerRoom)); s != "" {
		e.Footer = &footer{s}
	}
	e.Fields = fields(m.Fields, m.Mentions)
	for _, f := range e.Fields {
		take(f.Name)
		take(f.Value)
	}
	if m.Image != nil {
		if target, ok := webURL(m.Image.URL); ok {
			e.Image = &image{target}
		}
	}
	const gap = "\n\n"
	below := take(links(actions))
	limit := min(room-len(gap), maxDescription-len(gap)-markup.Runes.Len(below))
	if below == "" {
		limit = min(room, maxDescription)
	}
	e.Description = markdown.Markdown(m.Text, m.Mentions, limit)
	if e.Description != "" && below != "" {
		e.Description += gap
	}
	e.Description += below
	if e.Title == "" && e.Description == "" && len(e.Fields) == 0 && e.Image == nil {
		return nil, errors.New("the message is empty; give it a title or a text")
	}
	content, users := calls(m.Mentions)
	return post.Encode(message{Content: content, Embeds: []embed{e}, look: as, AllowedMentions: allowed{Parse: []string{}, Users: users}})
}

// calls are mentions outside of the embed, where alone Discord notifies whom
// they name.
func calls(people []relay.Person) (content string, users []string) {
	for _, p := range people {
		m, id := mention(p), p.IDs["discord"]
		switch {
		case m == "", slices.Contains(users, id):
			continue
		case len(users) == maxMentioned, len(content)+len(" ")+len(m) > maxContent:
			return content, users
		case content != "":
			content += " "
		}
		content += m
		users = append(users, id)
	}
	return content, users
}

// fields leaves out what has no value, and marks where it leaves out more.
func fields(list []relay.Field, people []relay.Person) (out []field) {
	left := fieldsRoom
	more := field{Name: nothing, Value: markup.Ellipsis}
	for _, f := range list {
		name := markdown.Line(f.Name, people, maxFieldName)
		if name == "" {
			name = nothing
		}
		room := left - markup.Runes.Len(name)
		value := markdown.Text(f.Value, people, max(min(room, maxFieldValue), leastField))
		switch {
		case value == "":
			continue
		case len(out) == maxFields:
			out[maxFields-1] = more
			return out
		case room < leastField:
			return append(out, more)
		}
		out = append(out, field{name, value, f.Short})
		left = room - markup.Runes.Len(value)
	}
	return out
}

// links are the actions: whether a webhook that was made by hand may send link
// buttons is not documented, links in the text it may.
func links(actions []relay.Action) string {
	var line strings.Builder
	for _, a := range actions {
		target, ok := webURL(a.URL)
		if !ok {
			continue
		}
		separator := " · "
		if line.Len() == 0 {
			separator = ""
		}
		label := markup.Cut(strings.Join(strings.Fields(a.Text), " "), 100, markup.Runes)
		next := separator + link(target, label)
		if markup.Runes.Len(line.String()+next) <= linksRoom {
			line.WriteString(next)
		}
	}
	return line.String()
}

func leadsTo(list []relay.Action, target string) bool {
	return slices.ContainsFunc(list, func(a relay.Action) bool { return a.URL == target })
}
