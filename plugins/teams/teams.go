package teams

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves Microsoft Teams.
type Provider struct {
	client   *post.Client
	accounts plugin.Shared[account]
}

var (
	_ plugin.DirectProvider = (*Provider)(nil)
	_ plugin.Destination    = (*flow)(nil)
	_ plugin.Paced          = (*flow)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

// rate is far below what starts a flow, 4,500 in 5 minutes ("Limits of
// automated flows"), and what a channel takes, 4 in a second ("Rate limiting
// for connectors"): a flow that is throttled for days is switched off.
var rate = relay.Rate{Count: 1, Per: time.Second}

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "teams",
		Version:           post.Version(),
		ProviderSchema:    json.RawMessage(providerSchema),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: rate, Concurrency: 1, Body: maxNative},
		// The first message to a person takes up to a dozen calls.
		Direct: plugin.DirectLimits{MatchBy: []string{plugin.ByEmail}, Timeout: 30 * time.Second},
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	if target.URL == "" {
		return nil, []plugin.Problem{{NoChannel: true, Message: "url is missing; " + howToURL}}
	}
	u, problems := checkURL("url", target.URL)
	if u == nil {
		return nil, problems
	}
	return p.flow(u, s), problems
}

func (p *Provider) flow(u *url.URL, s plugin.Settings) *flow {
	post.HideURL(s.Masker, u)
	return &flow{client: p.client, masker: s.Masker, url: u.String(), key: "flow " + u.Host + u.Path}
}

// flow is a workflow with a webhook as its trigger: one channel or chat.
type flow struct {
	client *post.Client
	masker *relay.Masker
	url    string
	key    string // what is counted: the flow, whatever signature starts it
}

// Compose implements [plugin.Destination].
func (f *flow) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	body, err := enveloped(r)
	if err != nil {
		return nil, err
	}
	return post.JSON(f.url, body), nil // no Authorization: a signed URL refuses one
}

// Send implements [plugin.Destination].
func (f *flow) Send(ctx context.Context, _ *plugin.Delivery, r *plugin.Request) relay.Report {
	return f.client.Send(ctx, f.masker, r, func(a *post.Answer) relay.Report { return classify(a, time.Now()) })
}

// Windows implements [plugin.Paced].
func (f *flow) Windows() []plugin.Window { return []plugin.Window{{Key: f.key, Rate: rate}} }
