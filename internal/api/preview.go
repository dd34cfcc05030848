package api

import (
	"encoding/json"
	"net/http"

	"github.com/relay-sidecar/relay"
)

// Preview is the body of POST /v1/preview.
type Preview struct {
	Destination string          `json:"destination"`         // empty: the only one
	Event       json.RawMessage `json:"event,omitempty"`     // as for POST /v1/events
	Type        string          `json:"type,omitempty"`      // without an event: whose sample is shown; empty: issue.created
	Recipient   string          `json:"recipient,omitempty"` // whose direct message is shown: an email, a phone or the provider's id; empty: the channel's
}

// Previewed is what would be sent, and what it was made of.
type Previewed struct {
	Destination      string               `json:"destination"`
	Provider         string               `json:"provider"`
	Recipient        json.RawMessage      `json:"recipient"` // a Person, or null for the channel
	User             string               `json:"user"`      // the provider's id of the recipient; empty: known only when it is sent
	Event            json.RawMessage      `json:"event"`     // as it would be stored
	Template         string               `json:"template"`
	TemplateRevision string               `json:"template_revision"`
	TemplateError    *relay.TemplateError `json:"template_error"` // the message is the built-in template's
	Message          json.RawMessage      `json:"message"`        // what the template made
	Request          *relay.Request       `json:"request"`        // null: nothing would be sent
	Text             string               `json:"text"`           // the message in words
	Size             int64                `json:"size"`
	Limit            *int64               `json:"limit"`    // the most that the vendor takes; null: none is known
	Unit             string               `json:"unit"`     // of both
	Verdict          relay.Verdict        `json:"verdict"`  // why nothing would be sent: skipped, message_refused or temporary; else empty
	Error            string               `json:"error"`    // the same in words
	Problems         []relay.Problem      `json:"problems"` // of templates that cannot be used as they are
}

// ShowPreview is the handler of POST /v1/preview.
func (d *Door) ShowPreview(w http.ResponseWriter, r *http.Request) {
	var in Preview
	if !readBody(w, r, d.MaxBody()+maxBody, fields{"destination": text(&in.Destination), "event": raw(&in.Event), "type": text(&in.Type), "recipient": text(&in.Recipient)}) {
		return
	}
	out, err := d.Destinations.Preview(r.Context(), in)
	if err != nil {
		d.fail(w, err, "")
		return
	}
	write(w, out)
}
