package dingtalk

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
)

func TestAppSettings(t *testing.T) {
	const good = `"client_id":"dingabc","client_secret":"aB3-_secret"`
	for entry, want := range map[string][]string{ // as plugintest.CheckProblems takes them
		``:                           {"warning provider /client_id qyapi_robot_sendmsg and qyapi_get_member_by_mobile"},
		`{}`:                         {"warning provider /client_id need client_id and client_secret"},
		`{` + good + `}`:             nil,
		`{"client_id":"dingabc"}`:    {"provider /client_secret client_secret is missing"},
		`{"client_secret":"secret"}`: {"provider /client_id client_id is missing"},
		`{"robot_code":"r"}`:         {"provider /client_id client_id is missing"},
		`{"client_id":"ding abc","client_secret":"s3cret with\nlines"}`:             {"provider /client_id copy it anew", "provider /client_secret copy it anew"},
		`{` + good + `,"api_base":"https://api.dingtalk.io/"}`:                      nil,
		`{` + good + `,"api_base":"http://127.0.0.1:1","oapi_base":"http://[::1]"}`: nil,
		`{` + good + `,"api_base":"https://10.0.0.7/dingtalk"}`:                     nil,
		`{` + good + `,"api_base":"http://api.dingtalk.com"}`:                       {"provider /api_base use https"},
		`{` + good + `,"oapi_base":"oapi.dingtalk.com"}`:                            {"provider /oapi_base leave the key out for https://oapi.dingtalk.com"},
		`{` + good + `,"oapi_base":"https://u:p@example.com"}`:                      {"provider /oapi_base a host and a path only"},
		`{"client_id":1}`: {"provider cannot be read"},
	} {
		d, problems := New().OpenDirect(plugin.Settings{Provider: json.RawMessage(entry), Target: json.RawMessage(`{}`), Masker: &relay.Masker{}})
		if (d != nil) != (want == nil) {
			t.Errorf("%s: direct messages %v", entry, d != nil)
		}
		plugintest.CheckProblems(t, entry, problems, want...)
		plugintest.NoSecrets(t, problems, "s3cret")
	}
	if got := relay.SecretsIn(json.RawMessage(providerSchema), json.RawMessage(`{"client_id":"i","client_secret":"s","robot_code":"r"}`)); !slices.Equal(got, []string{"s"}) {
		t.Errorf("secrets are %v", got)
	}
}

// The robot_code is the client_id where none is given.
func TestRobotCode(t *testing.T) {
	for entry, want := range map[string]string{
		`{"client_id":"dingabc","client_secret":"secret"}`:                  `"robotCode":"dingabc"`,
		`{"client_id":"dingabc","client_secret":"secret","robot_code":"r"}`: `"robotCode":"r"`,
	} {
		req, err := openDirect(t, New(), entry).Compose(toAnn(), hello)
		if err != nil || !strings.Contains(string(req.Body), want) || req.URL != "https://api.dingtalk.com/v1.0/robot/oToMessages/batchSend" {
			t.Errorf("%s: got %v, %+v", entry, err, req)
		}
	}
}

// Destinations of one app share its limits and what is known of its people.
func TestAccounts(t *testing.T) {
	account := func(id, secret, robot string) (string, plugin.Window) {
		entry, _ := json.Marshal(map[string]string{"client_id": id, "client_secret": secret, "robot_code": robot})
		d := openDirect(t, New(), string(entry))
		windows := d.(plugin.Paced).Windows()
		if len(windows) != 1 || windows[0].PerUser || windows[0].Rate != (relay.Rate{Count: 20, Per: time.Second}) {
			t.Fatalf("got %+v", windows)
		}
		return d.Account(), windows[0]
	}
	a, w := account("a", "s", "r")
	if again, same := account("a", "s", "r"); again != a || same != w {
		t.Error("the same app is another one")
	}
	for _, other := range [][3]string{{"b", "s", "r"}, {"a", "t", "r"}, {"a", "s", "q"}} {
		got, window := account(other[0], other[1], other[2])
		if got == a || (window == w) != (other[0] == "a") {
			t.Errorf("%v: got %q, %+v", other, got, window)
		}
	}
}

// A destination without a webhook may be for people only.
func TestWithoutURL(t *testing.T) {
	for target, want := range map[string][]string{`{}`: {"no channel url is missing"}, `{"keyword":"k"}`: {"no channel url is missing"}, `{"secret":"demo"}`: {"no channel url is missing", "/secret "}} {
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
	if got := d.(plugin.Prober).Probe(t.Context()); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	v.Fail(stepToken, "", 1, plugintest.Answer(400, `{"code":"invalidClientIdOrSecret","message":"`+dingtalktest.ClientSecret+`"}`))
	if got := d.(plugin.Prober).Probe(t.Context()); len(got) != 1 || got[0].Warning || !got[0].Provider || !strings.Contains(got[0].Message, "client_secret is wrong") {
		t.Errorf("got %+v", got)
	}
	v.Break(stepToken, "", 1)
	if got := d.(plugin.Prober).Probe(t.Context()); len(got) != 1 || !got[0].Warning {
		t.Errorf("got %+v", got)
	}
}
