package dingtalk

import (
	"net/http"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// A token that DingTalk does not take any more is fetched anew, once.
func TestTokens(t *testing.T) {
	answer := plugintest.Answer
	plugintest.CheckTokens(t, reachAnn, map[string][]http.HandlerFunc{
		stepLookUp: {answer(200, `{"errcode":88,"sub_code":"40014"}`), answer(200, `{"errcode":40014}`), answer(200, `{"errcode":"42001"}`)},
		stepSend:   {answer(400, `{"code":"InvalidAuthentication"}`), answer(400, `{"code":"invalidParameter.token.invalid"}`), answer(400, `{"code":"token.notExisted"}`)},
	})
}

// A secret that was revoked is tried once, however many deliveries need a token.
func TestRevokedSecret(t *testing.T) {
	refuse := plugintest.Answer(400, `{"code":"invalidClientIdOrSecret","message":"m"}`)
	plugintest.CheckRevoked(t, reachAnn, refuse, "copy both anew")
	r := reachAnn(t)
	r.Vendor.Fail(stepToken, "", 100, refuse)
	for _, m := range r.Open().Resolve(t.Context(), plugin.ByPhone, []relay.Person{{Phone: annPhone}, {Phone: "+8613900000000"}, {Phone: "+1"}}) {
		if m.User != "" || m.Verdict != relay.DestinationRefused && !strings.Contains(m.Error, "+86") {
			t.Errorf("got %+v", m)
		}
	}
	if n := len(r.Vendor.Calls(stepToken)); n != 1 {
		t.Errorf("%d token calls", n)
	}
}

// Many at once share one token and get one message each.
func TestDirectTogether(t *testing.T) {
	if n := len(plugintest.CheckTogether(t, reachAnn).Calls(stepToken)); n != 1 {
		t.Errorf("%d token calls", n)
	}
}
