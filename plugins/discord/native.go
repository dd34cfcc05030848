package discord

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// componentsV2 is the flag IS_COMPONENTS_V2.
const componentsV2 = 1 << 15

// nativeMessage is as much of a template's own object as has a limit.
type nativeMessage struct {
	Content         string            `json:"content"`
	Username        string            `json:"username"`
	AvatarURL       string            `json:"avatar_url"`
	ThreadName      string            `json:"thread_name"`
	Flags           int               `json:"flags"`
	Embeds          []nativeEmbed     `json:"embeds"`
	Components      []nativeComponent `json:"components"`
	Poll            json.RawMessage   `json:"poll"`
	AllowedMentions struct {
		Users []json.RawMessage `json:"users"`
		Roles []json.RawMessage `json:"roles"`
	} `json:"allowed_mentions"`
}

type nativeEmbed struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	URL         string `json:"url"`
	Author      struct {
		Name string `json:"name"`
	} `json:"author"`
	Footer footer `json:"footer"`
	Fields []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"fields"`
}

type nativeComponent struct {
	Content    string            `json:"content"`
	Components []nativeComponent `json:"components"`
	Accessory  *nativeComponent  `json:"accessory"`
}

// readNative checks a template's own object. Its keys come with it.
func readNative(raw json.RawMessage) (m nativeMessage, has map[string]json.RawMessage, err error) {
	if json.Unmarshal(raw, &has) != nil || has == nil {
		return m, nil, errors.New("a message for discord is a JSON object with content, embeds, components or poll")
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		var shape *json.UnmarshalTypeError
		if errors.As(err, &shape) {
			return m, nil, fmt.Errorf("%s is a %s; discord takes something else there", shape.Field, shape.Value)
		}
		return m, nil, fmt.Errorf("the message is not what discord takes: %w", err)
	}
	return m, has, m.check()
}

// botNative is a template's own object for a bot: without what only webhooks
// take, and without what is the delivery's own.
func botNative(raw json.RawMessage) ([]byte, error) {
	_, has, err := readNative(raw)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"username", "avatar_url", "thread_name", "applied_tags", "nonce", "enforce_nonce"} {
		delete(has, key)
	}
	if has["allowed_mentions"] == nil {
		has["allowed_mentions"] = json.RawMessage(`{"parse":[]}`)
	}
	return post.Encode(has)
}

// native checks a template's own object, and adds what it lacks: nobody may be
// notified but by its own allowed_mentions, and the destination's name and
// picture are every message's.
func (w *webhook) native(raw json.RawMessage) (body []byte, components bool, err error) {
	m, has, err := readNative(raw)
	if err != nil {
		return nil, false, err
	}
	if w.address.threaded && m.ThreadName != "" {
		return nil, false, errors.New("thread_name makes a new thread, but the destination has a thread_id; discord takes one of them")
	}
	extra := struct {
		look
		AllowedMentions *allowed `json:"allowed_mentions,omitempty"`
	}{look: w.look}
	if has["username"] != nil {
		extra.Username = ""
	}
	if has["avatar_url"] != nil {
		extra.AvatarURL = ""
	}
	if has["allowed_mentions"] == nil {
		extra.AllowedMentions = &allowed{Parse: []string{}}
	}
	added, err := post.Encode(extra)
	if err != nil {
		return nil, false, err
	}
	if string(added) == "{}" {
		return raw, len(m.Components) > 0, nil
	}
	body = append(bytes.TrimSuffix(bytes.TrimSpace(raw), []byte("}")), ',') // an object with a key at least
	return append(body, added[1:]...), len(m.Components) > 0, nil
}

// check refuses what Discord would refuse, and names the limit.
func (m *nativeMessage) check() error {
	blank := strings.TrimSpace(m.Content) == ""
	if blank && len(m.Embeds) == 0 && len(m.Components) == 0 && m.Poll == nil {
		return errors.New("the message has no content, embeds, components or poll; discord needs one of them (an embed stands in embeds)")
	}
	if m.Flags&componentsV2 != 0 && (!blank || len(m.Embeds) > 0 || m.Poll != nil) {
		return errors.New("the message has the flag IS_COMPONENTS_V2 (32768); discord then takes no content, embeds or poll")
	}
	for _, t := range []sized{
		{"content", m.Content, maxContent}, {"username", m.Username, maxUsername},
		{"avatar_url", m.AvatarURL, maxURL}, {"thread_name", m.ThreadName, maxThreadName},
	} {
		if err := t.check(); err != nil {
			return err
		}
	}
	for _, c := range []counted{
		{"embeds", len(m.Embeds), maxEmbeds}, {"components", countComponents(m.Components), maxComponents},
		{"allowed_mentions.users", len(m.AllowedMentions.Users), maxMentioned}, {"allowed_mentions.roles", len(m.AllowedMentions.Roles), maxMentioned},
	} {
		if err := c.check(); err != nil {
			return err
		}
	}
	total := 0
	for i, e := range m.Embeds {
		n, err := e.check(fmt.Sprintf("embeds[%d]", i))
		if err != nil {
			return err
		}
		total += n
	}
	if total > maxEmbedText {
		return fmt.Errorf("the embeds have %d characters together; discord allows %d", total, maxEmbedText)
	}
	return checkComponents("components", m.Components)
}

// check also counts the characters that count towards the limit of all embeds.
func (e *nativeEmbed) check(path string) (total int, err error) {
	if err := (counted{path + ".fields", len(e.Fields), maxFields}).check(); err != nil {
		return 0, err
	}
	texts := []sized{
		{path + ".title", e.Title, maxTitle}, {path + ".description", e.Description, maxDescription},
		{path + ".author.name", e.Author.Name, maxAuthor}, {path + ".footer.text", e.Footer.Text, maxFooter},
	}
	for i, f := range e.Fields {
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		texts = append(texts, sized{at + ".name", f.Name, maxFieldName}, sized{at + ".value", f.Value, maxFieldValue})
	}
	for _, t := range texts {
		if err := t.check(); err != nil {
			return 0, err
		}
		total += t.len()
	}
	return total, (sized{path + ".url", e.URL, maxURL}).check()
}

func countComponents(list []nativeComponent) int {
	n := len(list)
	for _, c := range list {
		n += countComponents(c.Components)
		if c.Accessory != nil {
			n++
		}
	}
	return n
}

func checkComponents(path string, list []nativeComponent) error {
	for i, c := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if err := (sized{at + ".content", c.Content, maxDisplay}).check(); err != nil {
			return err
		}
		if err := checkComponents(at+".components", c.Components); err != nil {
			return err
		}
	}
	return nil
}

// sized is a text and its limit; Discord trims before it counts.
type sized struct {
	path, text string
	limit      int
}

func (s sized) len() int { return markup.Runes.Len(strings.TrimSpace(s.text)) }

func (s sized) check() error {
	if n := s.len(); n > s.limit {
		return fmt.Errorf("%s has %d characters; discord allows %d", s.path, n, s.limit)
	}
	return nil
}

type counted struct {
	path     string
	n, limit int
}

func (c counted) check() error {
	if c.n > c.limit {
		return fmt.Errorf("%s has %d items; discord allows %d", c.path, c.n, c.limit)
	}
	return nil
}
