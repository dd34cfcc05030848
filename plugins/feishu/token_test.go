package feishu

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// A token that Feishu does not take any more is fetched anew, once.
func TestTokens(t *testing.T) {
	var refusals []http.HandlerFunc
	for _, code := range []int{99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677} {
		refusals = append(refusals, plugintest.Answer(400, fmt.Sprintf(`{"code":%d,"msg":"m"}`, code)))
	}
	plugintest.CheckTokens(t, reachAnn, map[string][]http.HandlerFunc{stepLookUp: refusals, stepSend: refusals})
}

// A secret that was revoked is tried once, however many deliveries need a token.
func TestRevokedSecret(t *testing.T) {
	refuse := plugintest.Answer(200, `{"code":10015,"msg":"m"}`)
	plugintest.CheckRevoked(t, reachAnn, refuse, "copy it anew")
	r := reachAnn(t)
	r.Vendor.Fail(stepToken, "", 100, refuse)
	people := make([]relay.Person, 120)
	for i := range people {
		people[i].Email = fmt.Sprintf("p%d@example.com", i)
	}
	for _, m := range r.Open().Resolve(t.Context(), plugin.ByEmail, people) {
		if m.Verdict != relay.DestinationRefused {
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
