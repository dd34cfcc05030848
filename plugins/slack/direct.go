package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// chatKeep is how long the id of a chat is remembered. It does not change;
// where Slack says that it is wrong it is forgotten at once.
const chatKeep = 24 * time.Hour

// direct reaches the people of one workspace by the app's bot.
type direct struct{ api *api }

var (
	_ plugin.DirectProvider = (*Provider)(nil)
	_ plugin.Direct         = (*direct)(nil)
	_ plugin.Paced          = (*direct)(nil)
	_ plugin.Prober         = (*direct)(nil)
)

// OpenDirect implements [plugin.DirectProvider].
func (p *Provider) OpenDirect(s plugin.Settings) (plugin.Direct, []plugin.Problem) {
	a, problems := p.account(s)
	if a == nil {
		return nil, problems
	}
	return &direct{a}, problems
}

// Account implements [plugin.Direct].
func (d *direct) Account() string { return d.api.name() }

// Windows implements [plugin.Paced]: a chat is a channel like others.
func (d *direct) Windows() []plugin.Window {
	return []plugin.Window{d.api.window(), {Key: "chat " + d.api.name(), Rate: rate(), PerUser: true}}
}

// Compose implements [plugin.Destination]. The user stands where Send puts the
// id of the chat.
func (d *direct) Compose(to *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	body, err := forAPI(r)
	if err != nil {
		return nil, err
	}
	return d.api.message(to.User, body), nil
}

// Send implements [plugin.Destination]. Slack would open the chat itself if it
// got the user's id, but may then take the one with Slackbot ("chat.postMessage",
// Channels); so it is opened first.
func (d *direct) Send(ctx context.Context, to *plugin.Delivery, r *plugin.Request) relay.Report {
	if !userID.MatchString(to.User) {
		return relay.Report{Verdict: relay.Unmatched,
			Error: "not the id of a Slack user; it looks like U012AB3CD or W012AB3CD (in Slack: the person's profile, Copy member ID)"}
	}
	calls := d.api.client.Calls(d.api.masker)
	body := bytes.TrimPrefix(r.Body, addressed(to.User))
	chat, remembered := d.api.chats.Get(to.User)
	for {
		if !remembered {
			var failed relay.Report
			if chat, failed = d.open(ctx, calls, to.User); chat == "" {
				return calls.Report(failed)
			}
		}
		code, report := d.api.send(ctx, calls, d.api.post(postMessage, append(addressed(chat), body...)), toPerson)
		if !gone(code) {
			return calls.Report(report)
		}
		d.api.chats.Drop(to.User)
		if !remembered {
			return calls.Report(report)
		}
		remembered = false
	}
}

// gone reports whether a code says that there is no such chat any more.
func gone(code string) bool {
	switch code {
	case "channel_not_found", "not_in_channel", "is_archived":
		return true
	}
	return false
}

// open is the id of the app's chat with a user: a new one, or the one that is
// there. Asked again it answers the same, and nobody notices.
func (d *direct) open(ctx context.Context, calls *post.Calls, user string) (chat string, failed relay.Report) {
	body, err := post.Encode(map[string]string{"users": user})
	if err != nil {
		return "", relay.Report{Verdict: relay.MessageRefused, Error: err.Error()}
	}
	got, failed := d.api.do(ctx, calls, conversationsOpen, d.api.post(conversationsOpen, body), opening)
	if failed.Verdict != relay.Delivered {
		return "", failed
	}
	var opened struct {
		ID string `json:"id"`
	}
	if _ = json.Unmarshal(got.Channel, &opened); opened.ID == "" {
		return "", relay.Report{Verdict: relay.Temporary, Error: "slack opened a chat without telling its id"}
	}
	d.api.chats.Put(user, opened.ID, chatKeep)
	return opened.ID, relay.Report{}
}

// send makes the call that posts. The receipt is the chat and the time by which
// Slack knows the message there. code is Slack's word of a failure.
func (a *api) send(ctx context.Context, calls *post.Calls, r *plugin.Request, read reading) (code string, report relay.Report) {
	got, report := a.do(ctx, calls, postMessage, r, read)
	if report.Verdict == relay.Delivered && got.TS != "" {
		var in string
		_ = json.Unmarshal(got.Channel, &in)
		report.Receipt = in + " " + got.TS
	}
	return got.Error, report
}
