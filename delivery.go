package relay

import (
	"encoding/json"
	"time"
)

// State is where a delivery stands.
type State string

// The states of a delivery. Delivered, dead, expired and skipped are final.
// StateHeld is derived: the row is pending and its destination is paused or
// was removed.
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
	Door       string // the name of the door that it came through; never a text of the sender's
	Type       string
	Level      Level
	Title      string
	Body       []byte   // the canonical JSON of the event
	Original   []byte   // what a source's sender really sent; nil for events that came as events
	Digest     [32]byte // of what the sender sent: the same key with another digest is a conflict
	At         time.Time
	Trace      string // the W3C trace context to deliver under; empty: not traced
	Own        bool   // relay's own, for an operator: few, and wanted most when a backlog is full, which does not refuse it
	Deliveries []NewDelivery
}

// Part is one of the two halves of a destination, which are sent, limited and
// paused apart.
type Part string

// The parts of a destination.
const (
	PartChannel Part = "channel"
	PartDirect  Part = "direct"
)

// Lane is one part of a destination.
type Lane struct {
	Destination string
	Part        Part
}

// Channel is the lane of a destination's own place.
func Channel(destination string) Lane { return Lane{destination, PartChannel} }

// Direct is the lane of a destination's direct messages.
func Direct(destination string) Lane { return Lane{destination, PartDirect} }

// Fallback says when an event's direct messages are followed by a message to
// the destination's channel after all.
type Fallback string

// The choices for `direct_messages.fallback`. A recipient counts as unmatched
// when its delivery ended without a user of the provider being found.
const (
	FallbackNoneMatched   Fallback = "none_matched"   // not one recipient was matched; the default
	FallbackAnyUnmatched  Fallback = "any_unmatched"  // one recipient was not
	FallbackAnyFailed     Fallback = "any_failed"     // one recipient got nothing
	FallbackNoneDelivered Fallback = "none_delivered" // nobody got anything, or it is held for long
	FallbackNever         Fallback = "never"
)

// NewDelivery asks for one delivery.
type NewDelivery struct {
	Destination string
	Provider    string   // the entry of `providers` that serves it
	Recipient   string   // the JSON of a Person, or empty for the channel
	Fallback    Fallback // of a direct message; empty: never
}

// Appended is what became of one Accepted.
type Appended struct {
	ID         string // of the event now stored: the first one's where this is a duplicate
	Deliveries int
	Duplicate  bool // the same source, key and digest were stored before; nothing was created
	Conflict   bool // the same source and key were stored before with another digest; nothing was created
}

// Lane is the part of its destination that the delivery belongs to.
func (d NewDelivery) Lane() Lane {
	if d.Recipient != "" {
		return Direct(d.Destination)
	}
	return Channel(d.Destination)
}

// ClaimRequest asks for at most Limit due deliveries of one lane.
type ClaimRequest struct {
	Lane
	Limit int
	Paced bool // the lane has limits: what starts is found again by Pace
}

// Pace is what of a lane's past counts against its limits.
type Pace struct {
	Starts []Start   // oldest first
	Closed time.Time // the vendor asked for nothing more until then
}

// Start is when a delivery was sent, or may have been.
type Start struct {
	At   time.Time
	User string // of a direct message: who it was for
}

// Claimed is a delivery that is now being sent. Seq and Claim together are the
// fence: only who holds both can record what became of it.
type Claimed struct {
	Seq       int64
	Claim     int64
	ID        string
	EventID   string
	EventType string
	Lane
	Provider  string
	Recipient string        // the JSON of a Person; empty for the channel
	User      string        // the provider's id of the recipient; empty: not looked up yet
	Attempt   int           // the number of the attempt that begins now, from 1
	Ambiguous int           // how many attempts so far may have been seen by the recipient
	Created   time.Time     // when the event was accepted; of a replay, when the replay was
	Waited    time.Duration // how long the delivery was due but not claimed, over all its attempts
	Event     []byte        // the canonical JSON of the event
	Resend    []byte        // the attempt before is ambiguous: what the plugin needs to send the same again
	Trace     string        // the W3C trace context that it was accepted under; empty: not traced
}

// Outcome is what follows from an attempt, or from giving a claim back.
type Outcome struct {
	Seq     int64
	Claim   int64
	State   State // pending, or a final state
	Reason  string
	Due     time.Time // when State is pending: not before this time
	Attempt *Attempt  // nil: nothing was tried, and the attempt number is used again
	Match   *Match    // the recipient was found; State is pending and Attempt nil
}

// Match says which user of a provider a recipient is, and how relay knows.
type Match struct {
	User   string `json:"user"`             // the provider's id
	By     string `json:"by"`               // people, id, email or phone
	Cached bool   `json:"cached,omitempty"` // an earlier look-up had found it
	At     Time   `json:"at"`
	Steps  []Step `json:"steps,omitempty"` // the calls that it took
}

// Due says when a lane has work again.
type Due struct {
	Lane
	At time.Time // zero: nothing waits
}

