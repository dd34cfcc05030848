package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Provider sends messages to an ntfy topic.
type Provider struct{ client *post.Client }

func New() *Provider { return &Provider{client: post.New(post.Options{})} }

// SetEgress keeps the provider to where the operator lets it connect.
func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }

func (p *Provider) Describe() plugin.Description {
	return plugin.Description{
		Name: "ntfy", Version: "1.0.0",
		DestinationSchema: json.RawMessage(`{
			"type": "object", "additionalProperties": false, "required": ["url"],
			"properties": {"url": {"type": "string", "format": "relay-url", "writeOnly": true}}
		}`),
		Limits: plugin.Limits{Rate: relay.Rate{Count: 1, Per: time.Second}},
	}
}

// Open makes a destination from settings that passed the schema.
func (p *Provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	t := &topic{client: p.client, masker: s.Masker}
	if err := json.Unmarshal(s.Target, &t.settings); err != nil {
		return nil, []plugin.Problem{{Message: "the settings are no JSON object"}}
	}
	return t, nil
}

type topic struct {
	client   *post.Client
	masker   *relay.Masker
	settings struct{ URL string }
}

// Compose turns what the template made into a request. Nothing is sent.
func (t *topic) Compose(d *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	body := []byte(r.Native) // the template wrote ntfy's own JSON
	if r.Native == nil {
		m := relay.Message{Text: r.Text}
		if r.Portable != nil {
			m = *r.Portable
		}
		var err error
		body, err = post.Encode(map[string]any{
			"title":   markup.Plain(markup.Bytes).Line(m.Title, m.Mentions, 250),
			"message": markup.Plain(markup.Bytes).Markdown(m.Text, m.Mentions, 4096),
			"click":   m.Link,
		})
		if err != nil {
			return nil, err
		}
	}
	return post.JSON(t.settings.URL, body), nil
}

// Send makes the one attempt and says what came of it.
func (t *topic) Send(ctx context.Context, d *plugin.Delivery, r *plugin.Request) relay.Report {
	return t.client.Send(ctx, t.masker, r, func(a *post.Answer) relay.Report { return post.ByStatus(a, time.Now()) })
}

// A whole provider, for the chat system ntfy.
func Example() {
	var p plugin.Provider = New()
	destination, _ := p.Open(plugin.Settings{Target: json.RawMessage(`{"url": "https://ntfy.sh/mytopic"}`), Masker: &relay.Masker{}})
	request, err := destination.Compose(&plugin.Delivery{}, relay.Rendered{Portable: &relay.Message{Title: "Rollout failed", Text: "It was **release 42**."}})
	fmt.Println(string(request.Body), err)
	// Output: {"click":"","message":"It was release 42.","title":"Rollout failed"} <nil>
}

// What an answer of the vendor means. The status alone says much; what the vendor
// promises in its body comes first.
func ExampleProvider_verdict() {
	verdict := func(a *post.Answer) relay.Report {
		report := post.ByStatus(a, time.Now())
		var body struct{ ID, Error string }
		if json.Unmarshal(a.Body, &body) == nil && body.Error != "" {
			report.Error = body.Error
		}
		report.Receipt = body.ID
		return report
	}
	for _, a := range []*post.Answer{
		{Status: 200, Body: []byte(`{"id": "sPs71M8A2T"}`)},
		{Status: 429, Header: map[string][]string{"Retry-After": {"7"}}, Body: []byte(`{"error": "limit reached"}`)},
		{Status: 403},
		{Status: 502},
	} {
		r := verdict(a)
		fmt.Printf("%s receipt=%q wait=%s error=%q\n", r.Verdict, r.Receipt, r.RetryAfter, r.Error)
	}
	// Output:
	// delivered receipt="sPs71M8A2T" wait=0s error=""
	// temporary receipt="" wait=7s error="limit reached"
	// destination_refused receipt="" wait=0s error="status 403 Forbidden"
	// ambiguous receipt="" wait=0s error="status 502 Bad Gateway"
}

// Destinations that use the same robot share its limit: the key of the window
// names what the vendor counts. It is hashed before it leaves the process.
func ExamplePaced() {
	var place plugin.Paced = robot{token: "a-secret-of-one-robot"}
	for _, w := range place.Windows() {
		fmt.Println(w.Rate, "for each token")
	}
	// Output: 20/m for each token
}

type robot struct{ token string }

func (r robot) Windows() []plugin.Window {
	return []plugin.Window{{Key: r.token, Rate: relay.Rate{Count: 20, Per: time.Minute}}}
}
