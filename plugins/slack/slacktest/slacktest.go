// Package slacktest stands in for Slack: an incoming webhook, and as much of the
// Web API as direct messages and a bot's messages to a channel take. It answers
// as docs.slack.dev says, errors with status 200 included.
package slacktest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// The steps of a direct message, and the calls beside it.
const (
	Lookup  = "users.lookupByEmail"
	Open    = "conversations.open"
	Post    = "chat.postMessage"
	Auth    = "auth.test"
	Webhook = "webhook"
)

// Token is the bot's; Secret is the secret part of the webhook's URL; ChannelID
// and ChannelName are the one channel that the bot is in.
const (
	Token       = "xoxb-100000000001-100000000002-standinstandinstandinsta"
	Secret      = "StandInStandInStandInSta"
	ChannelID   = "C0STANDIN"
	ChannelName = "#stand-in"
)

// Vendor is Slack with one workspace, in which there is nobody but whom it was
// told to know. Its methods may be called concurrently.
type Vendor struct {
	*plugintest.Vendor

	mu     sync.Mutex // guards the fields below
	scopes []string
	opened map[string]bool // users whom the bot has a chat with
}

var _ plugintest.DirectVendor = (*Vendor)(nil)

// New starts a stand-in that ends with its test.
func New(t testing.TB) *Vendor {
	v := &Vendor{
		Vendor: plugintest.NewVendor(t), opened: map[string]bool{},
		scopes: []string{"users:read", "users:read.email", "im:write", "chat:write"},
	}
	v.Handle(Lookup, "/api/users.lookupByEmail", v.api("users:read.email", v.lookup))
	v.Handle(Open, "/api/conversations.open", v.api("im:write", v.open))
	v.Handle(Post, "/api/chat.postMessage", v.api("chat:write", v.post))
	v.Handle(Auth, "/api/auth.test", v.api("", func(object, []byte) string {
		return `{"ok":true,"url":"https://stand-in.slack.com/","team":"stand-in","user":"relay","team_id":"T0STANDIN","user_id":"U0RELAY","bot_id":"B0RELAY"}`
	}))
	v.Handle(Webhook, "/services/T0STANDIN/B0STANDIN/"+Secret, v.webhook)
	return v
}

// Entry implements [plugintest.DirectVendor].
func (v *Vendor) Entry() string {
	return fmt.Sprintf("{bot_token: %q, api_base: %q}", Token, v.URL+"/api")
}

// Target implements [plugintest.DirectVendor].
func (v *Vendor) Target() string { return fmt.Sprintf("{url: %q}", v.WebhookURL()) }

// WebhookURL is the URL of the channel's incoming webhook.
func (v *Vendor) WebhookURL() string { return v.URL + "/services/T0STANDIN/B0STANDIN/" + Secret }

// Steps implements [plugintest.DirectVendor].
func (v *Vendor) Steps() []string { return []string{Lookup, Open, Post} }

// Throttle implements [plugintest.DirectVendor].
func (v *Vendor) Throttle(step string, times int) {
	v.Fail(step, "", times, plugintest.Answer(http.StatusTooManyRequests, `{"ok":false,"error":"ratelimited"}`, "Retry-After", "1"))
}

// Break implements [plugintest.DirectVendor].
func (v *Vendor) Break(step, match string, times int) {
	v.Fail(step, match, times, plugintest.Answer(http.StatusOK, `{"ok":false,"error":"service_unavailable"}`))
}

// Grant sets the scopes that the bot's token has.
func (v *Vendor) Grant(scopes ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.scopes = scopes
}

// Forget closes all chats: their ids mean nothing until they are opened again.
func (v *Vendor) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opened = map[string]bool{}
}
