package discord

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves Discord.
type Provider struct {
	client *post.Client
	global gate
	chats  plugin.Shared[plugin.Memory[string]] // of each bot: user → the id of its channel with them
}

var (
	_ plugin.Provider    = (*Provider)(nil)
	_ plugin.Destination = (*webhook)(nil)
	_ plugin.Paced       = (*webhook)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider {
	// Discord wants this form, and Cloudflare in front of it may block others
	// ("Reference", User Agent).
	return &Provider{client: post.New(post.Options{
		UserAgent: "DiscordBot (https://github.com/relay-sidecar/relay, " + post.Version() + ")",
	})}
}

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "discord",
		Version:           post.Version(),
		ProviderSchema:    json.RawMessage(providerSchema),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: perChannel, Concurrency: 1}, // each destination says more in Windows
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	a, problems := target.check()
	for _, p := range problems {
		if !p.Warning {
			return nil, problems
		}
	}
	if a.token == "" {
		post.HideURL(s.Masker, a.url)
	} else { // not the webhook's id by itself: it is no secret, and a number that other texts hold
		s.Masker.Add(a.url.String(), a.url.RequestURI(), strings.TrimPrefix(a.url.Path, "/"), a.token)
	}
	return &webhook{
		client: p.client, global: &p.global, masker: s.Masker, address: a,
		look: look{Username: target.Username, AvatarURL: target.AvatarURL},
	}, problems
}

// webhook is one webhook of a channel, and perhaps a thread there.
type webhook struct {
	client  *post.Client
	global  *gate
	masker  *relay.Masker
	address address
	look    look
}

// look is as whom a message appears.
type look struct {
	Username  string `json:"username,omitempty"`
	AvatarURL string `json:"avatar_url,omitempty"`
}

// Compose implements [plugin.Destination].
func (w *webhook) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	var body []byte
	var err error
	components := false
	switch {
	case r.Native != nil:
		body, components, err = w.native(r.Native)
	case r.Portable != nil:
		body, err = portable(r.Portable, w.look)
	default:
		body, err = plainText(r.Text, w.look)
	}
	if err != nil {
		return nil, err
	}
	return &plugin.Request{
		Method: http.MethodPost,
		URL:    w.address.execute(components),
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body,
	}, nil
}

// Send implements [plugin.Destination].
func (w *webhook) Send(ctx context.Context, _ *plugin.Delivery, r *plugin.Request) relay.Report {
	if wait := w.global.wait(time.Now()); wait > 0 {
		return relay.Report{Verdict: relay.Temporary, RetryAfter: wait, Error: gateClosed}
	}
	return w.client.Send(ctx, w.masker, r, func(a *post.Answer) relay.Report {
		now := time.Now()
		report, global := classify(a, now)
		if global {
			w.global.close(now.Add(report.RetryAfter))
		}
		return report
	})
}

// What Discord is known to allow ("Rate Limits" refuses to give numbers; these
// are a staff member's, discord-api-docs issue 367). Where they are wrong, the
// answer 429 says how long to wait.
var (
	perWebhook = relay.Rate{Count: 5, Per: 2 * time.Second}
	perChannel = relay.Rate{Count: 30, Per: time.Minute}
)

// Windows implements [plugin.Paced]. Which channel a webhook is in is not in
// its URL, so that the channel's limit is kept by each of its webhooks.
func (w *webhook) Windows() []plugin.Window {
	return []plugin.Window{{Key: w.address.key, Rate: perWebhook}, {Key: w.address.key, Rate: perChannel}}
}

const gateClosed = "not sent: discord's limit on everything from this address is used up"

// gate is closed while Discord wants nothing at all from this address: its
// global limit counts all webhooks together ("Rate Limits", Global Rate Limit).
// It counts bots apart, but what it says to one is kept by all.
type gate struct{ until atomic.Int64 } // Unix nanoseconds

func (g *gate) close(until time.Time) {
	for {
		old := g.until.Load()
		if until.UnixNano() <= old || g.until.CompareAndSwap(old, until.UnixNano()) {
			return
		}
	}
}

func (g *gate) wait(now time.Time) time.Duration {
	return time.Duration(max(0, g.until.Load()-now.UnixNano()))
}
