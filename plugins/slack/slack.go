package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves Slack.
type Provider struct{ client *post.Client }

var (
	_ plugin.Provider    = (*Provider)(nil)
	_ plugin.Destination = (*webhook)(nil)
	_ plugin.Paced       = (*webhook)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "slack",
		Version:           post.Version(),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Rate: rate(), Concurrency: 1},
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	u, problems := checkURL(target.URL)
	if u == nil {
		return nil, problems
	}
	post.HideURL(s.Masker, u)
	return &webhook{client: p.client, masker: s.Masker, url: target.URL}, problems
}

// webhook is an incoming webhook: one app, one channel.
type webhook struct {
	client *post.Client
	masker *relay.Masker
	url    string
}

// Compose implements [plugin.Destination].
func (w *webhook) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	var body []byte
	var err error
	switch {
	case r.Native != nil:
		if err = checkNative(r.Native); err != nil {
			return nil, err
		}
		body = r.Native
	case r.Portable != nil:
		body, err = portable(r.Portable)
	default:
		body, err = plainText(r.Text)
	}
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

// settings are a destination's own keys.
type settings struct {
	URL string `json:"url"`
}

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["url"],
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the incoming webhook's URL, such as https://hooks.slack.com/services/T…/B…/…"
    }
  }
}`

// checkURL parses a webhook's URL. The URL is nil when it cannot be used.
func checkURL(raw string) (*url.URL, []plugin.Problem) {
	fault := func(message string) (*url.URL, []plugin.Problem) {
		return nil, []plugin.Problem{{Pointer: "/url", Message: message}}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fault("not a URL; copy the incoming webhook's from Slack, such as https://hooks.slack.com/services/T…/B…/…")
	}
	host := u.Hostname()
	switch {
	case u.Scheme == "http" && !post.Loopback(host):
		return fault("http is taken to a loopback address only; use https")
	case slackHost(host):
		if !webhookPath(u.Path) {
			return fault("the URL has no webhook's path; copy the whole URL, which ends in /services/T…/B…/…")
		}
		return u, nil
	case u.Path == "" || u.Path == "/":
		return fault("the URL has no path; copy the whole URL of the webhook")
	case post.Loopback(host):
		return u, nil
	}
	return u, []plugin.Problem{{
		Pointer: "/url",
		Message: fmt.Sprintf("%s is not Slack's host (hooks.slack.com); messages are sent there all the same", host),
		Warning: true,
	}}
}
