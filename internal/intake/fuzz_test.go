package intake_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/intake"
)

// FuzzDecode: whatever is posted, decoding never panics. What it accepts is
// canonical: valid JSON that says what the sender said, that the rest of relay
// can read, that holds nothing hidden, and that is accepted again unchanged.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(event("")))
	f.Add([]byte(`[{"type":"x","title":"t"},{"type":"a/b.c","title":"\u0000\ud83d\ude00","id":1e9}]`))
	f.Add([]byte(event(`,"id":"k","source":"s","time":"2026-11-21T08:00:00.5+02:00","level":"WARN","description":"d","link":"https://a/b","actor":{"id":1,"name":"Alice","ids":{"slack":"U1"}},"project":{"id":"p"},"issue":{"id":101,"status":"OPEN"},"recipients":[{"email":"a@b"},{}],"data":{"a":[1,{"b":null}],"c":"\\\"\ue000"}`)))
	f.Add([]byte(" {\n\"type\" : \"x\" ,\t\"title\":\"\uE001t\" , \"data\" : { \"a\" : [ ] } } "))
	f.Add([]byte(`{"type":"x","title":"t","actor":{"Name":"a","IDS":{"x":"y"}}}`))
	f.Add([]byte(nested(64)))
	f.Add([]byte(`[`))
	f.Add([]byte(`"\`))
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := intake.DecodeForTest(body, now)
		if err != nil {
			if len(events) > 0 && events[0].Body != nil && body[0] != '[' {
				t.Fatalf("an event and %v", err)
			}
			return
		}
		for _, e := range events {
			checkCanonical(t, e, now)
		}
		if trimmed := bytes.TrimSpace(body); trimmed[0] == '{' && !bytes.Contains(body, []byte(`\u`)) && !bytes.ContainsAny(body, "\uE000\uE001") {
			saysTheSame(t, body, events[0].Body)
		}
	})
}

func checkCanonical(t *testing.T, e relay.Accepted, now time.Time) {
	if !json.Valid(e.Body) || !utf8.Valid(e.Body) {
		t.Fatalf("canonical JSON is malformed: %s", e.Body)
	}
	var compact bytes.Buffer
	if json.Compact(&compact, e.Body); compact.Len() != len(e.Body) {
		t.Fatalf("white space in %s", e.Body)
	}
	var typed relay.Event
	if err := json.Unmarshal(e.Body, &typed); err != nil {
		t.Fatalf("%v in %s", err, e.Body)
	}
	id := e.Key
	if id == "" {
		id = e.ID
	}
	if typed.ID.String() != id || typed.Type != e.Type || typed.Source != e.Source || typed.Level != e.Level || typed.Title != e.Title {
		t.Fatalf("%+v is not %s", e, e.Body)
	}
	if _, err := json.Marshal(typed); err != nil {
		t.Fatalf("%v of %s", err, e.Body)
	}
	var v any
	if err := json.Unmarshal(e.Body, &v); err == nil && holdsHidden(v) {
		t.Fatalf("hidden characters in %s", e.Body)
	}
	again, err := intake.DecodeForTest(e.Body, now.Add(time.Hour))
	if err != nil || len(again) != 1 || !bytes.Equal(again[0].Body, e.Body) {
		t.Fatalf("%s is accepted as %+v (%v)", e.Body, again, err)
	}
}

func holdsHidden(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsAny(v, "\x00\uE000\uE001")
	case []any:
		for _, item := range v {
			if holdsHidden(item) {
				return true
			}
		}
	case map[string]any:
		for key, item := range v {
			if holdsHidden(key) || holdsHidden(item) {
				return true
			}
		}
	}
	return false
}

// saysTheSame compares what was sent with what is stored, but for what relay
// fills in.
func saysTheSame(t *testing.T, sent, stored []byte) {
	read := func(raw []byte) (m map[string]any) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		return m
	}
	s, c := read(sent), read(stored)
	maps.DeleteFunc(s, func(key string, v any) bool { return v == nil || v == "" && (key == "id" || key == "source") })
	for _, key := range []string{"id", "source", "time", "level"} {
		if _, given := s[key]; !given {
			delete(c, key)
		}
	}
	if level, ok := s["level"].(string); ok {
		parsed, _ := relay.ParseLevel(level)
		s["level"] = string(parsed)
	}
	if !reflect.DeepEqual(s, c) {
		t.Fatalf("sent   %s\nstored %s", sent, stored)
	}
}
