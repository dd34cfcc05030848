package intake_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/problem"
)

// TestDecode: what is only previewed is judged by the same rules as what is posted.
func TestDecode(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	e, err := intake.Decode([]byte(` {"type":"issue.created","title":"x"} `), "", "the-id", now)
	want := `{"id":"the-id","type":"issue.created","source":"events","time":"2026-11-21T08:00:00.000Z","level":"info","title":"x"}`
	if err != nil || string(e.Body) != want || e.ID != "the-id" {
		t.Errorf("got  %s, %v\nwant %s", e.Body, err, want)
	}
	for body, want := range map[string]string{
		`{"type":"a..b","ttle":"x"}`:          "this is no event: 3 faults, the first is $.event.ttle is no key of an event; put it under data",
		`[]`:                                  "this is no event: $.event is not an object",
		`{"type":`:                            "this is no event: malformed JSON at byte 8: unexpected end of JSON input",
		`{"type":"relay.test","title":"x"}`:   `this is no event: $.event.type "relay.test" is relay's own: types that begin with relay. are refused`,
		"{\"type\":\"x\",\"title\":\"\xff\"}": "this is no event: the body is not UTF-8",
	} {
		_, err := intake.Decode([]byte(body), "$.event", "", now)
		var p *problem.Problem
		if !errors.As(err, &p) || p.Status != 400 || p.Detail != want || strings.Contains(want, "3 faults") && len(p.Errors) != 3 {
			t.Errorf("%s: got  %+v\nwant %s", body, err, want)
		}
	}
}
