package feishu

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// maxDirect is the longest request of a message, in bytes (im/v1 messages,
// create: 150 KB of text, else 30 KB, of the smaller kilobytes; longer cards
// were seen to pass).
func maxDirect(msgType string) int {
	if msgType == "text" {
		return 150_000
	}
	return 30_000
}

// directTypes are the types of messages that an app may send.
func directTypes() []string {
	return []string{"text", "post", "image", "file", "audio", "media", "sticker", "interactive", "share_chat", "share_user", "system"}
}

// nativeContent is the type and the content of a template's own object, after a
// check of what the vendor would refuse. It takes what groups take, and content
// as the string that an app sends.
func nativeContent(raw json.RawMessage) (kind string, content []byte, err error) {
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil || has == nil {
		return "", nil, errors.New("a direct message for feishu is a JSON object with msg_type and content or card, or a card")
	}
	if has["msg_type"] == nil {
		if !isCard(has) {
			return "", nil, errors.New("the message has no msg_type, and it is no card either; feishu needs one of them")
		}
		return "interactive", raw, checkCard(raw)
	}
	for _, key := range slices.Sorted(maps.Keys(has)) {
		switch key {
		case "msg_type", "content", "card":
		case "receive_id", "uuid", "timestamp", "sign":
			return "", nil, errors.New(key + " is relay's to fill in; leave it out")
		default:
			return "", nil, fmt.Errorf("%q is no key of a direct message; it has msg_type and content, or card", key)
		}
	}
	if json.Unmarshal(has["msg_type"], &kind) != nil {
		return "", nil, errors.New("msg_type is not a string")
	}
	if !slices.Contains(directTypes(), kind) {
		return "", nil, fmt.Errorf("msg_type %q is not one that feishu's apps send; they are %v", kind, directTypes())
	}
	content = has["content"]
	if has["card"] != nil {
		content = has["card"]
	}
	var text string
	if json.Unmarshal(content, &text) == nil {
		content = []byte(text)
	}
	var inner map[string]json.RawMessage
	switch {
	case json.Unmarshal(content, &inner) != nil || len(inner) == 0:
		return "", nil, fmt.Errorf("a message of type %s needs content: an object, or a string that holds one", kind)
	case kind == "interactive":
		return kind, content, checkCard(content)
	case kind == "post" && inner["post"] != nil: // a group's has this layer
		return kind, inner["post"], nil
	}
	if need := map[string]string{"text": "text", "image": "image_key"}[kind]; need != "" && inner[need] == nil {
		return "", nil, fmt.Errorf("a message of type %s needs content with %s in it", kind, need)
	}
	return kind, content, nil
}
