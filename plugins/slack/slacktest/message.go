package slacktest

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// block is as much of a block as the stand-in looks at.
type block struct {
	Type     string            `json:"type"`
	Text     json.RawMessage   `json:"text"`
	Fields   []json.RawMessage `json:"fields"`
	Elements []json.RawMessage `json:"elements"`
}

// refusal is the code with which Slack would refuse a message, and its words
// about it; empty: it takes the message.
func refusal(args object) (code, detail string) {
	if args.text("text") == "" && args["blocks"] == nil && args["attachments"] == nil {
		return "no_text", "no message text provided"
	}
	var attachments []struct {
		Blocks []block `json:"blocks"`
	}
	if raw := args["attachments"]; raw != nil && json.Unmarshal(raw, &attachments) != nil {
		return "invalid_attachments", "attachments must be an array"
	}
	if len(attachments) > 100 {
		return "too_many_attachments", "a maximum of 100 attachments is allowed"
	}
	var blocks []block
	if raw := args["blocks"]; raw != nil && json.Unmarshal(raw, &blocks) != nil {
		return "invalid_blocks_format", "blocks must be an array"
	}
	detail = refuseBlocks("/blocks", blocks)
	for i, a := range attachments {
		if detail == "" {
			detail = refuseBlocks(fmt.Sprintf("/attachments/%d/blocks", i), a.Blocks)
		}
	}
	if detail != "" {
		return "invalid_blocks", detail
	}
	return "", ""
}

func refuseBlocks(path string, blocks []block) string {
	if len(blocks) > 50 {
		return "[ERROR] no more than 50 items allowed [json-pointer:" + path + "]"
	}
	most := map[string]int{"header": 150, "section": 3000}
	for i, b := range blocks {
		at := fmt.Sprintf("%s/%d", path, i)
		if b.Type == "" {
			return "[ERROR] missing required field: type [json-pointer:" + at + "]"
		}
		if detail := refuseText(at+"/text", b.Text, most[b.Type]); detail != "" {
			return detail
		}
		if b.Type == "section" && (len(b.Fields) > 10 || b.Text == nil && len(b.Fields) == 0) {
			return "[ERROR] a section needs text or 1 to 10 fields [json-pointer:" + at + "]"
		}
		for j, field := range b.Fields {
			if detail := refuseText(fmt.Sprintf("%s/fields/%d", at, j), field, 2000); detail != "" {
				return detail
			}
		}
		if limit := map[string]int{"actions": 25, "context": 10}[b.Type]; limit > 0 && (len(b.Elements) == 0 || len(b.Elements) > limit) {
			return fmt.Sprintf("[ERROR] 1 to %d items allowed [json-pointer:%s/elements]", limit, at)
		}
	}
	return ""
}

// refuseText checks a text object; 0 means that its place has no limit.
func refuseText(path string, raw json.RawMessage, limit int) string {
	if raw == nil || limit == 0 {
		return ""
	}
	var t struct{ Type, Text string }
	if json.Unmarshal(raw, &t) != nil || t.Type != "mrkdwn" && t.Type != "plain_text" {
		return "[ERROR] not a text object [json-pointer:" + path + "]"
	}
	if n := utf8.RuneCountInString(t.Text); n < 1 || n > limit {
		return fmt.Sprintf("[ERROR] must be between 1 and %d characters [json-pointer:%s/text]", limit, path)
	}
	return ""
}
