package teams

import (
	"encoding/json"
	"errors"
	"fmt"
)

// nativeMessage is what is looked at of a template's own object.
type nativeMessage struct {
	Type        string `json:"type"`
	OldType     string `json:"@type"`
	Text        string `json:"text"`
	Attachments []struct {
		ContentType string          `json:"contentType"`
		Content     json.RawMessage `json:"content"`
	} `json:"attachments"`
}

func readNative(raw json.RawMessage) (nativeMessage, error) {
	var m nativeMessage
	var shape *json.UnmarshalTypeError
	switch err := json.Unmarshal(raw, &m); {
	case errors.As(err, &shape) && shape.Field != "":
		return m, fmt.Errorf("%s is a %s; teams takes something else there", shape.Field, shape.Value)
	case err != nil:
		return m, errors.New("a message for teams is a JSON object: an Adaptive Card, or a message with attachments")
	case m.OldType == "MessageCard":
		return m, errors.New("the message is a MessageCard; workflows and bots take Adaptive Cards only")
	}
	return m, nil
}

// native checks a template's own object for a flow: an Adaptive Card, which is
// put into the envelope, or the whole envelope, which is sent as it is.
func native(raw json.RawMessage) ([]byte, error) {
	m, err := readNative(raw)
	if err != nil {
		return nil, err
	}
	body := []byte(raw)
	switch m.Type {
	case "AdaptiveCard":
		if body, err = wrap(raw); err != nil {
			return nil, err
		}
	case "message":
		if len(m.Attachments) == 0 {
			return nil, errors.New("the message has no attachments; a workflow posts a card for each of them")
		}
		for i, a := range m.Attachments {
			if a.ContentType != cardType || len(a.Content) == 0 {
				return nil, fmt.Errorf("attachments[%d] is no Adaptive Card (contentType %s, content); workflows take nothing else", i, cardType)
			}
		}
	default:
		return nil, wrongType(m)
	}
	return body, checkSize(body)
}

func wrongType(m nativeMessage) error {
	return fmt.Errorf("the message's type is %q; return a card of type AdaptiveCard, or a message with attachments", m.Type)
}

// checkSize refuses what nobody may cut.
func checkSize(body []byte) error {
	if len(body) > maxNative {
		return fmt.Errorf("the message has %d bytes; teams allows %d (28 KB)", len(body), maxNative)
	}
	return nil
}
