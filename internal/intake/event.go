package intake

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

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

// The keys of an event in their canonical order.
const (
	keyID = iota
	keyType
	keySource
	keyTime
	keyLevel
	keyTitle
	keyDescription
	keyLink
	keyActor
	keyProject
	keyIssue
	keyRecipients
	keyData
)

var keyNames = [...]string{"id", "type", "source", "time", "level", "title", "description", "link",
	"actor", "project", "issue", "recipients", "data"}

// objectTexts are the members of an object that have to be strings.
var objectTexts = map[int][]string{keyProject: {"name"}, keyIssue: {"name", "status", "type", "description"}}

// reader takes one event apart and collects its faults.
type reader struct {
	path   string
	values [len(keyNames)][]byte // by key; nil: absent, null, or an empty id or source
	faults []problem.Fault
}

// fault notes a fault; path begins below the event.
func (r *reader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, problem.Fault{Path: r.path + path, Message: fmt.Sprintf(format, args...)})
}

// decodeEvent checks one event and makes its canonical JSON.
func decodeEvent(raw []byte, path string, o options) (relay.Accepted, []problem.Fault) {
	r := &reader{path: path}
	depth, spaced := survey(raw)
	switch {
	case raw[0] != '{':
		r.fault("", "is not an object")
	case depth > maxDepth:
		r.fault("", "nests %d levels deep, at most %d are taken", depth, maxDepth)
	}
	if len(r.faults) > 0 {
		return relay.Accepted{}, r.faults
	}
	e := relay.Accepted{
		ID:     o.id,
		Digest: sha256.Sum256(raw),
		At:     o.now,
		Door:   o.source,
	}
	if e.ID == "" {
		e.ID = uuid.Must(uuid.NewV7()).String() // without randomness nothing runs at all
	}
	r.split(withoutHidden(raw))
	e.Key, e.Type, e.Source = r.key(o.key), r.eventType(), r.source(o.source)
	e.Level, e.Title = r.level(), r.title()
	r.time(o.now)
	r.description()
	r.link()
	r.person(".actor", r.values[keyActor])
	r.object(".project", r.values[keyProject], objectTexts[keyProject]...)
	r.object(".issue", r.values[keyIssue], objectTexts[keyIssue]...)
	r.addRecipients(o.recipients)
	r.recipients()
	r.object(".data", r.values[keyData])
	if len(r.faults) > 0 {
		return relay.Accepted{}, r.faults
	}
	if r.values[keyID] == nil {
		if r.values[keyID] = quote(e.Key); e.Key == "" {
			r.values[keyID] = enclose(e.ID)
		}
	}
	e.Body = r.canonical(spaced)
	return e, nil
}

// split sorts the event's members into their places.
func (r *reader) split(raw []byte) {
	var seen [len(keyNames)]bool
	for key, value := range members(raw) {
		i := slices.Index(keyNames[:], string(key))
		switch {
		case i < 0:
			r.fault(child(key), "is no key of an event; put it under data")
		case seen[i]:
			r.fault(child(key), "stands twice")
		default:
			seen[i] = true
			empty := string(value) == `""` && (i == keyID || i == keySource)
			if !empty && string(value) != "null" {
				r.values[i] = value
			}
		}
	}
}

// string is the value of a key that must be a string where it is given.
func (r *reader) string(key int) (string, bool) {
	v := r.values[key]
	if v == nil {
		return "", false
	}
	if v[0] != '"' {
		r.fault("."+keyNames[key], "is not a string")
		return "", false
	}
	return string(unquote(v)), true
}

