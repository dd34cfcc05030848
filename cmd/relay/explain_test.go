package main

import (
	"bytes"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
)

// A story never goes back in time: who was matched after attempts to look them
// up stands behind these, and a wait begins where something ended.
func TestStoryIsInOrder(t *testing.T) {
	began := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	at := func(ms int) relay.Time { return relay.Time{Time: began.Add(time.Duration(ms) * time.Millisecond)} }
	hour := int64(1500)
	lookUp := []relay.Step{{Name: "look-up", DurationMS: 20, Response: &relay.Response{Status: 200, Body: "ok"}}}
	for name, test := range map[string]struct {
		match       *relay.Match
		interrupted *relay.Time
		log         []relay.Attempt
		want        []string
	}{
		"matched at once, and a wait for the rate": {
			match: &relay.Match{User: "U1", By: "email", At: at(22), Steps: lookUp},
			log:   []relay.Attempt{{Attempt: 1, Started: at(832), DurationMS: 5, Verdict: relay.Delivered}},
			want:  []string{"00.000  accepted", "00.022  matched: user U1, by email", "00.022  waited 810ms", "00.832  attempt 1: delivered in 5 ms", "09.000  delivered"},
		},
		"matched after a look-up that failed": {
			match: &relay.Match{User: "U1", By: "email", At: at(1832), Steps: lookUp},
			log: []relay.Attempt{
				{Attempt: 1, Started: at(10), DurationMS: 20, Verdict: relay.Temporary, RetryAfterMS: &hour},
				{Attempt: 2, Started: at(1832), DurationMS: 5, Verdict: relay.Delivered},
			},
			want: []string{"00.000  accepted", "00.010  attempt 1: temporary in 20 ms", "00.030  waited 1.782s: the answer asked for 1.5s",
				"01.832  matched: user U1, by email", "01.832  attempt 2: delivered in 5 ms", "09.000  delivered"},
		},
		"interrupted": {
			interrupted: new(at(10)),
			log:         []relay.Attempt{{Attempt: 1, Started: at(3010), DurationMS: 5, Verdict: relay.Delivered}},
			want: []string{"00.000  accepted", "00.010  taken up, and relay ended before it was recorded what came of it; it may have been sent",
				"00.010  waited 3s, relay's absence included", "03.010  attempt 1: delivered in 5 ms", "09.000  delivered"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			printStory(&out, &relay.Delivery{Created: at(0), Updated: at(9000), State: relay.StateDelivered, Match: test.match, Interrupted: test.interrupted, Log: test.log})
			var got []string
			for _, line := range regexp.MustCompile(`(?m)^    \d\d:\d\d:(\d.*)$`).FindAllStringSubmatch(out.String(), -1) {
				got = append(got, line[1])
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%q\nwant\n%q\nof\n%s", got, test.want, out.String())
			}
		})
	}
}
