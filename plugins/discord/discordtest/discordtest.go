// Package discordtest stands in for Discord: a channel's webhook, and as much of
// the API as a bot's direct messages take. It answers as Discord's documentation
// says.
package discordtest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// The steps of a direct message, and the calls beside it.
const (
	CreateDM      = "Create DM"
	CreateMessage = "Create Message"
	CurrentUser   = "Get Current User"
	Webhook       = "Execute Webhook"
)

// Token is the bot's; Secret is the token in the webhook's URL.
const (
	Token  = "MTMwMDAwMDAwMDAwMDAwMDAwMA.StandI.nStandInStandInStandInStandInStandInSt"
	Secret = "StandInWebhookTokenStandInWebhookToken"
)

const hookID = "1300000000000000000"

// Vendor is Discord with one bot, which shares a server with nobody but whom it
// was told to know. Its methods may be called concurrently.
type Vendor struct {
	*plugintest.Vendor

	mu     sync.Mutex        // guards the fields below
	opened map[string]bool   // users whom the bot has a channel with
	nonces map[string]string // enforced nonce → id of the message
	last   int               // of the ids of messages
}

var _ plugintest.DirectVendor = (*Vendor)(nil)

// New starts a stand-in that ends with its test.
func New(t testing.TB) *Vendor {
	v := &Vendor{Vendor: plugintest.NewVendor(t), opened: map[string]bool{}, nonces: map[string]string{}}
	v.Handle(CreateDM, "/api/v10/users/@me/channels", v.bot(http.MethodPost, v.createDM))
	v.Handle(CreateMessage, "/api/v10/channels/{channel}/messages", v.bot(http.MethodPost, v.createMessage))
	v.Handle(CurrentUser, "/api/v10/users/@me", v.bot(http.MethodGet, func(*http.Request, []byte) (int, any) {
		return http.StatusOK, map[string]any{"id": hookID, "username": "relay", "bot": true}
	}))
	v.Handle(Webhook, "/api/v10/webhooks/"+hookID+"/"+Secret, v.webhook)
	return v
}

// Entry implements [plugintest.DirectVendor].
func (v *Vendor) Entry() string {
	return fmt.Sprintf("{bot_token: %q, api_base: %q}", Token, v.URL+"/api/v10")
}

// Target implements [plugintest.DirectVendor].
func (v *Vendor) Target() string { return fmt.Sprintf("{url: %q}", v.WebhookURL()) }

// WebhookURL is the URL of the channel's webhook, as Discord shows it.
func (v *Vendor) WebhookURL() string { return v.URL + "/api/webhooks/" + hookID + "/" + Secret }

// Steps implements [plugintest.DirectVendor].
func (v *Vendor) Steps() []string { return []string{CreateDM, CreateMessage} }

// Throttle implements [plugintest.DirectVendor].
func (v *Vendor) Throttle(step string, times int) {
	v.Fail(step, "", times, plugintest.Answer(http.StatusTooManyRequests,
		`{"message":"You are being rate limited.","retry_after":1.0,"global":false}`, "Retry-After", "1", "X-RateLimit-Scope", "user"))
}

// Break implements [plugintest.DirectVendor].
func (v *Vendor) Break(step, match string, times int) {
	v.Fail(step, match, times, plugintest.Answer(http.StatusServiceUnavailable,
		`{"message":"API resource is currently overloaded. Try again a little later.","code":130000}`))
}

// Forget closes the channels with people: their ids mean nothing until they are
// opened again.
func (v *Vendor) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opened = map[string]bool{}
}
