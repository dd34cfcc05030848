package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// The limits of an event, from the contract that senders see.
const (
	maxKey         = 200 // bytes of an id, a type and a source
	maxTitle       = 1_000
	maxDescription = 64 << 10
	maxRecipients  = 100
)

// options are what decode knows of a request beside its body.
type options struct {
	source   string // for events that name none
	key      string // Idempotency-Key; for events that have no id
	now      time.Time
	original []byte // what the sender really sent, where events were made from it
	empty    bool   // an array may be empty
}

// decode reads one event or an array of them, and says whether it was an array.
func decode(body []byte, o options) ([]relay.Accepted, bool, *problem.Problem) {
	if err := check(body); err != nil {
		return nil, false, problem.New(http.StatusBadRequest, err.Error())
	}
	body = bytes.TrimSpace(body)
	if body[0] == '{' {
		e, faults := decodeEvent(body, "$", o)
		if len(faults) > 0 {
			return nil, false, faulty(faults)
		}
		return []relay.Accepted{e}, false, nil
	}
	if body[0] != '[' {
		return nil, false, problem.New(http.StatusBadRequest, "the body is neither an event nor an array of events")
	}
	raw := elements(body)
	switch {
	case len(raw) == 0 && !o.empty:
		return nil, true, problem.New(http.StatusBadRequest, "the array is empty; send at least one event")
	case len(raw) > maxEvents:
		return nil, true, problem.New(http.StatusBadRequest, fmt.Sprintf("the array has %d events; send at most %d at once", len(raw), maxEvents))
	}
	events := make([]relay.Accepted, 0, len(raw))
	var faults []problem.Fault
	for i, element := range raw {
		one := o
		if o.key != "" {
			one.key = fmt.Sprintf("%s/%d", o.key, i)
		}
		path := fmt.Sprintf("$[%d]", i)
		if element[0] != '{' {
			faults = append(faults, problem.Fault{Path: path, Message: "is not an object"})
			continue
		}
		e, more := decodeEvent(element, path, one)
		faults = append(faults, more...)
		events = append(events, e)
	}
	if len(faults) > 0 {
		return nil, true, faulty(faults)
	}
	return events, true, nil
}

// maxFaults keeps an answer readable; a body of a thousand bad events has thousands.
const maxFaults = 50

func faulty(faults []problem.Fault) *problem.Problem {
	detail := fmt.Sprintf("nothing was accepted: %s %s", faults[0].Path, faults[0].Message)
	if len(faults) > 1 {
		detail = fmt.Sprintf("nothing was accepted: %d faults, the first is %s %s", len(faults), faults[0].Path, faults[0].Message)
	}
	return problem.New(http.StatusBadRequest, detail, faults[:min(len(faults), maxFaults)]...)
}

// known are the keys of an event in their canonical order; the id comes first.
var known = [...]string{"id", "type", "source", "time", "level", "title", "description", "link",
	"actor", "project", "issue", "recipients", "data"}

// reader collects the faults of one event.
type reader struct {
	path   string
	values [len(known)][]byte // by the order of known; nil: absent or null
	faults []problem.Fault
}

