package relay

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for given, want := range map[string]string{
		"2026-11-21T09:00:00+01:00":           `"2026-11-21T08:00:00.000Z"`,
		"2026-11-21T08:00:00.37Z":             `"2026-11-21T08:00:00.370Z"`,
		"2026-11-21T08:00:00.123999999-02:00": `"2026-11-21T10:00:00.123Z"`,
	} {
		at, err := time.Parse(time.RFC3339, given)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(Time{at})
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", given, got, err, want)
		}
		var back Time
		if err := json.Unmarshal(got, &back); err != nil || !back.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("%s: read back as %s, %v", got, back, err)
		}
	}
}
