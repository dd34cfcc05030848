package feishu

import (
	"context"
	"encoding/json"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves Feishu and Lark.
type Provider struct {
	client *post.Client
	tokens plugin.Shared[post.Token] // of apps, by their credentials
}

var (
	_ plugin.Provider    = (*Provider)(nil)
	_ plugin.Destination = (*webhook)(nil)
	_ plugin.Paced       = (*webhook)(nil)
)

// The limits of one bot (add-custom-bot): both hold at the same time.
var (
	perMinute = relay.Rate{Count: 100, Per: time.Minute}
	perSecond = relay.Rate{Count: 5, Per: time.Second}
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "feishu",
		Version:           post.Version(),
		ProviderSchema:    json.RawMessage(providerSchema),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: perMinute, Concurrency: 1, Body: maxBody},
		Direct:            plugin.DirectLimits{MatchBy: []string{plugin.ByEmail, plugin.ByPhone}},
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var entry entrySettings
	var target settings
	if problem := read(s, &entry, &target); problem != nil {
		return nil, []plugin.Problem{*problem}
	}
	u, problems := target.check(entry)
	for _, p := range problems {
		if !p.Warning {
			return nil, problems
		}
	}
	post.HideURL(s.Masker, u)
	s.Masker.Add(target.Secret)
	people := directory{lark: entry.Domain == domainLark}
	return &webhook{
		client: p.client, masker: s.Masker, url: target.URL, bot: u.Host + u.Path, secret: target.Secret,
		writer: writer{keyword: target.Keyword, people: people, markdown: markdown(people)},
	}, problems
}

// webhook is a custom bot: one group.
type webhook struct {
	writer
	client *post.Client
	masker *relay.Masker
	url    string
	bot    string // what the vendor counts: the URL without what may vary
	secret string // empty: the bot asks for no signature
}

// Windows implements [plugin.Paced].
func (w *webhook) Windows() []plugin.Window {
	return []plugin.Window{{Key: w.bot, Rate: perMinute}, {Key: w.bot, Rate: perSecond}}
}

// Compose implements [plugin.Destination]. The signature comes with [webhook.Send].
func (w *webhook) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	var body []byte
	var err error
	switch {
	case r.Native != nil:
		body, err = native(r.Native, w.room())
	case r.Portable != nil:
		if body, err = w.card(r.Portable, w.room()-len(wrapCard(nil))); err == nil {
			body = wrapCard(body)
		}
	default:
		body, err = w.message(r.Text)
	}
	if err != nil {
		return nil, err
	}
	return post.JSON(w.url, body), nil
}

// message is a text message.
func (w *webhook) message(s string) ([]byte, error) {
	m := message{MsgType: "text", Content: &content{}}
	var err error
	if m.Content.Text, err = w.text(s, w.room()-w.size(m)); err != nil {
		return nil, err
	}
	return post.Encode(m)
}

// room is how long a body may be before it is signed.
func (w *webhook) room() int {
	if w.secret != "" {
		return maxBody - signatureLen
	}
	return maxBody
}

// Send implements [plugin.Destination]. Two refusals have a remedy that can be
// had at once, since nothing was shown: a signature is made anew by the
// vendor's clock, and mentions of whom the vendor does not know become names.
func (w *webhook) Send(ctx context.Context, d *plugin.Delivery, r *plugin.Request) relay.Report {
	report, answer := w.attempt(ctx, d, r, time.Now())
	switch {
	case answer.code == codeSignature && w.secret != "":
		report, _ = w.attempt(ctx, d, r, answer.clock)
	case answer.unknownPerson():
		if body, changed := w.withoutMentions(r.Body, d.Event); changed && len(body) <= w.room() {
			named := *r
			named.Body = body
			report, _ = w.attempt(ctx, d, &named, time.Now())
		}
	}
	return report
}

// attempt sends once, signed at the time now.
func (w *webhook) attempt(ctx context.Context, d *plugin.Delivery, r *plugin.Request, now time.Time) (relay.Report, reply) {
	masker := w.masker
	if w.secret != "" {
		signed := *r
		var sign string
		signed.Body, sign = signedBody(r.Body, w.secret, now)
		r, masker = &signed, masker.With(sign)
	}
	var answer reply
	report := w.client.Send(ctx, masker, r, func(a *post.Answer) relay.Report {
		answer = readReply(a, time.Now())
		return answer.classify(a, d.Attempt, time.Now())
	})
	return report, answer
}
