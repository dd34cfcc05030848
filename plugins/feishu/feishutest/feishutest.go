// Package feishutest stands in for Feishu: the interfaces of an app whose bot
// messages people, and a custom bot's webhook. It refuses what Feishu's
// documents say is refused, with their codes.
package feishutest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// The steps of a direct message, and the channel's.
const (
	StepToken   = "tenant_access_token/internal"
	StepLookUp  = "users/batch_get_id"
	StepSend    = "im/v1/messages"
	StepChannel = "bot/v2/hook"
)

// What the app and the bot of the channel are known by.
const (
	AppID     = "cli_a1b2c3d4e5f60001"
	AppSecret = "S3cretOfTheApp-0123456789abcdef"
	HookToken = "f99fed8d-9b01-4dfe-ab56-9876543210ab"
)

// Vendor is Feishu. Its look-ups answer open_ids, so that only people who are
// known by one (ou_…) are found by them. Its methods may be called concurrently.
type Vendor struct {
	*plugintest.Vendor

	mu       sync.Mutex        // guards the field below
	messages map[string]string // uuid → message_id
}

var _ plugintest.DirectVendor = (*Vendor)(nil)

// New starts a Feishu that knows nobody.
func New(t testing.TB) *Vendor {
	v := &Vendor{Vendor: plugintest.NewVendor(t), messages: map[string]string{}}
	v.Handle(StepToken, "POST /open-apis/auth/v3/tenant_access_token/internal", v.tenantAccessToken)
	v.Handle(StepLookUp, "POST /open-apis/contact/v3/users/batch_get_id", v.batchGetID)
	v.Handle(StepSend, "POST /open-apis/im/v1/messages", v.createMessage)
	v.Handle(StepChannel, "POST /open-apis/bot/v2/hook/{token}", v.hook)
	return v
}

// Entry implements [plugintest.DirectVendor]. It is JSON, too.
func (v *Vendor) Entry() string {
	return fmt.Sprintf(`{"app_id": %q, "app_secret": %q, "api_base": %q}`, AppID, AppSecret, v.URL)
}

// Target implements [plugintest.DirectVendor]. It is JSON, too.
func (v *Vendor) Target() string {
	return fmt.Sprintf(`{"url": "%s/open-apis/bot/v2/hook/%s"}`, v.URL, HookToken)
}

// Steps implements [plugintest.DirectVendor].
func (v *Vendor) Steps() []string { return []string{StepToken, StepLookUp, StepSend} }

// Throttle implements [plugintest.DirectVendor].
func (v *Vendor) Throttle(step string, times int) {
	if step == StepChannel {
		v.Fail(step, "", times, plugintest.Answer(http.StatusOK, `{"code":11232,"data":{},"msg":"frequency limited"}`, "Retry-After", "1"))
		return
	}
	v.Fail(step, "", times, plugintest.Answer(http.StatusTooManyRequests, `{"code":99991400,"msg":"request trigger frequency limit"}`,
		"x-ogw-ratelimit-limit", "50", "x-ogw-ratelimit-reset", "1"))
}

// Break implements [plugintest.DirectVendor].
func (v *Vendor) Break(step, match string, times int) {
	v.Fail(step, match, times, plugintest.Answer(http.StatusInternalServerError, `{"code":1500,"msg":"internal error"}`))
}
