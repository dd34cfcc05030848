package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Level says how much an event matters. It is lower case wherever relay writes
// it; senders may use any letter case.
type Level string

// The levels of an event.
const (
	LevelInfo    Level = "info"
	LevelSuccess Level = "success"
	LevelWarn    Level = "warn"
	LevelError   Level = "error"
)

// ParseLevel reads a level in any letter case. The empty string is [LevelInfo].
func ParseLevel(s string) (Level, bool) {
	switch l := Level(strings.ToLower(s)); l {
	case LevelInfo, LevelSuccess, LevelWarn, LevelError:
		return l, true
	case "":
		return LevelInfo, true
	}
	return "", false
}

// Event is what the app handed over, as the rest of relay reads it.
//
// The truth is the canonical JSON that intake makes of the sender's body (one
// object, keys in the order of this struct, id, source, time and level filled
// in, nested objects as they came); Event is a typed view of that JSON, which
// leaves out what it has no field for.
type Event struct {
	ID          ID                         `json:"id"`     // the sender's key, or relay's own id where it gave none
	Type        string                     `json:"type"`   // letters, digits and . _ - /
	Source      string                     `json:"source"` // the sender's word, or the name of the door
	Time        time.Time                  `json:"time"`
	Level       Level                      `json:"level"`
	Title       string                     `json:"title"`
	Description string                     `json:"description,omitempty"` // CommonMark
	Link        string                     `json:"link,omitempty"`        // http or https
	Actor       *Person                    `json:"actor,omitempty"`
	Project     *Project                   `json:"project,omitempty"`
	Issue       *Issue                     `json:"issue,omitempty"`
	Recipients  []Person                   `json:"recipients,omitempty"`
	Data        map[string]json.RawMessage `json:"data,omitempty"`
}

// Person is an actor or a recipient.
type Person struct {
	ID    ID                `json:"id,omitzero"`
	Name  string            `json:"name,omitempty"`
	Email string            `json:"email,omitempty"`
	Phone string            `json:"phone,omitempty"` // E.164
	IDs   map[string]string `json:"ids,omitempty"`   // provider → the provider's own id of this person
}

// Project is what an event belongs to.
type Project struct {
	ID   ID     `json:"id,omitzero"`
	Name string `json:"name,omitempty"`
}

// Issue is what an event is about.
type Issue struct {
	ID          ID     `json:"id,omitzero"`
	Name        string `json:"name,omitempty"`
	Status      string `json:"status,omitempty"`
	Type        string `json:"type,omitempty"`
	Description string `json:"description,omitempty"`
}

// ID is a sender's identifier: a JSON number or string, kept as it came.
// The zero ID stands for none.
type ID struct{ raw string }

// NumberID and StringID make an ID in code.
func NumberID(n json.Number) ID { return ID{raw: string(n)} }

// StringID is the ID of a JSON string.
func StringID(s string) ID {
	raw, _ := json.Marshal(s) // a string always encodes
	return ID{raw: string(raw)}
}

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id.raw == "" }

// String is the id as text, without the quotes of a JSON string.
func (id ID) String() string {
	var s string
	if json.Unmarshal([]byte(id.raw), &s) == nil {
		return s
	}
	return id.raw
}

// MarshalJSON writes the id as it came.
func (id ID) MarshalJSON() ([]byte, error) {
	if id.raw == "" {
		return []byte("null"), nil
	}
	return []byte(id.raw), nil
}

// UnmarshalJSON takes a number, a string or null.
func (id *ID) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		id.raw = ""
	case len(b) > 0 && (b[0] == '"' || b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
		id.raw = string(b)
	default:
		return errors.New("an id is a number or a string")
	}
	return nil
}

// TypeTest is the type of the event that a test send makes, and
// TypeDestinationPaused that of the one that tells of what is held for long.
// Types that begin with ReservedTypes are relay's own and refused from outside.
const (
	TypeTest              = "relay.test"
	TypeDestinationPaused = "relay.destination_paused"
	ReservedTypes         = "relay."
)

// Catalogue is the list of event types that templates ship for. Any other
// dotted type is accepted as well.
func Catalogue() []string {
	return []string{
		"issue.created", "issue.updated", "issue.status_changed", "issue.comment_created",
		"issue.approval_requested", "issue.approved", "issue.sent_back", "issue.rollout_requested",
		"stage.status_changed", "task.status_changed", "pipeline.failed", "pipeline.completed",
		TypeDestinationPaused, TypeTest,
	}
}
