package plugin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// The two ends of the wire must agree on every field, so both directions of
// each conversion stand here, side by side.

func decodeDelivery(d *pluginpb.Delivery) (*Delivery, error) {
	c := d.Context
	out := &Delivery{
		ID: d.Id, Attempt: int(d.Attempt), EventID: d.EventId, Event: d.Event, User: d.User, TraceParent: d.Traceparent,
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

// EncodeReport puts a report on the wire.
func EncodeReport(r *relay.Report) *pluginpb.Report {
	out := &pluginpb.Report{
		Verdict: pluginpb.Verdict(max(0, slices.Index(verdicts[:], r.Verdict))), RetryAfterMs: r.RetryAfter.Milliseconds(), Receipt: r.Receipt, Error: r.Error,
		Probe: r.Probe, Template: r.Template, TemplateRevision: r.TemplateRevision, Message: r.Message,
		Resend: r.Resend, Resent: r.Resent, DedupForMs: r.DedupFor.Milliseconds(),
		RenderUs: r.RenderTime.Microseconds(), SendUs: r.SendTime.Microseconds(),
	}
	out.TemplateError = EncodeTemplateError(r.TemplateError)
	out.Request, out.Response = encodeRequest(r.Request), encodeResponse(r.Response)
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, &pluginpb.Step{
			Name: s.Name, DurationMs: s.DurationMS, Error: s.Error, Request: encodeRequest(s.Request), Response: encodeResponse(s.Response),
		})
	}
	return out
}

func encodeRequest(q *relay.Request) *pluginpb.HTTPRequest {
	if q == nil {
		return nil
	}
	return &pluginpb.HTTPRequest{Method: q.Method, Url: q.URL, Headers: q.Headers, Body: []byte(q.Body)}
}

func encodeResponse(a *relay.Response) *pluginpb.HTTPResponse {
	if a == nil {
		return nil
	}
	return &pluginpb.HTTPResponse{Status: uint32(a.Status), Headers: a.Headers, Body: []byte(a.Body)}
}

// What relay keeps of a report at most, in bytes. A plugin that follows the
// protocol stays below; the bodies are cut by it, after masking.
const (
	maxReportText = 4 << 10
	maxReportBody = 16 << 10
	maxSteps      = 32
	maxResend     = 256 << 10
	maxHeaders    = 64
)

// DecodeReport reads a plugin's report, which may be a stranger's: it is cut to
// what the log takes, and a message that is no JSON, or too long to be kept
// whole, becomes a string. A verdict
// that this relay does not know is ambiguous: something was tried, and nobody
// can say what came of it.
func DecodeReport(r *pluginpb.Report) relay.Report {
	out := relay.Report{
		Verdict: relay.Ambiguous, RetryAfter: max(0, time.Duration(r.GetRetryAfterMs())*time.Millisecond),
		Receipt: cut(r.GetReceipt(), maxReportText), Error: cut(r.GetError(), maxReportText), Probe: r.GetProbe(),
		Template: cut(r.GetTemplate(), maxReportText), TemplateRevision: cut(r.GetTemplateRevision(), maxReportText),
		Message: message(r.GetMessage()), TemplateError: decodeTemplateError(r.GetTemplateError()),
		Resent:     r.GetResent(),
		RenderTime: max(0, time.Duration(r.GetRenderUs())*time.Microsecond), SendTime: max(0, time.Duration(r.GetSendUs())*time.Microsecond),
	}
	if v := int(r.GetVerdict()); v > 0 && v < len(verdicts) {
		out.Verdict = verdicts[v]
	}
	if out.Verdict == relay.Ambiguous {
		out.DedupFor = max(0, time.Duration(r.GetDedupForMs())*time.Millisecond)
		if len(r.GetResend()) <= maxResend {
			out.Resend = r.GetResend()
		}
	}
	out.Request, out.Response = decodeRequest(r.GetRequest()), decodeResponse(r.GetResponse())
	for _, s := range r.GetSteps()[:min(len(r.GetSteps()), maxSteps)] {
		out.Steps = append(out.Steps, relay.Step{
			Name: cut(s.Name, maxReportText), DurationMS: s.DurationMs, Error: cut(s.Error, maxReportText),
			Request: decodeRequest(s.Request), Response: decodeResponse(s.Response),
		})
	}
	return out
}

func decodeRequest(q *pluginpb.HTTPRequest) *relay.Request {
	if q == nil {
		return nil
	}
	return &relay.Request{Method: cut(q.Method, maxReportText), URL: cut(q.Url, maxReportText), Headers: headers(q.Headers), Body: cut(string(q.Body), maxReportBody)}
}

