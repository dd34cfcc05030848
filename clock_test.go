package relay_test

import (
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
)

func TestClockNeverGoesBack(t *testing.T) {
	start := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	wall, steady := start, time.Duration(0)
	c := relay.Clock{Wall: func() time.Time { return wall }, Steady: func() time.Duration { return steady }}
	for _, step := range []struct {
		what   string
		passes time.Duration
		jump   time.Duration
		want   time.Duration // since start
	}{
		{"it goes", time.Second, 0, time.Second},
		{"set back an hour: it goes on", time.Second, -time.Hour, 2 * time.Second},
		{"and keeps its pace", time.Minute, 0, 62 * time.Second},
		{"set forward again: the wall is right", 0, time.Hour, 62 * time.Second},
		{"set forward: it follows", 0, time.Hour, time.Hour + 62*time.Second},
	} {
		steady += step.passes
		wall = wall.Add(step.passes + step.jump)
		if got := c.Now().Sub(start); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
}
