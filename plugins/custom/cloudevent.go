package custom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

const contentTypeCloudEvent = "application/cloudevents+json; charset=utf-8"

// cloudEvent is an event in the JSON format of CloudEvents 1.0, structured mode.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            string          `json:"time,omitempty"`
	Subject         string          `json:"subject,omitempty"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

// cloudEventBody is the accepted event as the data of a CloudEvent. Source and
// id are the sender's, so that they name the same event over every retry and
// replay; what came in as a CloudEvent goes out under the same names.
func cloudEventBody(d *plugin.Delivery, made relay.Rendered) ([]byte, error) {
	data, err := eventBody(d.Event, made)
	if err != nil {
		return nil, err
	}
	var e struct {
		relay.Event
		Time string `json:"time"` // as it came
	}
	if err := json.Unmarshal(d.Event, &e); err != nil {
		return nil, err
	}
	out := cloudEvent{
		SpecVersion:     "1.0",
		ID:              attribute(e.ID.String()),
		Source:          uriReference(attribute(e.Source)),
		Type:            e.Type,
		Time:            e.Time,
		DataContentType: "application/json",
		Data:            data,
	}
	if out.ID == "" || e.ID.IsZero() {
		out.ID = d.EventID
	}
	if out.Source == "" {
		out.Source = "relay"
	}
	if original := text(e.Data["ce_type"]); original != "" { // a type that relay's grammar has no room for
		out.Type = original
	}
	if out.Subject = text(e.Data["subject"]); out.Subject == "" && e.Issue != nil {
		out.Subject = attribute(e.Issue.Name)
	}
	return post.Encode(out)
}

// checkCloudEvent checks a template's own object: the receiver takes nothing
// but CloudEvents.
func checkCloudEvent(raw json.RawMessage) error {
	var e map[string]json.RawMessage
	if json.Unmarshal(raw, &e) != nil || e == nil {
		return errors.New("with format: cloudevents a template's own object is a CloudEvent")
	}
	if version := text(e["specversion"]); version != "1.0" {
		return fmt.Errorf("with format: cloudevents a template's own object is a CloudEvent with specversion \"1.0\"; this one has %q", version)
	}
	for _, name := range []string{"id", "source", "type"} {
		if text(e[name]) == "" {
			return fmt.Errorf("the CloudEvent has no %s; it is required", name)
		}
	}
	return nil
}

// text is a JSON string as an attribute, or "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // of another type: no text
	return attribute(s)
}

// attribute is s without the characters that no attribute may hold.
func attribute(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF {
			return -1
		}
		return r
	}, s))
}

// uriReference makes s a URI-reference, which most senders' names are: what
// may not stand in one is percent-encoded.
func uriReference(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s) && hex(s[i+1]) && hex(s[i+2]),
			c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			strings.IndexByte("-._~!$&'()*+,;=:@/?#", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if _, err := url.Parse(b.String()); err != nil || strings.Count(b.String(), "#") > 1 {
		return url.QueryEscape(s)
	}
	return b.String()
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
