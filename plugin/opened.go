package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// opened is what relay must know of a destination before it sends anything.
func (c *configured) opened(revision string) *pluginpb.Opened {
	out := &pluginpb.Opened{Revision: revision, Channel: c.channel != nil, Direct: c.direct != nil}
	if paced, ok := c.channel.(Paced); ok {
		out.Windows = encodeWindows(paced.Windows())
	}
	if c.direct != nil {
		out.Account = hashed(c.direct.Account())
		if paced, ok := c.direct.(Paced); ok {
			out.DirectWindows = encodeWindows(paced.Windows())
		}
	}
	return out
}

func encodeWindows(windows []Window) []*pluginpb.Window {
	var out []*pluginpb.Window
	for _, w := range windows {
		out = append(out, &pluginpb.Window{Key: hashed(w.Key), Count: uint32(w.Rate.Count), PerMs: w.Rate.Per.Milliseconds(), PerUser: w.PerUser})
	}
	return out
}

// DecodeWindows reads limits from the wire. One that makes no sense is none.
func DecodeWindows(windows []*pluginpb.Window) []Window {
	var out []Window
	for _, w := range windows {
		d := Window{Key: w.GetKey(), PerUser: w.GetPerUser()}
		if w.GetCount() > 0 && w.GetPerMs() > 0 {
			d.Rate = relay.Rate{Count: int(w.GetCount()), Per: time.Duration(w.GetPerMs()) * time.Millisecond}
		}
		out = append(out, d)
	}
	return out
}

// hashed is a name for what may hold secrets.
func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}
