package teams

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

var (
	_ plugin.Direct = (*bot)(nil)
	_ plugin.Paced  = (*bot)(nil)
	_ plugin.Prober = (*bot)(nil)
	_ plugin.Direct = (*directFlow)(nil)
	_ plugin.Paced  = (*directFlow)(nil)
)

// OpenDirect implements [plugin.DirectProvider]. A destination's flow for
// direct messages wins over the bot: who sets it for one destination has a
// reason, and the bot may be there for others.
func (p *Provider) OpenDirect(s plugin.Settings) (plugin.Direct, []plugin.Problem) {
	var target settings
	var c credentials
	for _, part := range []struct {
		raw  json.RawMessage
		into any
	}{{s.Target, &target}, {s.Provider, &c}} {
		if len(part.raw) == 0 {
			continue
		}
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return nil, []plugin.Problem{{Message: "the settings cannot be read: " + err.Error()}}
		}
	}
	problems := c.check()
	if target.DirectMessageURL != "" {
		problems = slices.DeleteFunc(problems, func(p plugin.Problem) bool { return p.Warning }) // no bot is needed
		u, more := checkURL("direct_message_url", target.DirectMessageURL)
		if u == nil || len(problems) > 0 {
			return nil, append(problems, more...)
		}
		return &directFlow{p.flow(u, s)}, more
	}
	if len(problems) > 0 {
		return nil, problems
	}
	key := c.key()
	return &bot{credentials: c, client: p.client, masker: s.Masker, account: p.accounts.Get(key, func() *account {
		return &account{
			key:   key,
			graph: post.NewToken(tokenMargin, c.login(c.graphScope())),
			bot:   post.NewToken(tokenMargin, c.login(c.botScope())),
		}
	})}, nil
}

// account is what all destinations with the same credentials share.
type account struct {
	key        string
	graph, bot *post.Token
	app        plugin.Memory[string] // the catalog's id of the app, under its manifest's
	chats      plugin.Memory[string] // the id of a person's chat with the bot, under the person's
}

// bot reaches people through an Entra app that has a bot: Graph knows the
// people, installs the app for them, which opens a chat with each, and the Bot
// Framework's connector takes the messages.
type bot struct {
	credentials
	client  *post.Client
	masker  *relay.Masker
	account *account
}

// Account implements [plugin.Direct].
func (b *bot) Account() string { return b.account.key }

// Windows implements [plugin.Paced]: what a bot may send to one conversation,
// and to all of a tenant ("Optimize your bot with rate limiting in Teams").
func (b *bot) Windows() []plugin.Window {
	windows := []plugin.Window{{Key: b.account.key, Rate: relay.Rate{Count: 50, Per: time.Second}}}
	for _, r := range []relay.Rate{{Count: 7, Per: time.Second}, {Count: 8, Per: 2 * time.Second}, {Count: 60, Per: 30 * time.Second}, {Count: 1800, Per: time.Hour}} {
		windows = append(windows, plugin.Window{Key: b.account.key, Rate: r, PerUser: true})
	}
	return windows
}

// Compose implements [plugin.Destination]. Which chat it is, Send finds out.
func (b *bot) Compose(_ *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	body, err := activity(r)
	if err != nil {
		return nil, err
	}
	return post.JSON(b.activities("{chat}"), body), nil
}

// Send implements [plugin.Destination]. Teams knows no deduplication key: an
// activity that is sent again after an answer that was lost appears twice.
func (b *bot) Send(ctx context.Context, d *plugin.Delivery, r *plugin.Request) relay.Report {
	calls := b.client.Calls(b.masker)
	return calls.Report(b.send(ctx, calls, d, r.Body))
}

// keepChat is long, since the chat of a person with a bot is always the same.
const keepChat = 90 * 24 * time.Hour

func (b *bot) send(ctx context.Context, calls *post.Calls, d *plugin.Delivery, body []byte) relay.Report {
	if _, isEmail := email(d.User); !isEmail && !objectID.MatchString(d.User) {
		return relay.Report{Verdict: relay.Unmatched, Error: "ids.teams is neither an Entra object id (a GUID) nor a user principal name; set it to one of them"}
	}
	person := strings.ToLower(strings.TrimSpace(d.User))
	chat, known := b.account.chats.Get(person)
	install := false
	for again := false; ; again = true {
		if !known {
			var failed *relay.Report
			if chat, failed = b.chat(ctx, calls, person, install, d.Attempt); failed != nil {
				return *failed
			}
			b.account.chats.Put(person, chat, keepChat)
		}
		r, code := b.say(ctx, calls, chat, body)
		if r.Verdict != relay.RecipientRefused {
			return r
		}
		// Nothing was shown. The chat may have been opened anew meanwhile, and
		// the app may have been taken away from the person: once it is put right.
		b.account.chats.Drop(person)
		install = code == notInstalled || code == notInRoster
		if again || !install && !(known && code == noConversation) {
			return r
		}
		known = false
	}
}

// Probe implements [plugin.Prober]: signs in for both tokens, since those that
// are there outlive their secret, and looks for the app in the catalog.
func (b *bot) Probe(ctx context.Context) []plugin.Problem {
	calls := b.client.Calls(b.masker)
	var problems []plugin.Problem
	problem := func(key string, failed *relay.Report) {
		if failed != nil {
			problems = append(problems, plugin.Problem{
				Provider: true, Pointer: "/" + key, Message: calls.Masker().Mask(failed.Error), Warning: failed.Verdict == relay.Temporary,
			})
		}
	}
	for _, scope := range []string{b.graphScope(), b.botScope()} {
		token, _, failed := b.login(scope)(ctx, calls)
		calls.Hide(token)
		if problem("client_secret", failed); failed != nil {
			return problems
		}
	}
	b.account.app.Drop(b.AppID) // what was true an hour ago is not the question
	_, failed := b.catalogApp(ctx, calls)
	problem("app_id", failed)
	return problems
}
