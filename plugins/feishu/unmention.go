package feishu

import (
	"encoding/json"
	"regexp"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// mentionTag is a mention as [directory.mention] writes it, in JSON, or as a
// native card of an app may hold it.
var mentionTag = regexp.MustCompile(`<at (?:id|email)=([A-Za-z0-9_.@+-]+)></at>`)

// withoutMentions is a body with names in place of mentions: one id that the
// vendor does not know makes it refuse the whole message. Names are the
// event's; who is not in it is called by the id.
func (w *writer) withoutMentions(body []byte, event json.RawMessage) (named []byte, changed bool) {
	names := w.names(event)
	named = mentionTag.ReplaceAllFunc(body, func(tag []byte) []byte {
		id := string(mentionTag.FindSubmatch(tag)[1])
		name, known := names[id]
		if !known {
			name = id
		}
		quoted, err := post.Encode(w.markdown.Line(name, nil, maxName))
		if err != nil {
			return tag
		}
		changed = true
		return quoted[1 : len(quoted)-1]
	})
	return named, changed
}

// maxName bounds the name of a person, in bytes.
const maxName = 200

// names are the people of an event by their ids.
func (w *writer) names(event json.RawMessage) map[string]string {
	var e relay.Event
	if json.Unmarshal(event, &e) != nil {
		return nil
	}
	people := e.Recipients
	if e.Actor != nil {
		people = append(people, *e.Actor)
	}
	names := map[string]string{}
	for _, p := range people {
		if name := markup.Name(p); name != "" {
			names[w.people.id(p)], names[p.Email] = name, name
		}
	}
	return names
}
