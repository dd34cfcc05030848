package relay

import (
	"encoding/json"
	"time"
)

// State is where a delivery stands.
type State string

// The states of a delivery. Delivered, dead, expired and skipped are final.
// StateHeld is derived: the row is pending and its destination is paused.
const (
	StatePending   State = "pending"
	StateSending   State = "sending"
	StateDelivered State = "delivered"
	StateHeld      State = "held"
	StateDead      State = "dead"
	StateExpired   State = "expired"
	StateSkipped   State = "skipped"
)

// States lists every state, in the order of a delivery's life.
func States() []State {
	return []State{StatePending, StateSending, StateHeld, StateDelivered, StateSkipped, StateDead, StateExpired}
}

// Final reports whether a delivery in this state is over.
func (s State) Final() bool {
	switch s {
	case StateDelivered, StateDead, StateExpired, StateSkipped:
		return true
	}
	return false
}

// Accepted is an event on its way into the store, with the deliveries that it
// asks for. Both become durable together or not at all.
type Accepted struct {
	ID         string // relay's own id of the event, a UUIDv7
	Key        string // the sender's key, unique with Source; empty: the event has none
	Source     string
	Type       string
	Level      Level
	Title      string
	Body       []byte   // the canonical JSON of the event
	Original   []byte   // what a source's sender really sent; nil for events that came as events
	Digest     [32]byte // of what the sender sent: the same key with another digest is a conflict
	At         time.Time
	Deliveries []NewDelivery
}

// NewDelivery asks for one delivery.
type NewDelivery struct {
	Destination string
	Provider    string // the entry of `providers` that serves it
	Recipient   string // the JSON of a Person, or empty for the channel
}

// Appended is what became of one Accepted.
type Appended struct {
	ID         string // of the event now stored: the first one's where this is a duplicate
	Deliveries int
	Duplicate  bool // the same source, key and digest were stored before; nothing was created
	Conflict   bool // the same source and key were stored before with another digest; nothing was created
}

// ClaimRequest asks for at most Limit due deliveries of one destination.
type ClaimRequest struct {
	Destination string
	Limit       int
}

// Claimed is a delivery that is now being sent. Seq and Claim together are the
// fence: only who holds both can record what became of it.
type Claimed struct {
	Seq         int64
	Claim       int64
	ID          string
	EventID     string
	EventType   string
	Destination string
	Provider    string
	Recipient   string
	Attempt     int           // the number of the attempt that begins now, from 1
	Ambiguous   int           // how many attempts so far may have been seen by the recipient
	Created     time.Time     // when the event was accepted; of a replay, when the replay was
	Waited      time.Duration // how long the delivery was due but not claimed, over all its attempts
	Event       []byte        // the canonical JSON of the event
}

// Outcome is what follows from an attempt, or from giving a claim back.
type Outcome struct {
	Seq     int64
	Claim   int64
	State   State // pending, or a final state
	Reason  string
	Due     time.Time // when State is pending: not before this time
	Attempt *Attempt  // nil: nothing was tried, and the attempt number is used again
}

// Due says when a destination has work again.
type Due struct {
	Destination string
	At          time.Time // zero: nothing waits
}

// Delivery is a row of the sent log.
type Delivery struct {
	ID          string          `json:"id"`
	EventID     string          `json:"event_id"`
	EventType   string          `json:"event_type"`
	Destination string          `json:"destination"`
	Provider    string          `json:"provider"`
	Recipient   json.RawMessage `json:"recipient"` // a Person, or null for the channel
	State       State           `json:"state"`
	Reason      string          `json:"reason"`
	Attempts    int             `json:"attempts"`
	Created     time.Time       `json:"created"`
	Updated     time.Time       `json:"updated"`
	NextAttempt *time.Time      `json:"next_attempt"`
	ReplayOf    *string         `json:"replay_of"`
	Log         []Attempt       `json:"log,omitempty"` // only where one delivery is asked for
}

// Attempt is one try of a delivery, as the log keeps it. Everything in it is
// masked and cut by the plugin before it leaves the plugin's process.
type Attempt struct {
	Attempt          int             `json:"attempt"`
	Started          time.Time       `json:"started"`
	DurationMS       int64           `json:"duration_ms"`
	Template         string          `json:"template"`
	TemplateRevision string          `json:"template_revision"`
	TemplateError    *TemplateError  `json:"template_error"`
	Message          json.RawMessage `json:"message"`
	Request          *Request        `json:"request"`
	Response         *Response       `json:"response"`
	Verdict          Verdict         `json:"verdict"`
	Lost             bool            `json:"lost,omitempty"` // the plugin ended before it answered: not counted as ambiguous
	RetryAfterMS     *int64          `json:"retry_after_ms"`
	Receipt          string          `json:"receipt"`
	Error            string          `json:"error"`
}

// Request is what was sent to a vendor.
type Request struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// Response is what a vendor answered.
type Response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// Pause is a destination that takes nothing until it is resumed.
type Pause struct {
	Destination string    `json:"destination"`
	Reason      string    `json:"reason"`
	Since       time.Time `json:"since"`
	Manual      bool      `json:"manual"`   // by a person: only resume ends it
	Probe       bool      `json:"probe"`    // one delivery may be tried now and then
	Settings    string    `json:"settings"` // the revision that the vendor refused: other settings end the pause
}

// DeliveryFilter selects rows of the sent log. Empty fields select everything.
type DeliveryFilter struct {
	Destination string
	State       State
	Type        string // an event type
	EventID     string
	Recipient   string // a part of a recipient's JSON: name, email, phone or id
	Since       time.Time
	Until       time.Time
	Before      int64 // the cursor: rows older than this Seq; 0 begins with the newest
	Limit       int
}

// StoredEvent is an event as the store gives it back.
type StoredEvent struct {
	ID         string
	Key        string
	Source     string
	Body       json.RawMessage
	Original   []byte
	Created    time.Time
	Deliveries []Delivery
}

// Backlog counts what one destination has not finished.
type Backlog struct {
	Destination string
	Pending     int
	Oldest      time.Time // when the oldest of them was accepted
}
