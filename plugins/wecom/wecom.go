package wecom

import (
	"context"
	"encoding/json"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves WeCom.
type Provider struct {
	client *post.Client
	apps   plugin.Shared[app]
}

var (
	_ plugin.DirectProvider = (*Provider)(nil)
	_ plugin.Destination    = (*robot)(nil)
	_ plugin.Paced          = (*robot)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

// rate is a robot's (91770).
func rate() relay.Rate { return relay.Rate{Count: 20, Per: time.Minute} }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "wecom",
		Version:           post.Version(),
		ProviderSchema:    json.RawMessage(providerSchema),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: rate(), Concurrency: 1},
		Direct:            plugin.DirectLimits{MatchBy: []string{plugin.ByEmail, plugin.ByPhone}},
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	if target.URL == "" {
		return nil, []plugin.Problem{{NoChannel: true, Message: "url is missing; add a robot to the group in WeCom and copy its webhook"}}
	}
	u, problems := checkURL(target.URL)
	if u == nil {
		return nil, problems
	}
	post.HideURL(s.Masker, u)
	r := &robot{client: p.client, masker: s.Masker, url: target.URL}
	if r.counted = u.Query().Get(keyParameter); r.counted == "" {
		r.counted = target.URL
	}
	return r, problems
}

// robot is a robot of one group.
type robot struct {
	client  *post.Client
	masker  *relay.Masker
	url     string
	counted string // what WeCom counts messages by: the key
}

// Windows implements [plugin.Paced]: destinations with the same robot share
// what it may send.
func (r *robot) Windows() []plugin.Window {
	return []plugin.Window{{Key: "wecom robot " + r.counted, Rate: rate()}}
}

// Compose implements [plugin.Destination]. A robot's messages have no
// deduplication of any kind: equal ones are all shown, and none needs a mark.
func (r *robot) Compose(_ *plugin.Delivery, made relay.Rendered) (*plugin.Request, error) {
	body := []byte(made.Native)
	var err error
	switch {
	case made.Native != nil:
		err = checkNative(made.Native)
	case made.Portable != nil:
		body, err = portable(made.Portable)
	default:
		body, err = plainText(made.Text)
	}
	if err != nil {
		return nil, err
	}
	return post.JSON(r.url, body), nil
}

// Send implements [plugin.Destination].
func (r *robot) Send(ctx context.Context, d *plugin.Delivery, req *plugin.Request) relay.Report {
	return r.client.Send(ctx, r.masker, req, func(a *post.Answer) relay.Report { return classify(a, d.Attempt, time.Now()) })
}
