package dingtalk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/relay-sidecar/relay/plugin/post"
)

// native is a template's own object, with the delivery's id as DingTalk's
// deduplication key where it has none of its own, and with the keyword where
// it lacks it. It is refused where DingTalk would refuse it.
func (r *robot) native(id string, raw json.RawMessage) ([]byte, error) {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // an id stays as it is
	if err := d.Decode(&m); err != nil {
		return nil, errors.New("a message for dingtalk is a JSON object with a msgtype")
	}
	word, err := checkNative(m)
	if err != nil {
		return nil, err
	}
	body := bytes.TrimSpace(raw)
	if text, _ := word.object[word.key].(string); !strings.Contains(text, r.keyword) {
		word.object[word.key] = text + word.before + r.keyword
		if body, err = post.Encode(m); err != nil {
			return nil, err
		}
	}
	if _, has := m["msgUuid"]; !has && id != "" {
		quoted, err := post.Encode(id)
		if err != nil {
			return nil, err
		}
		body = append(append([]byte(`{"msgUuid":`), quoted...), append([]byte(","), body[1:]...)...)
	}
	if n := len(body); n > maxBody {
		return nil, fmt.Errorf("the message has %d bytes; dingtalk allows %d", n, maxBody)
	}
	return body, nil
}

// place is where a keyword can be added to a native message.
type place struct {
	object map[string]any
	key    string
	before string // what parts it from the text
}

// checkNative says what a message lacks ("Custom robots send group messages"),
// and where a keyword would go.
func checkNative(m map[string]any) (place, error) {
	kind, _ := m["msgtype"].(string)
	if kind == "" {
		return place{}, errors.New("the message has no msgtype; dingtalk takes text, link, markdown, actionCard and feedCard")
	}
	body, _ := m[kind].(map[string]any)
	if called := listed(m["at"], "atMobiles") + listed(m["at"], "atUserIds"); called > maxCalled {
		return place{}, fmt.Errorf("at calls %d people; dingtalk allows %d", called, maxCalled)
	}
	switch kind {
	case "text":
		return place{body, "content", "\n"}, need(body, kind, "content")
	case "markdown":
		return place{body, "text", blankLine}, need(body, kind, "title", "text")
	case "link":
		return place{body, "text", "\n"}, need(body, kind, "title", "text", "messageUrl")
	case "actionCard":
		return place{body, "text", blankLine}, checkCard(body)
	case "feedCard":
		links, _ := body["links"].([]any)
		if len(links) == 0 {
			return place{}, errors.New("feedCard.links is empty; dingtalk needs one link at least")
		}
		for i := range links {
			link, _ := links[i].(map[string]any)
			if err := need(link, fmt.Sprintf("feedCard.links[%d]", i), "title", "messageURL", "picURL"); err != nil {
				return place{}, err
			}
		}
		return place{links[0].(map[string]any), "title", " "}, nil
	}
	return place{}, fmt.Errorf("%q is not a msgtype of a dingtalk robot; it takes text, link, markdown, actionCard and feedCard", kind)
}

func checkCard(body map[string]any) error {
	if err := need(body, "actionCard", "title", "text"); err != nil {
		return err
	}
	buttons, _ := body["btns"].([]any)
	if len(buttons) == 0 {
		return need(body, "actionCard", "singleTitle", "singleURL")
	}
	for i := range buttons {
		b, _ := buttons[i].(map[string]any)
		if err := need(b, fmt.Sprintf("actionCard.btns[%d]", i), "title", "actionURL"); err != nil {
			return err
		}
	}
	return nil
}

// need refuses an object that lacks one of the texts that DingTalk asks for.
func need(object map[string]any, path string, keys ...string) error {
	for _, key := range keys {
		if s, ok := object[key].(string); !ok || s == "" {
			return fmt.Errorf("%s.%s is missing or no text; dingtalk needs it", path, key)
		}
	}
	return nil
}

// listed is how many elements a list in an object has.
func listed(object any, key string) int {
	o, _ := object.(map[string]any)
	list, _ := o[key].([]any)
	return len(list)
}
