package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/post"
)

const version = "1.0.0"

// Limits of ntfy: https://docs.ntfy.sh/publish/#limitations.
const (
	maxTitle   = 1024 // bytes; the documentation names none, and phones show far less
	maxMessage = 4096 // bytes; a longer one would become an attachment
	maxActions = 3
)

// account is what an entry of `providers` says.
type account struct {
	Server string `json:"server,omitempty" jsonschema:"format=relay-url,default=https://ntfy.sh,description=The ntfy server; default: https://ntfy.sh."`
	Token  string `json:"token,omitempty" jsonschema:"minLength=1,writeOnly=true,description=An access token; public topics need none."`
}

// target is what a destination says.
type target struct {
	Topic    string   `json:"topic" jsonschema:"pattern=^[-_A-Za-z0-9]{1\\,64}$,description=The topic."`
	Priority int      `json:"priority,omitempty" jsonschema:"minimum=1,maximum=5,description=From 1 (none) to 5 (urgent); default: by the message's level."`
	Tags     []string `json:"tags,omitempty" jsonschema:"maxItems=10,description=Tags; names of emojis become emojis."`
}

type provider struct{ client *post.Client }

func (p *provider) Describe() plugin.Description {
	return plugin.Description{
		Name: "ntfy", Version: version,
		ProviderSchema:    plugin.SchemaOf(account{}),
		DestinationSchema: plugin.SchemaOf(target{}),
		Limits:            plugin.Limits{Rate: relay.Rate{Count: 12, Per: time.Minute}},
	}
}

func (p *provider) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	t := &topic{client: p.client, masker: s.Masker}
	if problems := s.Decode(&t.account, &t.target); problems != nil {
		return nil, problems
	}
	if t.account.Server == "" {
		t.account.Server = "https://ntfy.sh"
	}
	if t.account.Token != "" && !strings.HasPrefix(t.account.Token, "tk_") {
		return nil, []plugin.Problem{{Provider: true, Pointer: "/token", Message: "an access token begins with tk_; make one in the web app under Account"}}
	}
	return t, nil
}

// topic is one destination.
type topic struct {
	client  *post.Client
	masker  *relay.Masker
	account account
	target  target
}

// Windows: a server counts what comes from one visitor, whatever the topic. It
// takes a burst of 60 requests and gives one back every 5 s.
func (t *topic) Windows() []plugin.Window {
	return []plugin.Window{{Key: t.account.Server + " " + t.account.Token, Rate: relay.Rate{Count: 12, Per: time.Minute}}}
}

// message is the body of ntfy's API for publishing as JSON.
type message struct {
	Topic    string   `json:"topic"`
	Title    string   `json:"title,omitempty"`
	Message  string   `json:"message,omitempty"`
	Priority int      `json:"priority,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Click    string   `json:"click,omitempty"`
	Icon     string   `json:"icon,omitempty"`
	Attach   string   `json:"attach,omitempty"`
	Actions  []action `json:"actions,omitempty"`
	// A message with the sequence id of an earlier one takes its place: a retry
	// of what had arrived after all shows once.
	SequenceID string `json:"sequence_id"`
}

type action struct {
	Action string `json:"action"`
	Label  string `json:"label"`
	URL    string `json:"url"`
}

func (t *topic) Compose(d *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	m := message{Topic: t.target.Topic, Priority: t.target.Priority, Tags: t.target.Tags}
	switch {
	case r.Native != nil: // the template wrote ntfy's own JSON; where it goes is ours
		if err := json.Unmarshal(r.Native, &m); err != nil {
			return nil, fmt.Errorf("the template's object is no message of ntfy: %w", err)
		}
		m.Topic = t.target.Topic
	case r.Portable != nil:
		portable(&m, r.Portable)
	default:
		m.Message = markup.Plain(markup.Bytes).Line(r.Text, nil, maxMessage)
	}
	m.SequenceID = d.ID
	body, err := post.Encode(m)
	if err != nil {
		return nil, err
	}
	request := post.JSON(t.account.Server, body)
	if t.account.Token != "" {
		request.Header.Set("Authorization", "Bearer "+t.account.Token)
	}
	return request, nil
}

// portable says a portable message in ntfy's words.
func portable(m *message, p *relay.Message) {
	plain := markup.Plain(markup.Bytes)
	m.Title = plain.Line(p.Title, p.Mentions, maxTitle)
	text := p.Text
	for _, f := range p.Fields {
		text += "\n\n" + f.Name + ": " + f.Value
	}
	if p.Footer != "" {
		text += "\n\n" + p.Footer
	}
	m.Message = plain.Markdown(text, p.Mentions, maxMessage)
	m.Click = p.Link
	if m.Priority == 0 {
		m.Priority = map[relay.Level]int{"warn": 4, "error": 5}[p.Level] // 0: ntfy's default
	}
	if p.Image != nil {
		m.Attach = p.Image.URL
	}
	for _, a := range p.Actions[:min(len(p.Actions), maxActions)] {
		m.Actions = append(m.Actions, action{"view", plain.Line(a.Text, p.Mentions, 100), a.URL})
	}
}

func (t *topic) Send(ctx context.Context, _ *plugin.Delivery, r *plugin.Request) relay.Report {
	return t.client.Send(ctx, t.masker, r, verdict)
}

// verdict is what an answer of ntfy means.
func verdict(a *post.Answer) relay.Report {
	var answer struct {
		ID    string `json:"id"`
		Error string `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &answer) // what is no JSON is told by its status
	report := post.ByStatus(a, time.Now())
	if answer.Error != "" {
		report.Error = answer.Error
	}
	switch a.Status {
	case http.StatusOK:
		report.Receipt = answer.ID
	case http.StatusRequestEntityTooLarge:
		report.Verdict = relay.MessageRefused
	}
	return report
}