func decodeResponse(a *pluginpb.HTTPResponse) *relay.Response {
	if a == nil {
		return nil
	}
	return &relay.Response{Status: int(a.Status), Headers: headers(a.Headers), Body: cut(string(a.Body), maxReportBody)}
}

// headers are the first of a message's headers, each cut to what the log takes.
func headers(all map[string]string) map[string]string {
	out := make(map[string]string, min(len(all), maxHeaders))
	for _, name := range slices.Sorted(maps.Keys(all))[:min(len(all), maxHeaders)] {
		out[cut(name, maxReportText)] = cut(all[name], maxReportText)
	}
	return out
}

// DecodePreview reads what a plugin would send. Nobody keeps it, so that it is
// whole: its author wants to see all of it.
func DecodePreview(resp *pluginpb.PreviewResponse) (relay.Report, Size) {
	r := resp.GetReport()
	out := DecodeReport(r)
	if r.GetVerdict() == pluginpb.Verdict_VERDICT_UNSPECIFIED {
		out.Verdict = ""
	}
	if out.Request != nil {
		out.Request.Body = string(r.GetRequest().GetBody())
	}
	if json.Valid(r.GetMessage()) {
		out.Message = r.GetMessage()
	}
	return out, Size{Used: resp.GetSize(), Limit: resp.GetLimit(), Unit: cut(resp.GetUnit(), maxReportText)}
}

// DecodeMatch reads a plugin's answer about a person, with the same care as a
// report: an answer that is none of those that a look-up may have is temporary.
func DecodeMatch(m *pluginpb.Match) Match {
	out := Match{
		User: cut(m.GetUser(), maxReportText), Keep: max(0, time.Duration(m.GetKeepMs())*time.Millisecond),
		Report: DecodeReport(m.GetReport()),
	}
	switch {
	case out.User != "":
		out.Verdict, out.Error = "", ""
	case out.Verdict != relay.Unmatched && out.Verdict != relay.DestinationRefused && out.Verdict != relay.Temporary:
		out.Verdict = relay.Temporary // nothing was sent, whatever went wrong
	}
	return out
}

func message(raw []byte) json.RawMessage {
	switch {
	case len(raw) == 0:
		return nil
	case len(raw) <= maxReportBody && json.Valid(raw):
		return raw
	}
	quoted, _ := json.Marshal(cut(string(raw), maxReportBody)) // a string always encodes
	return quoted
}

// cut shortens text to at most limit bytes, at a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// EncodeTemplateError puts a template's fault on the wire; nil stays nil.
func EncodeTemplateError(e *relay.TemplateError) *pluginpb.TemplateError {
	if e == nil {
		return nil
	}
	return &pluginpb.TemplateError{File: e.File, Line: uint32(e.Line), Column: uint32(e.Column), Message: e.Message, Fatal: e.Fatal}
}

// decodeTemplateError reads a template's fault; nil stays nil.
func decodeTemplateError(e *pluginpb.TemplateError) *relay.TemplateError {
	if e == nil {
		return nil
	}
	return &relay.TemplateError{
		File: cut(e.File, maxReportText), Line: int(e.Line), Column: int(e.Column), Message: cut(e.Message, maxReportText), Fatal: e.Fatal,
	}
}

// EncodeProgram puts a compiled template on the wire, with its code or only by
// its revision; its locales go apart.
func EncodeProgram(p *relay.Program, code bool) *pluginpb.Template {
	t := &pluginpb.Template{Revision: p.Revision, Name: p.Name}
	if code {
		t.Code = p.Code
	}
	if p.Locales != nil {
		t.Locales = p.Locales.Revision
	}
	return t
}

// EncodeLocales puts translations on the wire.
func EncodeLocales(l *relay.Locales) *pluginpb.Locales {
	out := &pluginpb.Locales{Revision: l.Revision, Languages: map[string]*pluginpb.Strings{}}
	for language, strings := range l.Strings {
		out.Languages[language] = &pluginpb.Strings{Strings: strings}
	}
	return out
}

// DecodeLocales reads translations from the wire.
func DecodeLocales(l *pluginpb.Locales) *relay.Locales {
	out := &relay.Locales{Revision: l.Revision, Strings: map[string]map[string]string{}}
	for language, strings := range l.Languages {
		out.Strings[language] = strings.GetStrings()
	}
	return out
}
