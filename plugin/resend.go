package plugin

import (
	"encoding/json"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// resend is what the attempt after an ambiguous one needs to send the same
// bytes: a vendor that compares contents takes them for what they are, and
// whoever reads both sees one message twice and not two.
type resend struct {
	Template string          `json:"template"`
	Revision string          `json:"revision"`
	Portable *relay.Message  `json:"portable,omitempty"` // what the template made
	Native   json.RawMessage `json:"native,omitempty"`
	Text     string          `json:"text,omitempty"`
	Body     []byte          `json:"body"` // what was composed of it
}

// keep adds to an ambiguous report what it takes to send the same again. A body
// with a secret in it is not kept: it would be on disk.
func (w *work) keep() {
	if w.report.Verdict != relay.Ambiguous || w.request == nil {
		return
	}
	r := w.rendered
	kept, err := json.Marshal(resend{w.report.Template, w.report.TemplateRevision, r.Portable, r.Native, r.Text, w.request.Body})
	if err != nil || len(kept) > maxResend || w.dest.masker.Mask(string(w.request.Body)) != string(w.request.Body) {
		return
	}
	w.report.Resend = kept
}

// again composes what an earlier attempt sent; false means that it must be
// rendered anew: nothing was kept, or the settings take it no more.
func (w *work) again(d *pluginpb.Delivery) bool {
	if len(d.Resend) == 0 {
		return false
	}
	var kept resend
	if json.Unmarshal(d.Resend, &kept) != nil {
		return false
	}
	rendered := relay.Rendered{Portable: kept.Portable, Native: kept.Native, Text: kept.Text}
	request, err := w.place.Compose(w.delivery, rendered)
	if err != nil {
		return false
	}
	request.Body = kept.Body
	if request.Method == "" {
		request.Method = "POST"
	}
	w.request, w.rendered = request, rendered
	w.report.Template, w.report.TemplateRevision, w.report.Resent = kept.Template, kept.Revision, true
	w.report.Message = encodeRendered(rendered)
	return true
}

// encodeRendered is what a template made, as the log has it.
func encodeRendered(r relay.Rendered) json.RawMessage {
	var value any = r.Portable
	switch {
	case r.Native != nil:
		return r.Native
	case r.Portable == nil:
		value = r.Text
	}
	raw, _ := json.Marshal(value) // strings and a message of strings
	return raw
}
