// Package dingtalktest stands in for DingTalk: the OpenAPI and the older
// interface of an app whose robot messages people, and a custom robot's
// webhook. It refuses what DingTalk's documents say is refused, in their words.
package dingtalktest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// The steps of a direct message, and the channel's.
const (
	StepToken   = "oauth2/accessToken"
	StepLookUp  = "user/getbymobile"
	StepSend    = "robot/oToMessages/batchSend"
	StepChannel = "robot/send"
)

// What the app and the robot of the channel are known by.
const (
	ClientID     = "dingclient0123456789"
	ClientSecret = "S3cretOfTheApp-0123456789abcdef"
	RobotCode    = "dingrobot0123456789"
	RobotToken   = "t0kenOfTheCustomRobot0123456789"
)

// Vendor is DingTalk. People are found by their phone. Its methods may be called
// concurrently.
type Vendor struct {
	*plugintest.Vendor

	mu   sync.Mutex      // guards the field below
	seen map[string]bool // msgUuid
}

var _ plugintest.DirectVendor = (*Vendor)(nil)

// New starts a DingTalk that knows nobody.
func New(t testing.TB) *Vendor {
	v := &Vendor{Vendor: plugintest.NewVendor(t), seen: map[string]bool{}}
	v.Handle(StepToken, "POST /v1.0/oauth2/accessToken", v.accessToken)
	v.Handle(StepLookUp, "POST /topapi/v2/user/getbymobile", v.getByMobile)
	v.Handle(StepSend, "POST /v1.0/robot/oToMessages/batchSend", v.batchSend)
	v.Handle(StepChannel, "POST /robot/send", v.robotSend)
	return v
}

// Entry implements [plugintest.DirectVendor]. It is JSON, too.
func (v *Vendor) Entry() string {
	return fmt.Sprintf(`{"client_id": %q, "client_secret": %q, "robot_code": %q, "api_base": %q, "oapi_base": %q}`,
		ClientID, ClientSecret, RobotCode, v.URL, v.URL)
}

// Target implements [plugintest.DirectVendor]. It is JSON, too.
func (v *Vendor) Target() string {
	return fmt.Sprintf(`{"url": "%s/robot/send?access_token=%s"}`, v.URL, RobotToken)
}

// Steps implements [plugintest.DirectVendor].
func (v *Vendor) Steps() []string { return []string{StepToken, StepLookUp, StepSend} }

// Throttle implements [plugintest.DirectVendor].
func (v *Vendor) Throttle(step string, times int) {
	switch step {
	case StepLookUp:
		v.Fail(step, "", times, plugintest.Answer(http.StatusOK, `{"errcode":88,"errmsg":"ding talk error","sub_code":"90018","sub_msg":"too many calls of this app"}`))
	case StepChannel:
		v.Fail(step, "", times, plugintest.Answer(http.StatusOK, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`))
	default:
		v.Fail(step, "", times, named(http.StatusForbidden, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "the app calls this interface too often"))
	}
}

// Break implements [plugintest.DirectVendor].
func (v *Vendor) Break(step, match string, times int) {
	if step == StepLookUp || step == StepChannel {
		v.Fail(step, match, times, plugintest.Answer(http.StatusOK, `{"errcode":-1,"errmsg":"system busy"}`))
		return
	}
	v.Fail(step, match, times, named(http.StatusInternalServerError, "system.error", "system error"))
}