// Delivery is a row of the sent log.
type Delivery struct {
	ID          string          `json:"id"`
	EventID     string          `json:"event_id"`
	EventType   string          `json:"event_type"`
	Destination string          `json:"destination"`
	Provider    string          `json:"provider"`
	Part        Part            `json:"part"`
	Recipient   json.RawMessage `json:"recipient"` // a Person, or null for the channel
	User        string          `json:"user"`      // the provider's id of the recipient; empty: not known
	Fallback    bool            `json:"fallback"`  // made for the channel because direct messages failed
	State       State           `json:"state"`
	Reason      string          `json:"reason"`
	Attempts    int             `json:"attempts"`
	Created     Time            `json:"created"`
	Updated     Time            `json:"updated"`
	NextAttempt *Time           `json:"next_attempt"`
	ReplayOf    *string         `json:"replay_of"`
	Match       *Match          `json:"match,omitempty"`       // only where one delivery is asked for
	WaitedMS    int64           `json:"waited_ms,omitempty"`   // the same: how long it was due and did not start, by limits, pauses, full slots or relay's absence
	Interrupted *Time           `json:"interrupted,omitempty"` // the same: when it was claimed by a relay that ended before it was recorded what came of it
	Log         []Attempt       `json:"log,omitempty"`         // the same
}

// Attempt is one try of a delivery, as the log keeps it. Everything in it is
// masked and cut by the plugin before it leaves the plugin's process.
type Attempt struct {
	Attempt          int             `json:"attempt"`
	Started          Time            `json:"started"`
	DurationMS       int64           `json:"duration_ms"`
	Template         string          `json:"template"`
	TemplateRevision string          `json:"template_revision"`
	TemplateError    *TemplateError  `json:"template_error"`
	Message          json.RawMessage `json:"message"`
	Steps            []Step          `json:"steps,omitempty"` // the calls before the last
	Request          *Request        `json:"request"`         // of the last call
	Response         *Response       `json:"response"`
	Verdict          Verdict         `json:"verdict"`
	Lost             bool            `json:"lost,omitempty"`   // the plugin ended before it answered: not counted as ambiguous
	Resent           bool            `json:"resent,omitempty"` // the bytes of the attempt before were sent again; else it was rendered anew
	RetryAfterMS     *int64          `json:"retry_after_ms"`
	Receipt          string          `json:"receipt"`
	Error            string          `json:"error"`
	Resend           []byte          `json:"-"` // what the plugin needs to send the same again
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

// Pause is a part of a destination that sends nothing until it is resumed.
type Pause struct {
	Lane
	Reason string
	Since  time.Time
	Manual bool // by a person: only resume ends it
	Probe  bool // one delivery may be tried now and then
	// Unavailable: the plugin cannot be used; it ends when the plugin is back.
	Unavailable bool
	Settings    string // the revision that the vendor refused: other settings end the pause
}

// Removal is a part of a destination that the configuration names no more, or
// disables, while something waits for it.
type Removal struct {
	Lane
	Reason string
	Since  time.Time
}

// DeliveryFilter selects rows of the sent log. Empty fields select everything.
type DeliveryFilter struct {
	Destination string
	State       State
	Type        string // an event type
	EventID     string
	Recipient   string // a part of a recipient's JSON: name, email, phone or id
	Query       string // a part of the event's title or key, of the recipient, or of the reason; letter case does not matter
	Since       time.Time
	Until       time.Time
	Before      int64 // the cursor: rows older than this Seq; 0 begins with the newest
	Limit       int
}

// EventFilter selects events. Empty fields select everything.
type EventFilter struct {
	Key    string
	Source string
	Type   string
	Level  Level
	Since  time.Time
	Until  time.Time
	Before int64 // the cursor: events older than this Seq; 0 begins with the newest
	Limit  int
}

// EventRow is a row of the list of events.
type EventRow struct {
	ID         string `json:"id"`
	Key        string `json:"key"`
	Source     string `json:"source"`
	Type       string `json:"type"`
	Level      Level  `json:"level"`
	Title      string `json:"title"`
	Created    Time   `json:"created"`
	Deliveries int    `json:"deliveries"` // that it asked for when it was accepted
}

// Purged counts what was removed of a person.
type Purged struct {
	Events     int `json:"events"`     // deleted: nothing else was left of them
	Redacted   int `json:"redacted"`   // events that go on without the person
	Deliveries int `json:"deliveries"` // to the person, with their attempts
	Attempts   int `json:"attempts"`   // attempts of other deliveries whose bodies were removed
	Identities int `json:"identities"` // what look-ups had said of the person
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

// Identity is what relay remembers of a person at one account of a provider:
// a match or a miss.
type Identity struct {
	Account string // names the credentials that were asked with
	By      string // email or phone
	Value   string // the email or phone
	User    string // the provider's id; empty: there is no such person
	Until   time.Time
}

// Backlog counts what one destination has not finished, both parts together.
type Backlog struct {
	Destination string
	Pending     int
	Oldest      time.Time // when the oldest of them was accepted
}
