package slack

import (
	"testing"

	"github.com/relay-sidecar/relay/plugin"
)

func TestMeasure(t *testing.T) {
	for body, want := range map[string]plugin.Size{
		`{"text":"héllo"}`: {Used: 5, Limit: maxText, Unit: "characters"},
		`{"text":"not counted","blocks":[{"text":{"type":"mrkdwn","text":"ab"},"fields":[{"text":"c"}]}],"attachments":[{"blocks":[{"elements":[{"text":{"text":"dé"}}]}]}]}`: {
			Used: 5, Limit: maxMessage, Unit: "characters in blocks"},
	} {
		if got := measure([]byte(body)); got != want {
			t.Errorf("%s: got %+v, want %+v", body, got, want)
		}
	}
}
