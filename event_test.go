package relay_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
)

func TestIDIsKeptAsItCame(t *testing.T) {
	for in, text := range map[string]string{`1`: "1", `12345678901234567890`: "12345678901234567890", `-1.50`: "-1.50", `"a\"b"`: `a"b`, `"7"`: "7"} {
		var p relay.Person
		if err := json.Unmarshal([]byte(`{"id":`+in+`}`), &p); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		out, err := json.Marshal(p)
		if err != nil || string(out) != `{"id":`+in+`}` || p.ID.String() != text {
			t.Errorf("%s came out as %s, %q, %v", in, out, p.ID, err)
		}
	}
	for _, in := range []string{`true`, `{}`, `[1]`} {
		var p relay.Person
		if json.Unmarshal([]byte(`{"id":`+in+`}`), &p) == nil {
			t.Errorf("%s is taken as an id", in)
		}
	}
	var none relay.Person
	if out, err := json.Marshal(none); err != nil || string(out) != `{}` {
		t.Errorf("nobody is %s, %v", out, err)
	}
}

func TestParseLevel(t *testing.T) {
	for in, want := range map[string]relay.Level{"": relay.LevelInfo, "WARN": relay.LevelWarn, "Error": relay.LevelError, "success": relay.LevelSuccess} {
		if got, ok := relay.ParseLevel(in); !ok || got != want {
			t.Errorf("ParseLevel(%q) = %q, %v", in, got, ok)
		}
	}
	if _, ok := relay.ParseLevel("fatal"); ok {
		t.Error("fatal is taken as a level")
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]relay.Rate{"1/s": {Count: 1, Per: time.Second}, "20/m": {Count: 20, Per: time.Minute}, "500/h": {Count: 500, Per: time.Hour}, "": {}} {
		got, err := relay.ParseRate(in)
		if err != nil || got != want || got.String() != in {
			t.Errorf("ParseRate(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"1", "1/", "/s", "0/s", "-1/s", "1/d", "1.5/s", "x/s"} {
		if got, err := relay.ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %v", in, got)
		}
	}
}
