package dingtalk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves DingTalk.
type Provider struct {
	client *post.Client
	tokens plugin.Shared[post.Token] // of apps, by their credentials
}

var (
	_ plugin.Provider    = (*Provider)(nil)
	_ plugin.Destination = (*robot)(nil)
	_ plugin.Paced       = (*robot)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

// rate is a robot's ("Custom robots send group messages"): who sends more is
// blocked for about ten minutes.
func rate() relay.Rate { return relay.Rate{Count: 20, Per: time.Minute} }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "dingtalk",
		Version:           post.Version(),
		ProviderSchema:    json.RawMessage(providerSchema),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: rate(), Concurrency: 1, Body: maxBody},
		Direct:            plugin.DirectLimits{MatchBy: []string{plugin.ByPhone}},
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	u, problems := target.check()
	for _, problem := range problems {
		if !problem.Warning {
			return nil, problems
		}
	}
	post.HideURL(s.Masker, u)
	s.Masker.Add(target.Secret)
	r := &robot{client: p.client, masker: s.Masker, url: target.URL, secret: target.Secret, keyword: target.Keyword}
	if r.counted = u.Query().Get(tokenParameter); r.counted == "" {
		r.counted = target.URL
	}
	return r, problems
}

// robot is a custom robot of one group.
type robot struct {
	client  *post.Client
	masker  *relay.Masker
	url     string
	counted string // what DingTalk counts messages by: the token
	secret  string // signs every attempt; empty: the robot wants no signature
	keyword string // stands in every message; empty: the robot wants none
}

// Windows implements [plugin.Paced]: destinations with the same robot share
// what it may send.
func (r *robot) Windows() []plugin.Window {
	return []plugin.Window{{Key: "dingtalk robot " + r.counted, Rate: rate()}}
}

// Compose implements [plugin.Destination].
func (r *robot) Compose(d *plugin.Delivery, made relay.Rendered) (*plugin.Request, error) {
	var body []byte
	var err error
	switch {
	case made.Native != nil:
		body, err = r.native(d.ID, made.Native)
	case made.Portable != nil:
		body, err = r.portable(d.ID, made.Portable)
	default:
		body, err = r.plainText(d.ID, made.Text)
	}
	if err != nil {
		return nil, err
	}
	return post.JSON(r.url, body), nil
}

// Send implements [plugin.Destination]. A signature whose time DingTalk does
// not like is made anew once: nothing was shown, and if it is refused again
// the clock is wrong.
func (r *robot) Send(ctx context.Context, d *plugin.Delivery, req *plugin.Request) relay.Report {
	report, err := r.attempt(ctx, d, req)
	if r.secret != "" && errors.Is(err, errTimestamp) {
		report, _ = r.attempt(ctx, d, req)
	}
	report.DedupFor = uuidFor
	return report
}

// uuidFor is how long DingTalk surely knows a msgUuid again. Unconfirmed: its
// document says that a message may be sent again after a timeout with the same
// one, and not for how long.
const uuidFor = 5 * time.Minute

// attempt signs and sends once. The error is errTimestamp or nil.
func (r *robot) attempt(ctx context.Context, d *plugin.Delivery, req *plugin.Request) (relay.Report, error) {
	masker := r.masker
	if r.secret != "" {
		signed := *req
		signature := ""
		signed.URL, signature = sign(req.URL, r.secret, time.Now())
		req, masker = &signed, r.masker.With(signature)
	}
	var refused error
	report := r.client.Send(ctx, masker, req, func(a *post.Answer) relay.Report {
		report, err := classify(a, d.Attempt, time.Now())
		refused = err
		return report
	})
	return report, refused
}
