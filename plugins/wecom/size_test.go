package wecom

import (
	"testing"

	"github.com/relay-sidecar/relay/plugin"
)

func TestMeasure(t *testing.T) {
	for body, want := range map[string][2]plugin.Size{ // a robot's, an app's
		`{"msgtype":"text","text":{"content":"hé"}}`: {
			{Used: 3, Limit: maxText, Unit: "bytes of content"}, {Used: 3, Limit: maxDirect, Unit: "bytes of content"}},
		`{"msgtype":"markdown","markdown":{"content":"中"}}`: {
			{Used: 3, Limit: maxMarkdown, Unit: "bytes of content"}, {Used: 3, Limit: maxDirect, Unit: "bytes of content"}},
		`{"msgtype":"news","news":{}}`: {{Used: 28}, {Used: 28}},
	} {
		r := &plugin.Request{Body: []byte(body)}
		if got := [2]plugin.Size{(&robot{}).Measure(r), (&direct{}).Measure(r)}; got != want {
			t.Errorf("%s: got %+v, want %+v", body, got, want)
		}
	}
}
