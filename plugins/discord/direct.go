package discord

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// chatKeep is how long the id of a channel with a person is remembered. It does
// not change; where Discord says that it is wrong it is forgotten at once.
const chatKeep = 24 * time.Hour

// perBot keeps a bot under Discord's 50 requests a second ("Rate Limits", Global
// Rate Limit): the first message to a person takes two.
var perBot = relay.Rate{Count: 25, Per: time.Second}

// direct reaches people by a bot.
type direct struct{ bot *bot }

var (
	_ plugin.DirectProvider = (*Provider)(nil)
	_ plugin.Direct         = (*direct)(nil)
	_ plugin.Paced          = (*direct)(nil)
	_ plugin.Prober         = (*direct)(nil)
)

// OpenDirect implements [plugin.DirectProvider].
func (p *Provider) OpenDirect(s plugin.Settings) (plugin.Direct, []plugin.Problem) {
	b, problems := p.account(s)
	if b == nil {
		return nil, problems
	}
	return &direct{b}, problems
}

// Account implements [plugin.Direct].
func (d *direct) Account() string { return d.bot.name() }

// Windows implements [plugin.Paced]. For a channel with a person Discord
// publishes no numbers; it gets those of other channels.
func (d *direct) Windows() []plugin.Window {
	chat := "chat " + d.bot.name()
	return []plugin.Window{
		{Key: "bot " + d.bot.name(), Rate: perBot},
		{Key: chat, Rate: perWebhook, PerUser: true},
		{Key: chat, Rate: perChannel, PerUser: true},
	}
}

// Resolve implements [plugin.Direct]. A bot sees nobody's email or phone, so
// that Describe lists nothing to match by and relay does not ask.
func (d *direct) Resolve(_ context.Context, _ string, people []relay.Person) []plugin.Match {
	out := make([]plugin.Match, len(people))
	for i := range out {
		out[i] = plugin.Unmatched(time.Hour, "discord finds nobody by email or phone; write the person's id into people or the event's ids.discord")
	}
	return out
}

// Compose implements [plugin.Destination]. In the URL the user stands where
// Send puts the id of the channel with them.
func (d *direct) Compose(to *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	var body []byte
	var err error
	switch {
	case r.Native != nil:
		body, err = botNative(r.Native)
	case r.Portable != nil:
		body, err = portable(r.Portable, look{})
	default:
		body, err = plainText(r.Text, look{})
	}
	if err != nil {
		return nil, err
	}
	body = append(body[:len(body)-1], `,"nonce":"`+nonce(to.ID)+`","enforce_nonce":true}`...) // an object with a key at least
	return d.bot.request(http.MethodPost, messagesIn(to.User), body), nil
}

// messagesIn is the path of the messages in a channel.
func messagesIn(channel string) string { return "/channels/" + channel + "/messages" }

// nonce is a delivery's deduplication key: for some minutes Discord answers a
// second message with the same one with the first message ("Create Message",
// enforce_nonce). It has at most 25 characters.
func nonce(delivery string) string {
	sum := sha256.Sum256([]byte(delivery))
	return base32.StdEncoding.EncodeToString(sum[:])[:25]
}

// nonceFor is how long Discord surely knows a nonce again. Its document says "the
// past few minutes".
const nonceFor = 2 * time.Minute

const noUser = "not the id of a Discord user, which is a number such as 80351110224678912 " +
	"(switch on Developer Mode in Discord, right-click the person, Copy User ID)"

// Send implements [plugin.Destination].
func (d *direct) Send(ctx context.Context, to *plugin.Delivery, r *plugin.Request) relay.Report {
	if !snowflake.MatchString(to.User) {
		return relay.Report{Verdict: relay.Unmatched, Error: noUser}
	}
	calls := d.bot.client.Calls(d.bot.masker)
	chat, remembered := d.bot.chats.Get(to.User)
	for {
		if !remembered {
			var failed relay.Report
			if chat, failed = d.bot.open(ctx, calls, to.User); chat == "" {
				return calls.Report(failed)
			}
		}
		_, code, report := d.bot.do(ctx, calls, createMessage, d.bot.request(http.MethodPost, messagesIn(chat), r.Body))
		report.DedupFor = nonceFor
		if code != unknownChannel && code != missingAccess {
			return calls.Report(report)
		}
		d.bot.chats.Drop(to.User)
		if !remembered {
			return calls.Report(report)
		}
		remembered = false
	}
}

// Probe implements [plugin.Prober]: Discord says who the token belongs to. It
// does not say whom the bot can reach.
func (d *direct) Probe(ctx context.Context) []plugin.Problem {
	problem := func(message string, warning bool) []plugin.Problem {
		return []plugin.Problem{{Provider: true, Pointer: "/bot_token", Message: d.bot.masker.Mask(message), Warning: warning}}
	}
	calls := d.bot.client.Calls(d.bot.masker)
	_, _, report := d.bot.do(ctx, calls, "Get Current User", d.bot.request(http.MethodGet, "/users/@me", nil))
	switch report.Verdict {
	case relay.Delivered:
		return nil
	case relay.Temporary:
		return problem("the token could not be tried: "+report.Error, true)
	}
	return problem(report.Error, false)
}