func (r *reader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, problem.Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

// decodeEvent checks one event and makes its canonical JSON.
func decodeEvent(raw []byte, path string, o options) (relay.Accepted, []problem.Fault) {
	r := &reader{path: path}
	if d := depth(raw); d > maxDepth {
		r.fault(path, "nests %d levels deep, at most %d are taken", d, maxDepth)
		return relay.Accepted{}, r.faults
	}
	digest := sha256.Sum256(raw)
	if hidden(raw) {
		raw = withoutHidden(raw)
	}
	r.split(raw)
	id, err := newID()
	if err != nil {
		r.fault(path, "cannot be taken: %v", err)
		return relay.Accepted{}, r.faults
	}
	e := relay.Accepted{
		ID: id, Key: r.key(o.key), Source: r.short("source"), Type: r.eventType(), Level: r.level(), Title: r.title(),
		Original: o.original, Digest: digest, At: o.now,
	}
	if e.Source == "" {
		e.Source = o.source
	}
	when := r.time(o.now)
	if d, ok := r.string("description"); ok && len(d) > maxDescription {
		r.fault(path+".description", "has %d bytes, at most %d are taken", len(d), maxDescription)
	}
	r.link()
	r.person(path+".actor", r.value("actor"))
	r.object("project", "name")
	r.object("issue", "name", "status", "type", "description")
	r.recipients()
	if v := r.value("data"); v != nil && v[0] != '{' {
		r.fault(path+".data", "is not an object")
	}
	if len(r.faults) > 0 {
		return relay.Accepted{}, r.faults
	}
	key := e.Key
	if key == "" {
		key = e.ID
	}
	e.Body = r.canonical(key, e, when)
	return e, nil
}

// split sorts the object's members into their places.
func (r *reader) split(raw []byte) {
	var seen [len(known)]bool
	for _, m := range members(raw) {
		i := slices.Index(known[:], m.key)
		switch {
		case i < 0:
			r.fault(r.path+"."+m.key, "is no key of an event; put it under data")
		case seen[i]:
			r.fault(r.path+"."+m.key, "stands twice")
		default:
			seen[i] = true
			// null is absent, and so is an empty id.
			if !bytes.Equal(m.value, []byte("null")) && !(i == 0 && string(m.value) == `""`) {
				r.values[i] = m.value
			}
		}
	}
}

func (r *reader) value(key string) []byte { return r.values[slices.Index(known[:], key)] }

// string is the value of a key that must be a string where it is given.
func (r *reader) string(key string) (string, bool) {
	v := r.value(key)
	if v == nil {
		return "", false
	}
	if v[0] != '"' {
		r.fault(r.path+"."+key, "is not a string")
		return "", false
	}
	return text(v), true
}

func (r *reader) short(key string) string {
	s, _ := r.string(key)
	if len(s) > maxKey {
		r.fault(r.path+"."+key, "has %d bytes, at most %d are taken", len(s), maxKey)
	}
	return s
}

// key is the sender's id: a string, or a number as its text.
func (r *reader) key(fallback string) string {
	v := r.value("id")
	switch {
	case v == nil:
		if len(fallback) > maxKey {
			r.fault(r.path+".id", "the Idempotency-Key has %d bytes, at most %d are taken", len(fallback), maxKey)
		}
		return fallback
	case v[0] == '-' || v[0] >= '0' && v[0] <= '9':
		return string(v)
	}
	return r.short("id")
}

func (r *reader) eventType() string {
	path := r.path + ".type"
	if r.value("type") == nil {
		r.fault(path, "is required")
		return ""
	}
	s, ok := r.string("type")
	switch {
	case !ok:
	case s == "" || len(s) > maxKey:
		r.fault(path, "has %d bytes; 1 to %d are taken", len(s), maxKey)
	case strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-/", c))
	}):
		r.fault(path, "%q has other characters than letters, digits and . _ - /", s)
	case slices.Contains(strings.Split(strings.ReplaceAll(s, "/", "."), "."), ""):
		// This also keeps "." and ".." out of the paths that templates are found by.
		r.fault(path, "%q has an empty segment", s)
	case strings.HasPrefix(s, relay.ReservedTypes):
		r.fault(path, "%q is relay's own: types that begin with %s are refused", s, relay.ReservedTypes)
	}
	return s
}

func (r *reader) level() relay.Level {
	s, _ := r.string("level")
	l, ok := relay.ParseLevel(s)
	if !ok {
		r.fault(r.path+".level", "is %q; write info, success, warn or error", s)
	}
	return l
}

func (r *reader) title() string {
	if r.value("title") == nil {
		r.fault(r.path+".title", "is required")
		return ""
	}
	s, ok := r.string("title")
	if n := utf8.RuneCountInString(s); ok && (n < 1 || n > maxTitle) {
		r.fault(r.path+".title", "has %d characters; 1 to %d are taken", n, maxTitle)
	}
	return s
}

func (r *reader) time(now time.Time) string {
	s, ok := r.string("time")
	if !ok {
		return now.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		r.fault(r.path+".time", "%q is not RFC 3339, such as 2026-11-21T08:00:00Z", s)
	}
	return s
}

func (r *reader) link() {
	s, ok := r.string("link")
	if !ok || s == "" {
		return
	}
	if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		r.fault(r.path+".link", "is not an http or https URL")
	}
}

