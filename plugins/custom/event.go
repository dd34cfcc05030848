package custom

import (
	"encoding/json"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// canonical is the event's JSON, with its keys in their order and what they
// hold as it came. There are no other keys: intake refuses them.
type canonical struct {
	ID          json.RawMessage `json:"id,omitempty"`
	Type        json.RawMessage `json:"type,omitempty"`
	Source      json.RawMessage `json:"source,omitempty"`
	Time        json.RawMessage `json:"time,omitempty"`
	Level       json.RawMessage `json:"level,omitempty"`
	Title       json.RawMessage `json:"title,omitempty"`
	Description json.RawMessage `json:"description,omitempty"`
	Link        json.RawMessage `json:"link,omitempty"`
	Actor       json.RawMessage `json:"actor,omitempty"`
	Project     json.RawMessage `json:"project,omitempty"`
	Issue       json.RawMessage `json:"issue,omitempty"`
	Recipients  json.RawMessage `json:"recipients,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
}

// eventBody is the event's JSON, byte for byte where the template changed
// nothing; else with the changed words in their places and all else as it came.
func eventBody(raw json.RawMessage, made relay.Rendered) ([]byte, error) {
	var own words
	if err := json.Unmarshal(raw, &own); err != nil {
		return nil, err
	}
	changed := own.replaced(made)
	if changed == own {
		return raw, nil
	}
	var e canonical
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	for _, change := range []struct {
		at       *json.RawMessage
		old, new string
	}{
		{&e.Level, string(own.Level), string(changed.Level)},
		{&e.Title, own.Title, changed.Title},
		{&e.Description, own.Description, changed.Description},
		{&e.Link, own.Link, changed.Link},
	} {
		if change.new == change.old {
			continue
		}
		*change.at = nil // without it the key is left out
		if change.new != "" {
			encoded, err := post.Encode(change.new)
			if err != nil {
				return nil, err
			}
			*change.at = encoded
		}
	}
	return post.Encode(e)
}
