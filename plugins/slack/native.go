package slack

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/relay-sidecar/relay/plugin/markup"
)

const maxAttachments = 100

// nativeMessage is as much of a template's own object as has a limit. Numbers
// and words where an object should stand are Slack's to refuse.
type nativeMessage struct {
	Text        string        `json:"text"`
	Blocks      []nativeBlock `json:"blocks"`
	Attachments []struct {
		Blocks []nativeBlock `json:"blocks"`
	} `json:"attachments"`
}

type nativeBlock struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	Fields   []nativeText    `json:"fields"`
	Elements json.RawMessage `json:"elements"`
	ImageURL string          `json:"image_url"`
	AltText  string          `json:"alt_text"`
}

type nativeText struct {
	Text string `json:"text"`
}

// checkNative refuses what Slack would refuse or cut silently, and names the limit.
func checkNative(raw json.RawMessage) error {
	var m nativeMessage
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil {
		return errors.New("a message for slack is a JSON object with text, blocks or attachments")
	}
	if has["text"] == nil && has["blocks"] == nil && has["attachments"] == nil {
		return errors.New("the message has no text, no blocks and no attachments; slack needs one of them")
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		var shape *json.UnmarshalTypeError
		if errors.As(err, &shape) {
			return fmt.Errorf("%s is a %s; slack takes something else there", shape.Field, shape.Value)
		}
		return fmt.Errorf("the message is not what slack takes: %w", err)
	}
	if err := over("text", m.Text, maxText); err != nil {
		return err
	}
	if n := len(m.Attachments); n > maxAttachments {
		return fmt.Errorf("the message has %d attachments; slack allows %d", n, maxAttachments)
	}
	if err := checkBlocks("blocks", m.Blocks); err != nil {
		return err
	}
	for i, a := range m.Attachments {
		if err := checkBlocks(fmt.Sprintf("attachments[%d].blocks", i), a.Blocks); err != nil {
			return err
		}
	}
	return nil
}

func checkBlocks(path string, blocks []nativeBlock) error {
	if len(blocks) > maxBlocks {
		return fmt.Errorf("%s has %d blocks; slack allows %d", path, len(blocks), maxBlocks)
	}
	for i, b := range blocks {
		if err := b.check(fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (b nativeBlock) check(path string) error {
	var t nativeText
	_ = json.Unmarshal(b.Text, &t) // of some blocks the text is a string without a documented limit
	var elements []nativeElement
	_ = json.Unmarshal(b.Elements, &elements)
	switch b.Type {
	case "header":
		return over(path+".text", t.Text, maxHeader)
	case "section":
		if len(b.Fields) > maxFields {
			return fmt.Errorf("%s has %d fields; slack allows %d", path, len(b.Fields), maxFields)
		}
		for i, f := range b.Fields {
			if err := over(fmt.Sprintf("%s.fields[%d]", path, i), f.Text, maxField); err != nil {
				return err
			}
		}
		return over(path+".text", t.Text, maxSection)
	case "context":
		const maxContext = 10
		if len(elements) > maxContext {
			return fmt.Errorf("%s has %d elements; slack allows %d", path, len(elements), maxContext)
		}
	case "actions":
		if len(elements) > maxButtons {
			return fmt.Errorf("%s has %d elements; slack allows %d", path, len(elements), maxButtons)
		}
		for i, e := range elements {
			if err := e.check(fmt.Sprintf("%s.elements[%d]", path, i)); err != nil {
				return err
			}
		}
	case "image":
		if err := over(path+".image_url", b.ImageURL, maxURL); err != nil {
			return err
		}
		return over(path+".alt_text", b.AltText, maxAlt)
	}
	return nil
}

type nativeElement struct {
	Type string          `json:"type"`
	Text json.RawMessage `json:"text"`
	URL  string          `json:"url"`
}

func (e nativeElement) check(path string) error {
	if e.Type != "button" {
		return nil
	}
	var t nativeText
	_ = json.Unmarshal(e.Text, &t)
	if err := over(path+".text", t.Text, maxButton); err != nil {
		return err
	}
	return over(path+".url", e.URL, maxURL)
}

// over refuses a text of more than limit characters.
func over(path, s string, limit int) error {
	if n := markup.Runes.Len(s); n > limit {
		return fmt.Errorf("%s has %d characters; slack allows %d", path, n, limit)
	}
	return nil
}