// object checks an object with an id and some strings; what else it holds is kept.
func (r *reader) object(key string, stringKeys ...string) {
	v := r.value(key)
	if v == nil {
		return
	}
	path := r.path + "." + key
	if v[0] != '{' {
		r.fault(path, "is not an object")
		return
	}
	for _, m := range members(v) {
		switch {
		case bytes.Equal(m.value, []byte("null")):
		case m.key == "id":
			if !isID(m.value) {
				r.fault(path+".id", "is neither a number nor a string")
			}
		case slices.Contains(stringKeys, m.key) && m.value[0] != '"':
			r.fault(path+"."+m.key, "is not a string")
		}
	}
}

func isID(v []byte) bool { return v[0] == '"' || v[0] == '-' || v[0] >= '0' && v[0] <= '9' }

// person checks an actor or a recipient.
func (r *reader) person(path string, v []byte) {
	if v == nil {
		return
	}
	if v[0] != '{' {
		r.fault(path, "is not an object")
		return
	}
	for _, m := range members(v) {
		switch {
		case bytes.Equal(m.value, []byte("null")):
		case m.key == "id" && !isID(m.value):
			r.fault(path+".id", "is neither a number nor a string")
		case (m.key == "name" || m.key == "email" || m.key == "phone") && m.value[0] != '"':
			r.fault(path+"."+m.key, "is not a string")
		case m.key == "ids" && m.value[0] != '{':
			r.fault(path+".ids", "is not an object")
		case m.key == "ids":
			for _, id := range members(m.value) {
				if id.value[0] != '"' {
					r.fault(path+".ids."+id.key, "is not a string")
				}
			}
		}
	}
}

func (r *reader) recipients() {
	v := r.value("recipients")
	if v == nil {
		return
	}
	path := r.path + ".recipients"
	if v[0] != '[' {
		r.fault(path, "is not an array")
		return
	}
	all := elements(v)
	if len(all) > maxRecipients {
		r.fault(path, "has %d recipients, at most %d are taken", len(all), maxRecipients)
		return
	}
	for i, one := range all {
		r.person(fmt.Sprintf("%s[%d]", path, i), one)
	}
}

// canonical writes the event with what relay filled in, its keys in one order
// and everything else as it came.
func (r *reader) canonical(key string, e relay.Accepted, when string) []byte {
	filled := map[string]string{"source": e.Source, "time": when, "level": string(e.Level)}
	size := 160
	for _, v := range r.values {
		size += len(v) + 16
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	b.WriteByte('{')
	for i, name := range known {
		v := r.values[i]
		fill, fills := filled[name]
		if name == "id" && v == nil {
			fill, fills = key, true
		}
		if v == nil && !fills {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(name)) // plain ASCII
		b.WriteByte(':')
		switch {
		case fills:
			quoted, _ := json.Marshal(fill) // a string always encodes
			b.Write(quoted)
		case v[0] == '{' || v[0] == '[':
			json.Compact(b, v) // cannot fail: the body was checked
		default:
			b.Write(v)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

// hidden reports whether a body may hold characters that are never shown: NUL,
// and those that stand for mentions in messages (only templates make them).
func hidden(raw []byte) bool {
	if bytes.Contains(raw, []byte(string(relay.MentionOpen))) || bytes.Contains(raw, []byte(string(relay.MentionClose))) {
		return true
	}
	if !bytes.Contains(raw, []byte(`\u`)) {
		return false
	}
	lower := bytes.ToLower(raw)
	return bytes.Contains(lower, []byte(`\u0000`)) || bytes.Contains(lower, []byte(`\ue000`)) || bytes.Contains(lower, []byte(`\ue001`))
}

// withoutHidden writes a well-formed body again without those characters.
func withoutHidden(raw []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // numbers stay as they came
	var v any
	if decoder.Decode(&v) != nil {
		return raw // cannot be: the body was checked
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(strip(v)) != nil {
		return raw
	}
	return bytes.TrimSpace(b.Bytes())
}

func strip(v any) any {
	clean := func(s string) string {
		return strings.Map(func(c rune) rune {
			if c == 0 || c == relay.MentionOpen || c == relay.MentionClose {
				return -1
			}
			return c
		}, s)
	}
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
	case map[string]any:
		for _, key := range slices.Collect(maps.Keys(v)) {
			value := strip(v[key])
			delete(v, key)
			v[clean(key)] = value
		}
	}
	return v
}
