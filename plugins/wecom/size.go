package wecom

import (
	"encoding/json"

	"github.com/relay-sidecar/relay/plugin"
)

// measure counts what WeCom does: the bytes of the content. Messages that are
// no text have no limit as a whole.
func measure(body []byte, limits map[string]int64) plugin.Size {
	var m map[string]json.RawMessage
	var kind string
	var inner content
	_ = json.Unmarshal(body, &m) // it is a message
	_ = json.Unmarshal(m["msgtype"], &kind)
	_ = json.Unmarshal(m[kind], &inner)
	if limit := limits[kind]; limit > 0 {
		return plugin.Size{Used: int64(len(inner.Content)), Limit: limit, Unit: "bytes of content"}
	}
	return plugin.Size{Used: int64(len(body))}
}

// Measure implements [plugin.Measured].
func (r *robot) Measure(q *plugin.Request) plugin.Size {
	return measure(q.Body, map[string]int64{"text": maxText, "markdown": maxMarkdown, "markdown_v2": maxMarkdown})
}

// Measure implements [plugin.Measured].
func (d *direct) Measure(q *plugin.Request) plugin.Size {
	return measure(q.Body, map[string]int64{"text": maxDirect, "markdown": maxDirect})
}

var (
	_ plugin.Measured = (*robot)(nil)
	_ plugin.Measured = (*direct)(nil)
)
