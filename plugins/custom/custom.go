package custom

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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

// SetEgress implements [plugin.Networked].
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

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
	u, header, keys, problems := target.check()
	for _, p := range problems {
		if !p.Warning {
			return nil, problems
		}
	}
	post.HideURL(s.Masker, u)
	for _, value := range target.Headers {
		s.Masker.Add(value)
	}
	for _, secret := range target.signing() {
		s.Masker.Add(secret, strings.TrimPrefix(secret, secretPrefix))
	}
	return &receiver{client: p.client, masker: s.Masker, url: target.URL, header: header, keys: keys, format: target.Format}, problems
}

// receiver is one endpoint.
type receiver struct {
	client *post.Client
	masker *relay.Masker
	url    string
	header http.Header // of every request; never changed
	keys   [][]byte    // every attempt is signed with each; none: it is not signed
	format string
}

// Compose implements [plugin.Destination].
func (r *receiver) Compose(d *plugin.Delivery, made relay.Rendered) (*plugin.Request, error) {
	body, err := r.body(d, made)
	if err != nil {
		return nil, err
	}
	header := r.header
	if d.TraceParent != "" { // the receiver is one's own, and may go on with the trace
		header = header.Clone()
		header.Set("Traceparent", d.TraceParent)
	}
	return &plugin.Request{Method: http.MethodPost, URL: r.url, Header: header, Body: body}, nil
}

func (r *receiver) body(d *plugin.Delivery, made relay.Rendered) (body []byte, err error) {
	switch {
	case made.Native != nil:
		if r.format == formatCloudEvents {
			err = checkCloudEvent(made.Native)
		}
		return made.Native, err
	case r.format == formatCloudEvents:
		body, err = cloudEventBody(d, made)
	case r.format == formatEvent:
		body, err = eventBody(d.Event, made)
	default:
		body, err = bytebaseBody(d.Event, made)
	}
	if err != nil {
		return nil, fmt.Errorf("the event cannot be encoded: %w", err)
	}
	return body, nil
}

// Send implements [plugin.Destination]. The delivery's id is the webhook's, so
// that a receiver knows a retry again; the signature is of this attempt. There
// is no Idempotency-Key: with one, net/http sends a request twice on its own.
func (r *receiver) Send(ctx context.Context, d *plugin.Delivery, req *plugin.Request) relay.Report {
	masker := r.masker
	if len(r.keys) > 0 {
		var signatures []string
		req, signatures = signed(req, r.keys, d.ID, time.Now())
		masker = masker.With(signatures...)
	}
	return r.client.Send(ctx, masker, req, func(a *post.Answer) relay.Report { return classify(a, time.Now()) })
}
