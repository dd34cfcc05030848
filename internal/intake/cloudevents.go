package intake

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// mode is how the events stand in a request.
type mode int

const (
	plain      mode = iota // relay's own JSON
	structured             // one CloudEvent as JSON
	batched                // an array of them
	binary                 // a CloudEvent's attributes are headers, its data is the body
)

const (
	cloudEvent      = "application/cloudevents"
	cloudEventBatch = "application/cloudevents-batch"
)

// modeOf tells a request's mode by the rules of the CloudEvents HTTP binding,
// and refuses what is not JSON in UTF-8 where it has to be.
func modeOf(h http.Header) (mode, *problem.Problem) {
	given := h.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(given)
	if err != nil {
		kind = strings.ToLower(given)
	}
	refuse := func(what string) *problem.Problem {
		return problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type %q is not taken; send %s", given, what))
	}
	var m mode
	switch {
	case strings.HasPrefix(kind, cloudEventBatch):
		if m = batched; kind != cloudEventBatch && kind != cloudEventBatch+"+json" {
			return m, refuse(cloudEventBatch + "+json")
		}
	case strings.HasPrefix(kind, cloudEvent):
		if m = structured; kind != cloudEvent && kind != cloudEvent+"+json" {
			return m, refuse(cloudEvent + "+json")
		}
	case h.Get("Ce-Specversion") != "":
		if m = binary; !isJSON(given) {
			return m, nil // the data's own affair
		}
	case given != "" && (err != nil || kind != "application/json"):
		return m, refuse("application/json")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return m, problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("charset %q is not taken; JSON is UTF-8", charset))
	}
	return m, nil
}

// isJSON reports whether a content type is JSON's. Data of a CloudEvent that
// says nothing is JSON.
func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// decodeCloudEvents is decode for CloudEvents. Each is turned into an event of
// relay's own, which is checked like any other.
func decodeCloudEvents(m mode, h http.Header, body []byte, o options) (events []relay.Accepted, array bool, p *problem.Problem) {
	var faults []problem.Fault // of all of them
	if m == binary {
		if body, faults, p = fromHeaders(h, body); p != nil {
			return nil, false, p
		}
	} else if err := problem.CheckJSON(body); err != nil {
		return nil, false, problem.New(http.StatusBadRequest, err.Error())
	}
	body = bytes.TrimSpace(body)
	one := func(raw []byte, path string) (relay.Accepted, []problem.Fault) {
		event, faults := fromCloudEvent(raw, path)
		if event == nil {
			return relay.Accepted{}, faults
		}
		e, more := decodeEvent(event, path, o)
		return e, withFaults(faults, more)
	}
	switch {
	case m == batched && body[0] != '[':
		return nil, true, refuse([]problem.Fault{{Path: "$", Message: "is no batch: it is not an array of CloudEvents"}})
	case m != batched:
		e, more := one(body, place(false, 0))
		return []relay.Accepted{e}, false, refuse(withFaults(faults, more))
	}
	raw := elements(body)
	if len(raw) > maxEvents {
		return nil, true, refuse([]problem.Fault{tooMany(len(raw))})
	}
	for i, element := range raw {
		e, more := one(element, place(true, i))
		events, faults = append(events, e), append(faults, more...)
	}
	return events, true, refuse(faults)
}

// withFaults adds what the event is refused for. Of one attribute the first
// fault counts: what follows from it says nothing new.
func withFaults(faults, more []problem.Fault) []problem.Fault {
	named := len(faults)
	for _, f := range more {
		if !slices.ContainsFunc(faults[:named], func(g problem.Fault) bool { return g.Path == f.Path }) {
			faults = append(faults, f)
		}
	}
	return faults
}

