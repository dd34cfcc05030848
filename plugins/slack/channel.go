package slack

import (
	"context"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// channel is a channel that the app's bot posts to.
type channel struct {
	api *api
	id  string // or its name
}

var (
	_ plugin.Destination = (*channel)(nil)
	_ plugin.Paced       = (*channel)(nil)
)

// Compose implements [plugin.Destination].
func (c *channel) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	body, err := forAPI(r)
	if err != nil {
		return nil, err
	}
	return c.api.message(c.id, body), nil
}

// Send implements [plugin.Destination].
func (c *channel) Send(ctx context.Context, _ *plugin.Delivery, r *plugin.Request) relay.Report {
	calls := c.api.client.Calls(c.api.masker)
	_, report := c.api.send(ctx, calls, r, toChannel)
	return calls.Report(report)
}

// Windows implements [plugin.Paced]. A channel that one destination names by
// its id and another by its name is counted twice; 429 tells the rest.
func (c *channel) Windows() []plugin.Window {
	return []plugin.Window{{Key: "channel " + c.id + " " + c.api.name(), Rate: rate()}, c.api.window()}
}

// window is what an app may post in its workspace, channels and people
// together. Slack says "several hundred per minute" ("Rate limits",
// chat.postMessage); three hundred is the least that this can mean.
func (a *api) window() plugin.Window {
	return plugin.Window{Key: postMessage + " " + a.name(), Rate: relay.Rate{Count: 300, Per: time.Minute}}
}
