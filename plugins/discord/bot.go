package discord

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The calls of a bot, by the names that Discord's documentation has for them.
const (
	createDM      = "Create DM"
	createMessage = "Create Message"
)

// bot is one bot, by its token.
type bot struct {
	client *post.Client
	global *gate
	masker *relay.Masker
	base   string
	token  string
	chats  *plugin.Memory[string] // user → the id of the bot's channel with them
}

// name tells accounts apart. It holds the token.
func (b *bot) name() string { return b.base + " " + b.token }

// request is a call under the base URL, with the bot's token.
func (b *bot) request(method, path string, body []byte) *plugin.Request {
	return &plugin.Request{
		Method: method,
		URL:    b.base + path,
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bot " + b.token}},
		Body:   body,
	}
}

// do makes a call of the attempt, unless Discord wants nothing at all now. code
// is Discord's for a failure, id that of what the call made.
func (b *bot) do(ctx context.Context, calls *post.Calls, name string, r *plugin.Request) (id string, code int, report relay.Report) {
	if wait := b.global.wait(time.Now()); wait > 0 {
		return "", 0, relay.Report{Verdict: relay.Temporary, RetryAfter: wait, Error: gateClosed}
	}
	a, err := calls.Do(ctx, name, r)
	switch {
	case err != nil && name == createMessage:
		return "", 0, post.Failed(err)
	case err != nil:
		return "", 0, post.Harmless(err)
	}
	now := time.Now()
	report, code, global := classifyBot(a, name, now)
	if global {
		b.global.close(now.Add(report.RetryAfter))
	}
	return report.Receipt, code, report
}

// open is the id of the bot's channel with a user: a new one, or the one that
// is there ("Create DM"). Asked again it answers the same, and nobody notices.
func (b *bot) open(ctx context.Context, calls *post.Calls, user string) (chat string, failed relay.Report) {
	body, err := json.Marshal(map[string]string{"recipient_id": user})
	if err != nil {
		return "", relay.Report{Verdict: relay.RecipientRefused, Error: err.Error()}
	}
	chat, _, report := b.do(ctx, calls, createDM, b.request(http.MethodPost, "/users/@me/channels", body))
	switch {
	case report.Verdict != relay.Delivered:
		return "", report
	case !snowflake.MatchString(chat): // it becomes a part of a URL
		return "", relay.Report{Verdict: relay.Temporary, Error: "discord opened a channel without telling its id"}
	}
	b.chats.Put(user, chat, chatKeep)
	return chat, relay.Report{}
}
