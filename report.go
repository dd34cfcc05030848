package relay

import (
	"encoding/json"
	"time"
)

// Verdict classifies what a vendor's answer means. The provider knows the
// vendor and chooses it; delivery knows how often was tried and decides what
// follows.
type Verdict string

// The verdicts.
const (
	// Delivered: the vendor promised that the message is there.
	Delivered Verdict = "delivered"
	// Temporary: nothing was shown; trying again can help.
	Temporary Verdict = "temporary"
	// Ambiguous: the message may be visible; trying again may double it.
	Ambiguous Verdict = "ambiguous"
	// MessageRefused: this message can never work as it is.
	MessageRefused Verdict = "message_refused"
	// RecipientRefused: this person cannot be reached.
	RecipientRefused Verdict = "recipient_refused"
	// Unmatched: the vendor knows no such person.
	Unmatched Verdict = "unmatched"
	// DestinationRefused: the credential or URL is dead until somebody changes it.
	DestinationRefused Verdict = "destination_refused"
	// Skipped: the template said no.
	Skipped Verdict = "skipped"
)

// Verdicts lists every verdict.
func Verdicts() []Verdict {
	return []Verdict{Delivered, Temporary, Ambiguous, MessageRefused, RecipientRefused, Unmatched, DestinationRefused, Skipped}
}

// Report is a provider's answer to one attempt.
type Report struct {
	Verdict    Verdict
	RetryAfter time.Duration // the vendor's wait hint, clamped by delivery; 0: none
	Receipt    string        // the vendor's id of the message, where there is one
	Error      string        // one line for people, without secrets; empty when delivered
	Probe      bool          // with DestinationRefused: trying again now and then is allowed
	Lost       bool          // the plugin ended before it answered; set by relay, never by a provider
	Alone      bool          // with Lost: the plugin held nothing else when it ended
	Resend     []byte        // with Ambiguous: what the plugin needs to send the same bytes again; opaque to relay
	DedupFor   time.Duration // with Ambiguous: for so long the vendor shows a message that is sent again only once
	Resent     bool          // the bytes of the attempt before were sent again; nothing was rendered

	Template         string // the name of the template that made the message
	TemplateRevision string
	TemplateError    *TemplateError // the template failed; the message is the built-in default's
	Message          json.RawMessage
	Request          *Request  // of the last call
	Response         *Response // to it
	Steps            []Step    // the calls before the last, where an attempt takes several

	// How long the parts of the attempt took; 0: not done, or not measured.
	RenderTime, SendTime time.Duration
}

// Step is one call to a vendor among those that an attempt takes: a token, a
// look-up, the opening of a chat.
type Step struct {
	Name       string    `json:"name"` // the vendor's word for the call, such as users.lookupByEmail
	DurationMS int64     `json:"duration_ms"`
	Request    *Request  `json:"request"`
	Response   *Response `json:"response"` // null: there was no answer
	Error      string    `json:"error,omitempty"`
}
