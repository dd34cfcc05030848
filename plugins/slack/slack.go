package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves Slack.
type Provider struct {
	client *post.Client
	chats  plugin.Shared[plugin.Memory[string]] // of each account: user → the id of the chat with them
}

var (
	_ plugin.Provider    = (*Provider)(nil)
	_ plugin.Destination = (*webhook)(nil)
	_ plugin.Paced       = (*webhook)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "slack",
		Version:           post.Version(),
		ProviderSchema:    json.RawMessage(providerSchema),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: rate(), Concurrency: 1},
		Direct:            plugin.DirectLimits{MatchBy: []string{plugin.ByEmail}},
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	switch {
	case target.URL == "" && target.Channel == "":
		return nil, []plugin.Problem{{NoChannel: true, Message: "url is missing; make an incoming webhook for the channel " +
			"(api.slack.com/apps, Incoming Webhooks) and write its URL, or set channel and the provider's bot_token"}}
	case target.URL != "" && target.Channel != "":
		return nil, []plugin.Problem{{Pointer: "/channel", Message: "the url names a channel already; keep one of url and channel"}}
	case target.Channel != "":
		return p.openChannel(s, target.Channel)
	}
	u, problems := checkURL(target.URL)
	if u == nil {
		return nil, problems
	}
	post.HideURL(s.Masker, u)
	return &webhook{client: p.client, masker: s.Masker, url: target.URL}, problems
}

// openChannel makes a destination of a channel that the app's bot posts to.
func (p *Provider) openChannel(s plugin.Settings, id string) (plugin.Destination, []plugin.Problem) {
	if fault := checkChannel(id); fault != "" {
		return nil, []plugin.Problem{{Pointer: "/channel", Message: fault}}
	}
	if a, _ := p.account(s); a != nil { // OpenDirect says what is wrong with the entry
		return &channel{api: a, id: id}, nil
	}
	return nil, []plugin.Problem{{Pointer: "/channel", Message: "a channel needs the app's bot token: set providers." + s.Entry +
		".bot_token with the scope chat:write, or give the url of an incoming webhook instead"}}
}

// webhook is an incoming webhook: one app, one channel.
type webhook struct {
	client *post.Client
	masker *relay.Masker
	url    string
}

// Compose implements [plugin.Destination].
func (w *webhook) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	return post.JSON(w.url, body), nil
}

// Send implements [plugin.Destination].
func (w *webhook) Send(ctx context.Context, _ *plugin.Delivery, r *plugin.Request) relay.Report {
	return w.client.Send(ctx, w.masker, r, func(a *post.Answer) relay.Report { return classify(a, time.Now()) })
}

// rate is Slack's for messages to one channel (docs.slack.dev, rate limits).
func rate() relay.Rate { return relay.Rate{Count: 1, Per: time.Second} }

// Windows implements [plugin.Paced]: a webhook is one channel, however many
// destinations use it.
func (w *webhook) Windows() []plugin.Window { return []plugin.Window{{Key: w.url, Rate: rate()}} }

// bodyOf is the body of a message, for a webhook as for the Web API.
func bodyOf(r relay.Rendered) ([]byte, error) {
	switch {
	case r.Native != nil:
		return r.Native, checkNative(r.Native)
	case r.Portable != nil:
		return portable(r.Portable)
	}
	return plainText(r.Text)
}

// forAPI is a message for chat.postMessage: without whom it goes to, which is
// relay's to say.
func forAPI(r relay.Rendered) ([]byte, error) {
	body, err := bodyOf(r)
	if err != nil || r.Native == nil {
		return body, err
	}
	var has struct {
		Channel json.RawMessage `json:"channel"`
	}
	if err := json.Unmarshal(body, &has); err != nil || has.Channel != nil {
		return nil, errors.New("the message has a channel; leave it out, since relay fills in whom the message goes to")
	}
	return bytes.TrimSpace(body), nil
}
