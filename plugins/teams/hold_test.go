package teams

import (
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

// TestHold: a message whose answer is held back has arrived.
func TestHold(t *testing.T) {
	v := vendor(t)
	d := openBot(t, v)
	deliver(t, d, annID)
	release := v.Hold("hello")
	done := make(chan relay.Report)
	go func() { done <- deliver(t, d, annID) }()
	for len(v.Direct()) < 2 {
		select {
		case r := <-done:
			t.Fatalf("answered: %+v", r)
		default:
		}
	}
	release()
	if r := <-done; r.Verdict != relay.Delivered || len(v.Calls(teamstest.Activity)) != 2 {
		t.Errorf("got %+v", r)
	}
}
