package feishu

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/feishu/feishutest"
)

func TestAppSettings(t *testing.T) {
	const good = `"app_id":"cli_a1","app_secret":"aB3secret"`
	for entry, want := range map[string][]string{ // as plugintest.CheckProblems takes them
		``:                        {"warning provider /app_id im:message:send_as_bot and contact:user.id:readonly"},
		`{"domain":"lark"}`:       {"warning provider /app_id need app_id and app_secret"},
		`{` + good + `}`:          nil,
		`{"app_id":"cli_a1"}`:     {"provider /app_secret app_secret is missing"},
		`{"app_secret":"s3cret"}`: {"provider /app_id app_id is missing"},
		`{"app_id":"cli a","app_secret":"s3cret two"}`:         {"provider /app_id copy it anew", "provider /app_secret copy it anew"},
		`{` + good + `,"api_base":"http://127.0.0.1:1/"}`:      nil,
		`{` + good + `,"api_base":"https://10.0.0.7/feishu"}`:  nil,
		`{` + good + `,"api_base":"http://open.example.com"}`:  {"provider /api_base use https"},
		`{` + good + `,"api_base":"https://u:p@example.com"}`:  {"provider /api_base a host and a path only"},
		`{` + good + `,"api_base":"https://example.com/?a=b"}`: {"provider /api_base a host and a path only"},
		`{` + good + `,"domain":"larksuite"}`:                  {"provider /domain write feishu or lark"},
		`{"app_id":1}`:                                         {"provider cannot be read"},
	} {
		d, problems := New().OpenDirect(plugin.Settings{Provider: json.RawMessage(entry), Target: json.RawMessage(`{}`), Masker: &relay.Masker{}})
		if (d != nil) != (want == nil) {
			t.Errorf("%s: direct messages %v", entry, d != nil)
		}
		plugintest.CheckProblems(t, entry, problems, want...)
		plugintest.NoSecrets(t, problems, "s3cret")
	}
	if got := relay.SecretsIn(json.RawMessage(providerSchema), json.RawMessage(`{"app_id":"i","app_secret":"s","domain":"lark"}`)); !slices.Equal(got, []string{"s"}) {
		t.Errorf("secrets are %v", got)
	}
}

func TestBase(t *testing.T) {
	const good = `"app_id":"cli_a1","app_secret":"aB3secret"`
	for entry, want := range map[string]string{
		`{` + good + `}`:                                     "https://open.feishu.cn/open-apis/im/v1/messages?receive_id_type=open_id",
		`{` + good + `,"domain":"lark"}`:                     "https://open.larksuite.com/open-apis/im/v1/messages?receive_id_type=open_id",
		`{` + good + `,"api_base":"https://example.com/f/"}`: "https://example.com/f/open-apis/im/v1/messages?receive_id_type=open_id",
	} {
		if req, err := openDirect(t, New(), entry).Compose(toAnn(), hello); err != nil || req.URL != want {
			t.Errorf("%s: got %v, %+v", entry, err, req)
		}
	}
}

// A destination without a webhook may be for people only.
func TestWithoutURL(t *testing.T) {
	for target, want := range map[string][]string{`{}`: {"no channel url is missing"}, `{"keyword":"k","secret":"s"}`: {"no channel url is missing"}, `{"secret":"two words"}`: {"no channel url is missing", "/secret "}} {
		d, problems := plugintest.TryOpen(New(), json.RawMessage(target))
		if d != nil {
			t.Errorf("%s: got %v", target, d)
		}
		plugintest.CheckProblems(t, target, problems, want...)
	}
}

func TestProbe(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	if got := d.Probe(t.Context()); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	v.Fail(stepToken, "", 1, plugintest.Answer(200, `{"code":10015,"msg":"app secret invalid `+feishutest.AppSecret+`"}`))
	if got := d.Probe(t.Context()); len(got) != 1 || got[0].Warning || !got[0].Provider || !strings.Contains(got[0].Message, "app_secret is wrong") || strings.Contains(got[0].Message, feishutest.AppSecret) {
		t.Errorf("got %+v", got)
	}
	v.Break(stepToken, "", 1)
	if got := d.Probe(t.Context()); len(got) != 1 || !got[0].Warning {
		t.Errorf("got %+v", got)
	}
}
