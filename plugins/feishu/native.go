package feishu

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// native is a template's own object after a check of what the vendor would
// refuse. It is a whole message, or a card alone, which gets its wrapping.
func native(raw json.RawMessage, room int) ([]byte, error) {
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil || has == nil {
		return nil, errors.New("a message for feishu is a JSON object with msg_type and content or card, or a card")
	}
	out := []byte(raw)
	switch {
	case has["timestamp"] != nil || has["sign"] != nil:
		return nil, errors.New("timestamp and sign are relay's to make; leave them out and set the destination's secret")
	case has["msg_type"] != nil:
		if err := checkMessage(has); err != nil {
			return nil, err
		}
	case isCard(has):
		if err := checkCard(raw); err != nil {
			return nil, err
		}
		out = wrapCard(raw)
	default:
		return nil, errors.New("the message has no msg_type, and it is no card either; feishu needs one of them")
	}
	if len(out) > room {
		return nil, fmt.Errorf("the message has %d bytes with its signature; feishu allows %d", len(out)+maxBody-room, maxBody)
	}
	return out, nil
}

// wrapCard is the message of a bot whose card this is.
func wrapCard(card []byte) []byte {
	return fmt.Appendf(nil, `{"msg_type":"interactive","card":%s}`, card)
}

// isCard reports whether an object is a card: of either schema, or a template
// of the vendor's card builder.
func isCard(has map[string]json.RawMessage) bool {
	for _, key := range []string{"schema", "header", "body", "elements", "i18n_elements"} {
		if has[key] != nil {
			return true
		}
	}
	return string(has["type"]) == `"template"` && has["data"] != nil
}

// checkMessage checks a whole message: the kinds that a webhook takes, and
// what each of them needs.
func checkMessage(has map[string]json.RawMessage) error {
	var kind string
	if json.Unmarshal(has["msg_type"], &kind) != nil {
		return errors.New("msg_type is not a string")
	}
	needs := map[string]string{"text": "text", "post": "post", "image": "image_key", "share_chat": "share_chat_id"}[kind]
	switch {
	case kind == "interactive":
		if has["card"] == nil {
			return errors.New("a message of type interactive has its card under the key card")
		}
		return checkCard(has["card"])
	case needs == "":
		return fmt.Errorf("msg_type %q is not one that feishu's bots take; they are text, post, image, share_chat and interactive", kind)
	}
	var content map[string]json.RawMessage
	if json.Unmarshal(has["content"], &content) != nil || content[needs] == nil {
		return fmt.Errorf("a message of type %s needs an object content with %s in it", kind, needs)
	}
	return nil
}

// checkCard checks a card against the limits that are documented.
func checkCard(raw json.RawMessage) error {
	var c map[string]any
	if json.Unmarshal(raw, &c) != nil || c == nil {
		return errors.New("the card is not a JSON object")
	}
	if kind, ok := c["type"]; ok && kind != "template" {
		return fmt.Errorf("the card has the type %q, which is none of feishu's: another vendor's, perhaps", fmt.Sprint(kind))
	}
	if _, list := c["body"].([]any); list {
		return errors.New("the card's body is an array; feishu's is an object with elements")
	}
	count := counter{second: c["schema"] == "2.0"}
	if err := count.walk("card", c); err != nil {
		return err
	}
	switch {
	case count.elements > maxElements:
		return fmt.Errorf("the card has %d elements; feishu allows %d", count.elements, maxElements)
	case count.tables > maxTables:
		return fmt.Errorf("the card has %d tables; feishu allows %d", count.tables, maxTables)
	}
	return nil
}

// counter counts what of a card is limited.
type counter struct {
	second           bool // card JSON 2.0
	elements, tables int
}

func (c *counter) walk(path string, v any) error {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if err := c.walk(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := c.element(path, v); err != nil {
			return err
		}
		for key, item := range v {
			if err := c.walk(path+"."+key, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *counter) element(path string, e map[string]any) error {
	if tags, ok := e["text_tag_list"].([]any); ok && len(tags) > maxTags {
		return fmt.Errorf("%s.text_tag_list has %d tags; feishu allows %d", path, len(tags), maxTags)
	}
	tag, ok := e["tag"].(string)
	if !ok {
		return nil
	}
	c.elements++
	switch tag {
	case "table":
		c.tables++
	case "note", "action":
		if c.second {
			return fmt.Errorf("%s is a %s, which card JSON 2.0 does not have", path, tag)
		}
	case "button":
		text, _ := e["text"].(map[string]any)
		label, _ := text["content"].(string)
		if n := utf8.RuneCountInString(label); n > maxButton {
			return fmt.Errorf("%s.text has %d characters; feishu allows %d", path, n, maxButton)
		}
	}
	return nil
}
