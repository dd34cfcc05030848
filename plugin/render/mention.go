package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"github.com/relay-sidecar/relay"
)

// A mention token is MentionOpen, the index of a person in decimal, and
// MentionClose. Templates carry it about as text; a portable message keeps it
// for the provider, who knows how its vendor writes a mention, and anything
// else gets the person's name.
const (
	tokenOpen  = string(relay.MentionOpen)
	tokenClose = string(relay.MentionClose)
)

// mention is the token of a person, whom it remembers. It is empty where there
// is nobody, so that mention(event.actor) is safe to write.
func (s *scope) mention(v goja.Value) (string, error) {
	if missing(v) {
		return "", nil
	}
	var p relay.Person
	if goja.IsString(v) {
		p.Name = v.String()
	} else if o, ok := v.(*goja.Object); ok {
		raw, err := s.encode(o, maxPerson)
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return "", errors.New("a person is an object with name, email, phone, id and ids")
		}
	} else {
		return "", fmt.Errorf("a person is an object, not %s", describe(v))
	}
	if displayName(p) == "" && len(p.IDs) == 0 {
		return "", nil
	}
	index := slices.IndexFunc(s.mentions, func(q relay.Person) bool { return samePerson(p, q) })
	if index < 0 {
		if len(s.mentions) >= maxItems {
			return "", fmt.Errorf("there may be %d different people in one message", maxItems)
		}
		index = len(s.mentions)
		s.mentions = append(s.mentions, p)
	}
	return tokenOpen + strconv.Itoa(index) + tokenClose, nil
}

// maxPerson bounds the JSON of a person, in bytes.
const maxPerson = 8 << 10

func samePerson(p, q relay.Person) bool {
	if p.Name != q.Name || p.Email != q.Email || p.Phone != q.Phone || p.ID != q.ID {
		return false
	}
	a, _ := json.Marshal(p.IDs)
	b, _ := json.Marshal(q.IDs)
	return bytes.Equal(a, b)
}

// displayName is how a person is printed where no mention can be made.
func displayName(p relay.Person) string {
	for _, name := range []string{p.Name, p.Email, p.Phone, p.ID.String()} {
		if name != "" {
			return name
		}
	}
	return ""
}

// tokens calls replace for every token of text that names a remembered person
// and drops what only looks like one.
func (s *scope) tokens(text string, replace func(index int) string) string {
	if !strings.Contains(text, tokenOpen) && !strings.Contains(text, tokenClose) {
		return text
	}
	var b strings.Builder
	for {
		open := strings.Index(text, tokenOpen)
		if open < 0 {
			break
		}
		b.WriteString(withoutTokens(text[:open]))
		text = text[open+len(tokenOpen):]
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		index, err := strconv.Atoi(text[:digits])
		whole := strings.HasPrefix(text[digits:], tokenClose)
		if whole && err == nil && index < len(s.mentions) {
			b.WriteString(replace(index))
		}
		// A token that was cut short loses its number as well: it is no text.
		text = text[digits:]
		if whole {
			text = text[len(tokenClose):]
		}
	}
	b.WriteString(withoutTokens(text))
	return b.String()
}

// named is text with people's names in place of the tokens.
func (s *scope) named(text string) string {
	return s.tokens(text, func(index int) string { return displayName(s.mentions[index]) })
}

// tidy leaves in a message only tokens that name somebody, and in Mentions only
// people whom a token names, counted anew in the order of their first one.
func (s *scope) tidy(m *relay.Message) {
	places := make(map[int]int)
	number := func(index int) string {
		place, ok := places[index]
		if !ok {
			place = len(m.Mentions)
			places[index] = place
			m.Mentions = append(m.Mentions, s.mentions[index])
		}
		return tokenOpen + strconv.Itoa(place) + tokenClose
	}
	m.Title = s.tokens(m.Title, number)
	m.Text = s.tokens(m.Text, number)
	for i := range m.Fields {
		m.Fields[i].Name = s.tokens(m.Fields[i].Name, number)
		m.Fields[i].Value = s.tokens(m.Fields[i].Value, number)
	}
	m.Footer = s.tokens(m.Footer, number)
	// No vendor can mention anyone in the rest.
	for i := range m.Actions {
		m.Actions[i].Text = s.named(m.Actions[i].Text)
		m.Actions[i].URL = withoutTokens(m.Actions[i].URL)
	}
	if m.Image != nil {
		m.Image.Alt = s.named(m.Image.Alt)
		m.Image.URL = withoutTokens(m.Image.URL)
	}
	m.Link = withoutTokens(m.Link)
}

// withoutTokens drops the characters that enclose tokens.
func withoutTokens(text string) string {
	if !strings.Contains(text, tokenOpen) && !strings.Contains(text, tokenClose) {
		return text
	}
	return strings.NewReplacer(tokenOpen, "", tokenClose, "").Replace(text)
}