// fromCloudEvent turns a CloudEvent in its JSON form into an event: id, source,
// type and time are its attributes, what an event has beside them may stand in
// data, and everything else goes under the event's own data. Where there are
// faults the event is made of what is good, so that its own come with them; it
// is nil where nothing is.
func fromCloudEvent(raw []byte, path string) ([]byte, []problem.Fault) {
	r := &reader{path: path}
	if raw[0] != '{' {
		r.fault("", "is not an object")
		return nil, r.faults
	}
	attributes := map[string][]byte{}
	var extensions []string
	for key, value := range members(withoutHidden(raw)) {
		name := string(key)
		if _, twice := attributes[name]; twice {
			r.fault(child(key), "stands twice")
			continue
		}
		if attributes[name] = value; !slices.Contains(specified, name) {
			extensions = append(extensions, name)
		}
	}
	text := func(name string, required bool) string {
		v := attributes[name]
		switch {
		case v == nil || string(v) == "null" || string(v) == `""`:
			if required {
				r.fault("."+name, "is required")
			}
		case v[0] != '"':
			r.fault("."+name, "is not a string")
		default:
			return string(unquote(v))
		}
		return ""
	}
	if v := text("specversion", true); v != "" && v != "1.0" {
		r.fault(".specversion", "is %q; relay takes 1.0", problem.Cut(v))
	}
	id, source, kind := text("id", true), text("source", true), text("type", true)
	subject, at, contentType := text("subject", false), text("time", false), text("datacontenttype", false)
	data := attributes["data"]
	if encoded := text("data_base64", false); encoded != "" {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		switch {
		case data != nil:
			r.fault(".data_base64", "stands beside data")
		case err != nil:
			r.fault(".data_base64", "is not base64")
		case isJSON(contentType) && problem.CheckJSON(decoded) == nil:
			data = withoutHidden(bytes.TrimSpace(decoded))
		}
	}

	r.values[keyID], r.values[keySource] = quote(id), quote(source)
	if at != "" {
		r.values[keyTime] = quote(at)
	}
	var rest object // what goes under the event's data; the first of a name stays
	if subject != "" {
		rest.put("subject", quote(subject))
	}
	clean := grammatical(kind)
	if r.values[keyType] = quote(clean); clean != kind {
		rest.put("ce_type", quote(kind))
	}
	for _, name := range append([]string{"dataschema"}, extensions...) {
		if v := attributes[name]; v != nil && string(v) != "null" {
			rest.put(name, v)
		}
	}
	if !isJSON(contentType) {
		rest.put("datacontenttype", quote(contentType))
	}
	switch {
	case data == nil && attributes["data_base64"] != nil && string(attributes["data_base64"]) != "null":
		rest.put("data_base64", attributes["data_base64"])
	case data == nil || string(data) == "null":
	case data[0] != '{':
		rest.put("value", data)
	default:
		r.fields(data, &rest)
	}
	if r.values[keyTitle] == nil {
		title := cmp.Or(subject, kind, clean)
		if utf8.RuneCountInString(title) > maxTitle {
			title = string([]rune(title)[:maxTitle])
		}
		r.values[keyTitle] = quote(title)
	}
	if len(rest.names) > 0 {
		r.values[keyData] = rest.json()
	}
	return r.canonical(false), r.faults
}

// specified are the attributes that have a meaning of their own; the others are
// extensions.
var specified = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64"}

// fields takes an event's fields out of a CloudEvent's data, and puts what is
// left into rest: what is no field, what an attribute says otherwise, and what
// would be refused in an event.
func (r *reader) fields(data []byte, rest *object) {
	var inner [][2][]byte
	for key, value := range members(data) {
		i := slices.Index(keyNames[:], string(key))
		switch {
		case i >= 0 && string(value) == "null":
		case i == keyData && value[0] == '{':
			for k, v := range members(value) {
				inner = append(inner, [2][]byte{k, v})
			}
		case i >= 0 && i != keyData && r.values[i] == nil && fits(i, value):
			r.values[i] = value
		case i >= 0 && r.values[i] != nil && sameText(r.values[i], value):
		default:
			rest.put(string(key), value)
		}
	}
	for _, m := range inner {
		rest.put(string(m[0]), m[1])
	}
}

// fits reports whether an event would be accepted with this value.
func fits(key int, value []byte) bool {
	r := &reader{}
	r.values[key] = value
	switch key {
	case keyTime:
		r.time(time.Time{})
	case keyLevel:
		r.level()
	case keyTitle:
		r.title()
	case keyDescription:
		r.description()
	case keyLink:
		r.link()
	case keyActor:
		r.person("", value)
	case keyProject, keyIssue:
		r.object("", value, objectTexts[key]...)
	case keyRecipients:
		r.recipients()
	}
	return len(r.faults) == 0
}

// sameText reports whether two scalars say the same: 7 and "7" do.
func sameText(a, b []byte) bool {
	text := func(v []byte) string {
		if v[0] == '"' {
			return string(unquote(v))
		}
		return string(v)
	}
	return text(a) == text(b)
}

// grammatical is a type in the characters and segments that a type may have.
func grammatical(s string) string {
	var b strings.Builder
	empty := true // the segment so far
	for _, c := range s {
		switch {
		case c == '.' || c == '/':
			if empty {
				b.WriteByte('_')
			}
			empty = true
			b.WriteRune(c)
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			b.WriteRune(c)
		default:
			b.WriteByte('_')
		}
		empty = false
	}
	if empty {
		b.WriteByte('_')
	}
	return b.String()
}
