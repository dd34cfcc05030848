package plugin

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// The two ends of the wire must agree on every field, so both directions of
// each conversion stand here, side by side.

func decodeDelivery(d *pluginpb.Delivery) (*Delivery, error) {
	c := d.Context
	out := &Delivery{
		ID: d.Id, Attempt: int(d.Attempt), EventID: d.EventId, Event: d.Event,
		Context: Context{
			Destination: c.GetDestination(), Provider: c.GetProvider(), Direct: c.GetDirect(),
			Language: c.GetLanguage(), TimeZone: c.GetTimeZone(), Now: time.UnixMilli(c.GetNowMs()),
		},
	}
	if len(c.GetRecipient()) > 0 {
		if err := json.Unmarshal(c.GetRecipient(), &out.Recipient); err != nil {
			return nil, fmt.Errorf("recipient is no person: %w", err)
		}
	}
	return out, nil
}

// verdicts is indexed by the wire's number.
var verdicts = [...]relay.Verdict{
	pluginpb.Verdict_VERDICT_UNSPECIFIED: "",
	pluginpb.Verdict_DELIVERED:           relay.Delivered,
	pluginpb.Verdict_TEMPORARY:           relay.Temporary,
	pluginpb.Verdict_AMBIGUOUS:           relay.Ambiguous,
	pluginpb.Verdict_MESSAGE_REFUSED:     relay.MessageRefused,
	pluginpb.Verdict_RECIPIENT_REFUSED:   relay.RecipientRefused,
	pluginpb.Verdict_UNMATCHED:           relay.Unmatched,
	pluginpb.Verdict_DESTINATION_REFUSED: relay.DestinationRefused,
	pluginpb.Verdict_SKIPPED:             relay.Skipped,
}

func encodeReport(r *relay.Report) *pluginpb.Report {
	out := &pluginpb.Report{
		Verdict: pluginpb.Verdict(max(0, slices.Index(verdicts[:], r.Verdict))), RetryAfterMs: r.RetryAfter.Milliseconds(), Receipt: r.Receipt, Error: r.Error,
		Probe: r.Probe, Template: r.Template, TemplateRevision: r.TemplateRevision, Message: r.Message,
	}
	if e := r.TemplateError; e != nil {
		out.TemplateError = &pluginpb.TemplateError{File: e.File, Line: uint32(e.Line), Column: uint32(e.Column), Message: e.Message}
	}
	if q := r.Request; q != nil {
		out.Request = &pluginpb.HTTPRequest{Method: q.Method, Url: q.URL, Headers: q.Headers, Body: []byte(q.Body)}
	}
	if a := r.Response; a != nil {
		out.Response = &pluginpb.HTTPResponse{Status: uint32(a.Status), Headers: a.Headers, Body: []byte(a.Body)}
	}
	return out
}

// DecodeReport reads a plugin's report. A verdict that this relay does not
// know is ambiguous: something was tried, and nobody can say what came of it.
func DecodeReport(r *pluginpb.Report) relay.Report {
	out := relay.Report{
		Verdict: relay.Ambiguous, RetryAfter: time.Duration(r.GetRetryAfterMs()) * time.Millisecond,
		Receipt: r.GetReceipt(), Error: r.GetError(), Probe: r.GetProbe(),
		Template: r.GetTemplate(), TemplateRevision: r.GetTemplateRevision(), Message: r.GetMessage(),
		TemplateError: decodeTemplateError(r.GetTemplateError()),
	}
	if v := int(r.GetVerdict()); v > 0 && v < len(verdicts) {
		out.Verdict = verdicts[v]
	}
	if q := r.GetRequest(); q != nil {
		out.Request = &relay.Request{Method: q.Method, URL: q.Url, Headers: q.Headers, Body: string(q.Body)}
	}
	if a := r.GetResponse(); a != nil {
		out.Response = &relay.Response{Status: int(a.Status), Headers: a.Headers, Body: string(a.Body)}
	}
	return out
}

// decodeTemplateError reads a template's fault; nil stays nil.
func decodeTemplateError(e *pluginpb.TemplateError) *relay.TemplateError {
	if e == nil {
		return nil
	}
	return &relay.TemplateError{File: e.File, Line: int(e.Line), Column: int(e.Column), Message: e.Message}
}
