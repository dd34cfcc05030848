package discord

import (
	"testing"

	"github.com/relay-sidecar/relay/plugin"
)

func TestMeasure(t *testing.T) {
	for body, want := range map[string]plugin.Size{
		`{"content":" héllo "}`: {Used: 5, Limit: maxContent, Unit: "characters"},
		`{"content":"<@1>","embeds":[{"title":"a","fields":[{"name":"b","value":"cé"}]},{"footer":{"text":"d"}}]}`: {Used: 5, Limit: maxEmbedText, Unit: "characters in embeds"},
		`{"flags":32768,"components":[{"content":"ab","components":[{"content":"c"}]}]}`:                           {Used: 3, Limit: maxDisplay, Unit: "characters in components"},
	} {
		if got := measure([]byte(body)); got != want {
			t.Errorf("%s: got %+v, want %+v", body, got, want)
		}
	}
}
