package custom

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider serves receivers of one's own.
type Provider struct{ client *post.Client }

var (
	_ plugin.Provider    = (*Provider)(nil)
	_ plugin.Destination = (*receiver)(nil)
)

// New makes the provider; its destinations share one pool of connections.
func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// Describe implements [plugin.Provider].
func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name:              "custom",
		Version:           post.Version(),
		DestinationSchema: json.RawMessage(destinationSchema),
		Limits:            plugin.Limits{Concurrency: 32}, // no rate: the receiver answers 429 when it has enough
	}
}

// Open implements [plugin.Provider].
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var target settings
	if err := json.Unmarshal(s.Target, &target); err != nil {
		return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
	}
	u, header, problems := target.check()
	for _, p := range problems {
		if !p.Warning {
			return nil, problems
		}
	}
	post.HideURL(s.Masker, u)
	for _, value := range target.Headers {
		s.Masker.Add(value)
	}
	r := &receiver{client: p.client, masker: s.Masker, url: target.URL, header: header, encode: bytebaseBody}
	if target.Format == formatEvent {
		r.encode = eventBody
	}
	return r, problems
}

// receiver is one endpoint.
type receiver struct {
	client *post.Client
	masker *relay.Masker
	url    string
	header http.Header // of every request; never changed
	encode func(event json.RawMessage, r relay.Rendered) ([]byte, error)
}

// Compose implements [plugin.Destination].
func (r *receiver) Compose(d *plugin.Delivery, made relay.Rendered) (*plugin.Request, error) {
	body := []byte(made.Native)
	if made.Native == nil {
		var err error
		if body, err = r.encode(d.Event, made); err != nil {
			return nil, fmt.Errorf("the event cannot be encoded: %w", err)
		}
	}
	return &plugin.Request{Method: http.MethodPost, URL: r.url, Header: r.header, Body: body}, nil
}

// Send implements [plugin.Destination].
func (r *receiver) Send(ctx context.Context, _ *plugin.Delivery, req *plugin.Request) relay.Report {
	return r.client.Send(ctx, r.masker, req, func(a *post.Answer) relay.Report { return classify(a, time.Now()) })
}