// key is the sender's id: a string, or a number as its text.
func (r *reader) key(header string) string {
	v := r.values[keyID]
	switch {
	case v == nil && (!utf8.ValidString(header) || strings.Contains(header, mentionOpen) || strings.Contains(header, mentionClose)):
		r.fault(".id", "the Idempotency-Key holds what is no text")
	case v == nil && len(header) > maxKey:
		r.fault(".id", "the Idempotency-Key has %d bytes, at most %d are taken", len(header), maxKey)
	case v == nil:
		return header
	case !isID(v):
		r.fault(".id", "is neither a number nor a string")
	case v[0] == '"':
		s, _ := r.string(keyID)
		r.short(keyID, s)
		return s
	default:
		r.short(keyID, string(v))
		return string(v)
	}
	return ""
}

func isID(v []byte) bool { return v[0] == '"' || v[0] == '-' || v[0] >= '0' && v[0] <= '9' }

func (r *reader) short(key int, s string) {
	if len(s) > maxKey {
		r.fault("."+keyNames[key], "has %d bytes, at most %d are taken", len(s), maxKey)
	}
}

func (r *reader) eventType() string {
	const path = ".type"
	if r.values[keyType] == nil {
		r.fault(path, "is required")
		return ""
	}
	s, ok := r.string(keyType)
	switch {
	case !ok:
	case s == "" || len(s) > maxKey:
		r.fault(path, "has %d bytes; 1 to %d are taken", len(s), maxKey)
	case strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-/", c))
	}):
		r.fault(path, "%q has other characters than letters, digits and . _ - /", s)
	case hasEmptySegment(s):
		// This also keeps "." and ".." out of the paths that templates are found by.
		r.fault(path, "%q has an empty segment", s)
	case strings.HasPrefix(s, relay.ReservedTypes):
		r.fault(path, "%q is relay's own: types that begin with %s are refused", s, relay.ReservedTypes)
	}
	return s
}

func hasEmptySegment(s string) bool {
	for segment := range strings.SplitSeq(strings.ReplaceAll(s, "/", "."), ".") {
		if segment == "" {
			return true
		}
	}
	return false
}

func (r *reader) source(door string) string {
	s, ok := r.string(keySource)
	if !ok {
		r.values[keySource] = quote(door)
		return door
	}
	r.short(keySource, s)
	return s
}

func (r *reader) level() relay.Level {
	s, _ := r.string(keyLevel)
	l, ok := relay.ParseLevel(s)
	if !ok {
		r.fault(".level", "is %q; write info, success, warn or error", problem.Cut(s))
	}
	r.values[keyLevel] = enclose(string(l)) // in lower case
	return l
}

func (r *reader) title() string {
	if r.values[keyTitle] == nil {
		r.fault(".title", "is required")
		return ""
	}
	s, ok := r.string(keyTitle)
	if n := utf8.RuneCountInString(s); ok && (n < 1 || n > maxTitle) {
		r.fault(".title", "has %d characters; 1 to %d are taken", n, maxTitle)
	}
	return s
}

// rfc3339 is stricter than package time, which takes a comma, hours of one
// digit and zones of 24 hours, of which scripts cannot make a date.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func (r *reader) time(now time.Time) {
	s, ok := r.string(keyTime)
	if !ok {
		s = now.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	} else if _, err := time.Parse(time.RFC3339, s); err != nil || !rfc3339.MatchString(s) {
		r.fault(".time", "%q is not RFC 3339, such as 2026-11-21T08:00:00Z", problem.Cut(s))
	}
	r.values[keyTime] = enclose(s) // without escapes, which encoding/json does not undo in a time
}

func (r *reader) description() {
	v := r.values[keyDescription]
	if len(v) > 0 && v[0] == '"' && len(v) <= maxDescription {
		return // escapes only make it shorter
	}
	if s, ok := r.string(keyDescription); ok && len(s) > maxDescription {
		r.fault(".description", "has %d bytes, at most %d are taken", len(s), maxDescription)
	}
}

func (r *reader) link() {
	s, ok := r.string(keyLink)
	if !ok || s == "" {
		return
	}
	if u, err := url.Parse(s); err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		r.fault(".link", "is not an http or https URL")
	}
}
