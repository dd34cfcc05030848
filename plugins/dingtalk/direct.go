package dingtalk

import (
	"context"
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

// directRate is what one app may call one interface ("How to process API
// throttling"): the standard edition's number, of which paid ones have more.
func directRate() relay.Rate { return relay.Rate{Count: 20, Per: time.Second} }

// OpenDirect implements [plugin.DirectProvider].
func (p *Provider) OpenDirect(s plugin.Settings) (plugin.Direct, []plugin.Problem) {
	a, problems := readApp(s.Provider)
	if len(problems) > 0 {
		return nil, problems
	}
	s.Masker.Add(a.ClientSecret)
	d := &direct{client: p.client, masker: s.Masker, app: a}
	d.token = p.tokens.Get(d.credentials(), func() *post.Token { return post.NewToken(tokenMargin, a.fetch) })
	return d, nil
}

// direct messages people through an app's robot.
type direct struct {
	client *post.Client
	masker *relay.Masker
	app    app
	token  *post.Token // shared by all destinations with these credentials
}

// credentials name the app and what proves it.
func (d *direct) credentials() string {
	return d.app.APIBase + " " + d.app.ClientID + " " + d.app.ClientSecret
}

// Account implements [plugin.Direct]. An app may have several robots.
func (d *direct) Account() string {
	return "dingtalk app " + d.credentials() + " " + d.app.OAPIBase + " " + d.app.RobotCode
}

// Windows implements [plugin.Paced].
func (d *direct) Windows() []plugin.Window {
	return []plugin.Window{{Key: "dingtalk app " + d.app.APIBase + " " + d.app.ClientID, Rate: directRate()}}
}

// Probe implements [plugin.Prober]: a new token proves the credentials. What
// the app is permitted only the calls themselves tell.
func (d *direct) Probe(ctx context.Context) []plugin.Problem {
	calls := d.client.Calls(d.masker)
	_, _, failed := d.app.fetch(ctx, calls)
	if failed == nil {
		return nil
	}
	r := calls.Report(*failed)
	return []plugin.Problem{{Provider: true, Pointer: "/client_id", Message: r.Error, Warning: r.Verdict == relay.Temporary}}
}

// oneToOne is a robot's message to one person ("Chatbots send one-on-one chat
// messages in batches"; one by one, so that a retry is for one of them only).
type oneToOne struct {
	RobotCode string   `json:"robotCode"`
	UserIDs   []string `json:"userIds"`
	Key       string   `json:"msgKey"`
	Param     string   `json:"msgParam"` // JSON
}

// Compose implements [plugin.Destination]. The token comes with [direct.Send].
func (d *direct) Compose(delivery *plugin.Delivery, made relay.Rendered) (*plugin.Request, error) {
	key, param, err := composeParam(made)
	if err != nil {
		return nil, err
	}
	m := oneToOne{RobotCode: d.app.RobotCode, UserIDs: []string{}, Key: key, Param: string(param)}
	if delivery.User != "" {
		m.UserIDs = append(m.UserIDs, delivery.User)
	}
	body, err := post.Encode(m)
	if err != nil {
		return nil, err
	}
	return post.JSON(d.app.APIBase+"/v1.0/robot/oToMessages/batchSend", body), nil
}

const (
	stepSend    = "robot/oToMessages/batchSend"
	tokenHeader = "X-Acs-Dingtalk-Access-Token"
)

// Send implements [plugin.Destination]. DingTalk takes no deduplication key
// with a direct message, so that an answer that was lost is ambiguous.
func (d *direct) Send(ctx context.Context, delivery *plugin.Delivery, req *plugin.Request) relay.Report {
	if !goodUserID(delivery.User) {
		return relay.Report{Verdict: relay.Unmatched,
			Error: "not a userid of DingTalk; copy the person's from the admin console (Contacts) to ids.dingtalk"}
	}
	calls := d.client.Calls(d.masker)
	return calls.Report(d.token.Use(ctx, calls, func(token string) (relay.Report, bool) {
		with := *req
		with.Header = req.Header.Clone()
		with.Header.Set(tokenHeader, token)
		answer, err := calls.Do(ctx, stepSend, &with)
		if err != nil {
			return post.Failed(err), false
		}
		return judgeSent(answer, delivery.Attempt, time.Now())
	}))
}
