package wecom

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

// direct is a self-built app as one destination uses it.
type direct struct {
	app    *app
	masker *relay.Masker
}

var (
	_ plugin.Direct = (*direct)(nil)
	_ plugin.Paced  = (*direct)(nil)
	_ plugin.Prober = (*direct)(nil)
)

// OpenDirect implements [plugin.DirectProvider].
func (p *Provider) OpenDirect(s plugin.Settings) (plugin.Direct, []plugin.Problem) {
	a, problems := readAccount(s.Provider)
	if a == nil {
		return nil, problems
	}
	shared := p.apps.Get(a.key(), func() *app { return newApp(p.client, a) })
	return &direct{app: shared, masker: s.Masker}, problems
}

// Account implements [plugin.Direct].
func (d *direct) Account() string { return d.app.key() }

// Windows implements [plugin.Paced]: what a member gets beyond these numbers
// WeCom drops without a word, with errcode 0 (90236).
func (d *direct) Windows() []plugin.Window {
	key := fmt.Sprintf("wecom app %s %s %d", d.app.APIBase, d.app.CorpID, d.app.AgentID)
	return []plugin.Window{
		{Key: key, Rate: relay.Rate{Count: 30, Per: time.Minute}, PerUser: true},
		{Key: key, Rate: relay.Rate{Count: 1000, Per: time.Hour}, PerUser: true},
	}
}

const sendCall = "message/send"

// Compose implements [plugin.Destination]. The URL lacks the token.
func (d *direct) Compose(delivery *plugin.Delivery, made relay.Rendered) (*plugin.Request, error) {
	body, err := d.app.compose(delivery.User, markOf(delivery.ID), made)
	if err != nil {
		return nil, err
	}
	return post.JSON(d.app.APIBase+"/cgi-bin/"+sendCall, body), nil
}

// Send implements [plugin.Destination].
func (d *direct) Send(ctx context.Context, delivery *plugin.Delivery, r *plugin.Request) relay.Report {
	if !goodUserID(delivery.User) {
		return relay.Report{Verdict: relay.Unmatched, Error: fmt.Sprintf(
			"%q is not a member's userid (账号); set ids.wecom, or wecom in people, to the one that the admin console shows", post.Cut(delivery.User, 100))}
	}
	calls := d.app.client.Calls(d.masker)
	report := d.app.withToken(ctx, calls, sendCall, r.Body, func(got reply, err error) relay.Report {
		if err != nil {
			return post.Failed(err)
		}
		return got.sent(delivery.Attempt, r.Body, time.Now())
	})
	if checksDuplicates(r.Body) {
		report.DedupFor = duplicateInterval * time.Second
	}
	return calls.Report(report)
}

// sent is what the answer to message/send means for its one recipient.
func (r reply) sent(attempt int, body []byte, now time.Time) relay.Report {
	switch {
	case r.ok && r.InvalidUser != "":
		return relay.Report{Verdict: relay.RecipientRefused,
			Error: "wecom did not send it: the member does not exist or is outside the app's visible range (invaliduser)"}
	case r.ok && r.Unlicensed != "":
		return relay.Report{Verdict: relay.RecipientRefused, Error: "wecom did not send it: the member has no licence for the app (unlicenseduser)"}
	case r.ok:
		return relay.Report{Verdict: relay.Delivered, Receipt: r.MsgID}
	}
	out := r.refusal(attempt, now)
	if bare := !r.coded || r.code == 0; bare && r.answer.Status >= http.StatusInternalServerError {
		// Whether it was sent is not known; sent again it is the same message.
		if out.Verdict = relay.Ambiguous; checksDuplicates(body) {
			out.Verdict = relay.Temporary
		}
	}
	return out
}

func checksDuplicates(body []byte) bool {
	var m struct {
		Check int `json:"enable_duplicate_check"`
	}
	return json.Unmarshal(body, &m) == nil && m.Check == 1
}

// Probe implements [plugin.Prober]: it asks for a token. What the app may do
// only its first look-up and message show.
func (d *direct) Probe(ctx context.Context) []plugin.Problem {
	calls := d.app.client.Calls(d.masker)
	got, failed := d.app.getToken(ctx, calls)
	if failed == nil {
		return nil
	}
	pointer := "/secret"
	if got.code == codeBadCorp {
		pointer = "/corp_id"
	}
	r := calls.Report(*failed)
	return []plugin.Problem{{Provider: true, Pointer: pointer, Message: r.Error, Warning: r.Verdict != relay.DestinationRefused}}
}
