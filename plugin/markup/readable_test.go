package markup_test

import (
	"encoding/json"
	"testing"

	"github.com/relay-sidecar/relay/plugin/markup"
)

func TestReadable(t *testing.T) {
	for name, c := range map[string]struct{ message, want string }{
		"portable": {
			`{"$relay":1,"title":"Approval required","link":"https://x/1","text":"It locks **orders**, \ue0000\ue001.\n\n- one\n- two","level":"warn",
			"fields":[{"name":"Issue","value":"Add an index"},{"name":"","value":"alone"}],"actions":[{"text":"Review","url":"https://x/2"}],
			"image":{"url":"https://x/i.png","alt":"a graph"},"footer":"bytebase","mentions":[{"name":"Ann"}]}`,
			"Approval required https://x/1\n\nIt locks orders, Ann.\n\n• one\n• two\n\nIssue: Add an index\nalone\n\na graph https://x/i.png\n\n[Review] https://x/2\n\nbytebase",
		},
		"a string": {`"just words"`, "just words"},
		"skipped":  {`null`, ""},
		"blocks, the notification only once": {
			`{"text":"Failed","blocks":[{"type":"header","text":{"type":"plain_text","text":"Failed"}},
			{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Open"},"url":"https://x/1"}]}]}`,
			"Failed\nOpen https://x/1",
		},
		"facts and fields": {`{"body":[{"type":"FactSet","facts":[{"title":"Project","value":"demo"}]}],"fields":[{"name":"Issue","value":"1"}]}`, "Project: demo\nIssue: 1"},
		"JSON in a string": {`{"msg_type":"text","content":"{\"text\":\"hello\"}"}`, "hello"},
		"no words":         {`{"a":1,"b":[true,null]}`, ""},
	} {
		if got := markup.Readable(json.RawMessage(c.message)); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
}
