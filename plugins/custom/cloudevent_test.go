package custom

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

const relaysID = "0199a5b0-7c4e-7000-8000-000000000000"

// cloudEventOf composes and checks what any receiver of CloudEvents checks.
func cloudEventOf(t testing.TB, event string, made relay.Rendered) map[string]any {
	t.Helper()
	req, err := open(t, settings{URL: "https://app.example.com/", Format: formatCloudEvents}).
		Compose(&plugin.Delivery{EventID: relaysID, Event: json.RawMessage(event)}, made)
	if err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Get("Content-Type"); got != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	var e map[string]any
	if err := json.Unmarshal(req.Body, &e); err != nil {
		t.Fatalf("%v: %s", err, req.Body)
	}
	if e["specversion"] != "1.0" || e["datacontenttype"] != "application/json" {
		t.Errorf("got %v", e)
	}
	name := regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	for key, value := range e {
		if !name.MatchString(key) {
			t.Errorf("%q is not the name of an attribute", key)
		}
		if key == "data" {
			continue
		}
		if s, ok := value.(string); !ok || s == "" || strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("%s is %#v", key, value)
		}
	}
	source, _ := e["source"].(string)
	if _, err := url.Parse(source); err != nil || strings.ContainsAny(source, " \"<>\\^`{|}[]") || strings.ContainsFunc(source, func(r rune) bool { return r > unicode.MaxASCII }) {
		t.Errorf("%q is not a URI-reference: %v", source, err)
	}
	if at, ok := e["time"]; ok {
		if _, err := time.Parse(time.RFC3339, at.(string)); err != nil {
			t.Error(err)
		}
	}
	return e
}

func TestCloudEvent(t *testing.T) {
	for name, c := range map[string]struct {
		event string
		want  map[string]string // attributes; "" for one that must not be there
	}{
		"whole": {event, map[string]string{"id": "k1", "source": "bytebase", "type": "issue.approval_requested", "time": "2026-11-21T08:00:00.5Z", "subject": "add index"}},
		"bare":  {bare, map[string]string{"id": "k2", "source": "events", "type": "billing.invoice_overdue", "time": "1970-01-01T00:00:07Z", "subject": ""}},
		"of a CloudEvent": {
			`{"id":"A234","type":"com.example.a_b","source":"https://github.com/cloudevents/spec/pull?x=1%20#f","time":"2018-04-05T17:31:00Z","level":"info","title":"t","data":{"subject":"123","ce_type":"com.example.a b"}}`,
			map[string]string{"id": "A234", "source": "https://github.com/cloudevents/spec/pull?x=1%20#f", "type": "com.example.a b", "subject": "123"},
		},
		"number":     {`{"id":7,"type":"t","source":"s","time":"2018-04-05T17:31:00Z","level":"info","title":"t"}`, map[string]string{"id": "7"}},
		"no id":      {`{"type":"t","source":"s","time":"2018-04-05T17:31:00Z","level":"info","title":"t"}`, map[string]string{"id": relaysID}},
		"odd source": {`{"id":"\u0007","type":"t","source":"my app/数","time":"2018-04-05T17:31:00Z","level":"info","title":"t","data":{"subject":5}}`, map[string]string{"id": relaysID, "source": "my%20app/%E6%95%B0", "subject": ""}},
		"colon":      {`{"id":"x","type":"t","source":"1a:b","time":"2018-04-05T17:31:00Z","level":"info","title":"t"}`, map[string]string{"source": "1a%3Ab"}},
		"percent":    {`{"id":"x","type":"t","source":"100%|[a]","time":"2018-04-05T17:31:00Z","level":"info","title":"t"}`, map[string]string{"source": "100%25%7C%5Ba%5D"}},
	} {
		var own words
		if err := json.Unmarshal([]byte(c.event), &own); err != nil {
			t.Fatal(err)
		}
		e := cloudEventOf(t, c.event, portable(relay.Message{Title: own.Title, Text: own.Description, Level: own.Level, Link: own.Link}))
		for attribute, want := range c.want {
			if got, _ := e[attribute].(string); got != want {
				t.Errorf("%s: %s is %q, want %q", name, attribute, got, want)
			}
		}
		var want any
		if err := json.Unmarshal([]byte(c.event), &want); err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(e["data"])
		if raw, _ := json.Marshal(want); string(got) != string(raw) {
			t.Errorf("%s: the data is not the event: %s", name, got)
		}
	}
	if e := cloudEventOf(t, event, relay.Rendered{Text: "in its place"}); e["data"].(map[string]any)["description"] != "in its place" || e["id"] != "k1" {
		t.Errorf("got %v", e)
	}
}

// TestNativeCloudEvents: a template's own object is a CloudEvent as well, and
// goes out as it is.
func TestNativeCloudEvents(t *testing.T) {
	for native, want := range map[string]string{
		`{ "specversion": "1.0", "id": "1", "source": "s", "type": "t", "own": 1.50 }`: "",
		`{"mine":1}`: "specversion",
		`{"specversion":"0.3","id":"1","source":"s","type":"t"}`: `"0.3"`,
		`{"specversion":"1.0","source":"s","type":"t"}`:          "no id",
		`{"specversion":"1.0","id":1,"source":"s","type":"t"}`:   "no id",
		`{"specversion":"1.0","id":"1","source":"","type":"t"}`:  "no source",
		`{"specversion":"1.0","id":"1","source":"s"}`:            "no type",
		`[]`: "is a CloudEvent",
	} {
		req, err := open(t, settings{URL: "https://app.example.com/", Format: formatCloudEvents}).
			Compose(&plugin.Delivery{Event: json.RawMessage(event)}, relay.Rendered{Native: json.RawMessage(native)})
		if want == "" && (err != nil || string(req.Body) != native) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", native, err, want)
		}
	}
}
