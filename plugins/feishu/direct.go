package feishu

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

var (
	_ plugin.DirectProvider = (*Provider)(nil)
	_ plugin.Direct         = (*direct)(nil)
	_ plugin.Paced          = (*direct)(nil)
	_ plugin.Prober         = (*direct)(nil)
)

// The limits of an app's messages (im/v1 messages, create), of which the last
// is for each user.
var (
	appPerMinute  = relay.Rate{Count: 1000, Per: time.Minute}
	appPerSecond  = relay.Rate{Count: 50, Per: time.Second}
	userPerSecond = relay.Rate{Count: 5, Per: time.Second}
)

// OpenDirect implements [plugin.DirectProvider].
func (p *Provider) OpenDirect(s plugin.Settings) (plugin.Direct, []plugin.Problem) {
	app, fault := readEntry(s.Provider)
	if fault != nil {
		return nil, []plugin.Problem{*fault}
	}
	if problems := app.checkApp(); len(problems) > 0 {
		return nil, problems
	}
	s.Masker.Add(app.AppSecret)
	people := directory{lark: app.Domain == domainLark}
	d := &direct{client: p.client, masker: s.Masker, app: app, writer: writer{quoted: true, people: people, markdown: markdown(people)}}
	d.token = p.tokens.Get(d.Account(), func() *post.Token { return post.NewToken(tokenMargin, app.fetch) })
	return d, nil
}

// direct messages people through an app's bot.
type direct struct {
	writer
	client *post.Client
	masker *relay.Masker
	app    entrySettings
	token  *post.Token // shared by all destinations of this account
}

// name is the app, whatever its secret.
func (d *direct) name() string { return d.app.base() + " " + d.app.AppID }

// Account implements [plugin.Direct].
func (d *direct) Account() string { return "feishu app " + d.name() + " " + d.app.AppSecret }

// Windows implements [plugin.Paced].
func (d *direct) Windows() []plugin.Window {
	return []plugin.Window{
		{Key: "feishu app " + d.name(), Rate: appPerMinute},
		{Key: "feishu app " + d.name(), Rate: appPerSecond},
		{Key: "feishu app " + d.name() + " to a user", Rate: userPerSecond, PerUser: true},
	}
}

// Probe implements [plugin.Prober]: a new token proves the credentials. What
// the app is granted only the calls themselves tell.
func (d *direct) Probe(ctx context.Context) []plugin.Problem {
	calls := d.client.Calls(d.masker)
	_, _, failed := d.app.fetch(ctx, calls)
	if failed == nil {
		return nil
	}
	r := calls.Report(*failed)
	return []plugin.Problem{{Provider: true, Pointer: "/app_id", Message: r.Error, Warning: r.Verdict == relay.Temporary}}
}

// oneToOne is a message of an app's bot. What a custom bot takes as an object
// is a string here.
type oneToOne struct {
	Receiver string `json:"receive_id"`
	MsgType  string `json:"msg_type"`
	Content  string `json:"content"`        // JSON
	UUID     string `json:"uuid,omitempty"` // within uuidFor, one message at most comes of all with the same
}

// uuidFor is how long Feishu knows a uuid again ("Send message", uuid).
const uuidFor = time.Hour

// Compose implements [plugin.Destination]. The token comes with [direct.Send].
func (d *direct) Compose(delivery *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	m := oneToOne{Receiver: delivery.User, UUID: delivery.ID}
	content, err := d.content(&m, r)
	if err != nil {
		return nil, err
	}
	m.Content = string(content)
	body, err := post.Encode(m)
	if err != nil {
		return nil, err
	}
	if limit := maxDirect(m.MsgType); len(body) > limit {
		return nil, fmt.Errorf("the message has %d bytes; feishu allows %d", len(body), limit)
	}
	kind, ok := receiverType(delivery.User)
	if !ok { // Send refuses it
		kind = "open_id"
	}
	return post.JSON(d.app.base()+"/open-apis/im/v1/messages?receive_id_type="+kind, body), nil
}

// content is the content of a message, whose type it sets. What relay makes
// itself is as long as it may be in a group.
func (d *direct) content(m *oneToOne, r relay.Rendered) ([]byte, error) {
	if r.Native != nil {
		kind, raw, err := nativeContent(r.Native)
		m.MsgType = kind
		return raw, err
	}
	if m.MsgType = "text"; r.Portable != nil {
		m.MsgType = "interactive"
	}
	frame, err := post.Encode(m)
	if err != nil {
		return nil, err
	}
	room := maxBody - len(frame)
	if r.Portable != nil {
		return d.card(r.Portable, room)
	}
	var c content
	if c.Text, err = d.text(r.Text, room-d.size(c)); err != nil {
		return nil, err
	}
	return post.Encode(c)
}

// receiverType says which of the vendor's ids of people this is: an open_id of
// this app, a union_id of all apps of a publisher, or else a user_id of the
// organization.
func receiverType(id string) (kind string, ok bool) {
	switch {
	case strings.HasPrefix(id, "on_"):
		return "union_id", plainID(id)
	case strings.HasPrefix(id, "ou_"):
		return "open_id", plainID(id)
	}
	return "user_id", userID(id)
}

const stepSend = "im/v1/messages"

// Send implements [plugin.Destination]. Mentions of whom the vendor does not
// know, which make it refuse the whole message, become names at once.
func (d *direct) Send(ctx context.Context, delivery *plugin.Delivery, r *plugin.Request) relay.Report {
	if _, ok := receiverType(delivery.User); !ok {
		return relay.Report{Verdict: relay.Unmatched,
			Error: "not an id of a user; write an open_id of this app (ou_…), a union_id (on_…) or a user_id under the provider's name in ids"}
	}
	calls := d.client.Calls(d.masker)
	report, answer := d.attempt(ctx, calls, delivery, r)
	if answer.unknownPerson() {
		if named, changed := d.withNames(r, delivery.Event); changed {
			report, _ = d.attempt(ctx, calls, delivery, named)
		}
	}
	report.DedupFor = uuidFor
	return calls.Report(report)
}

// attempt sends once, or twice where the first token is not taken.
func (d *direct) attempt(ctx context.Context, calls *post.Calls, delivery *plugin.Delivery, r *plugin.Request) (relay.Report, reply) {
	var answer reply
	report := d.token.Use(ctx, calls, func(token string) (relay.Report, bool) {
		with := *r
		with.Header = r.Header.Clone()
		got, err := calls.Do(ctx, stepSend, post.Bearer(&with, token))
		if err != nil {
			answer = reply{}
			return post.Failed(err), false
		}
		var report relay.Report
		var stale bool
		report, answer, stale = judgeSent(got, delivery.Attempt, time.Now())
		return report, stale
	})
	return report, answer
}

// withNames is a message without mentions.
func (d *direct) withNames(r *plugin.Request, event json.RawMessage) (*plugin.Request, bool) {
	var m oneToOne
	if json.Unmarshal(r.Body, &m) != nil {
		return nil, false
	}
	content, changed := d.withoutMentions([]byte(m.Content), event)
	m.Content = string(content)
	body, err := post.Encode(m)
	if !changed || err != nil || len(body) > maxDirect(m.MsgType) {
		return nil, false
	}
	named := *r
	named.Body = body
	return &named, true
}
