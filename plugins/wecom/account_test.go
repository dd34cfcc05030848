package wecom

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

func TestAccount(t *testing.T) {
	const good = `"corp_id":"ww01","agent_id":1000002,"secret":"s3cret-value"`
	for entry, want := range map[string]string{
		``:                                     "warning /corp_id",
		`{}`:                                   "warning /corp_id",
		`{"api_base":"https://wecom.example"}`: "warning /corp_id",
		`{` + good + `}`:                       "",
		`{"corp_id":"ww01","agent_id":"1000002","secret":"s3cret-value","email_type":2}`: "",
		`{` + good + `,"api_base":"https://10.0.0.7:8443/gateway/"}`:                     "",
		`{` + good + `,"api_base":"http://localhost:80"}`:                                "",
		`{` + good + `,"api_base":"http://wecom.example"}`:                               "fault /api_base",
		`{` + good + `,"api_base":"wecom.example"}`:                                      "fault /api_base",
		`{` + good + `,"api_base":"https://wecom.example/?a=s3cret-value"}`:              "fault /api_base",
		`{` + good + `,"api_base":"https://u:s3cret-value@wecom.example"}`:               "fault /api_base",
		`{` + good + `,"api_base":"https://wecom.example/cgi-bin/"}`:                     "fault /api_base",
		`{"corp_id":"ww01"}`:                                           "fault /agent_id, fault /secret",
		`{"agent_id":5}`:                                               "fault /corp_id, fault /secret",
		`{"secret":"s3cret-value"}`:                                    "fault /corp_id, fault /agent_id",
		`{"corp_id":"ww01","secret":"s3cret-value"}`:                   "fault /agent_id",
		`{"corp_id":"ww 01","agent_id":5,"secret":"s3cret-value"}`:     "fault /corp_id",
		`{"corp_id":"ww01","agent_id":5,"secret":"s3cret-value\n"}`:    "fault /secret",
		`{"corp_id":"ww01","agent_id":"five","secret":"s3cret-value"}`: "fault ",
		`{"corp_id":"ww01","agent_id":0,"secret":"s3cret-value"}`:      "fault ",
	} {
		d, problems := New().OpenDirect(directSettings(entry))
		var got []string
		for _, p := range problems {
			kind := "fault"
			if p.Warning {
				kind = "warning"
			}
			if got = append(got, kind+" "+p.Pointer); !p.Provider || strings.Contains(fmt.Sprint(p), "s3cret-value") || p.Message == "" {
				t.Errorf("%s: got %+v", entry, p)
			}
		}
		if strings.Join(got, ", ") != want || (d != nil) != (want == "") {
			t.Errorf("%s: got %v, direct %v; want %q", entry, problems, d != nil, want)
		}
	}
}

// Other credentials, or other people, are another account.
func TestAccountKey(t *testing.T) {
	base := account{APIBase: defaultBase, CorpID: "ww1", AgentID: 1, Secret: "s", EmailType: 1}
	seen := map[string]bool{base.key(): true}
	for _, change := range []func(*account){
		func(a *account) { a.APIBase = "https://wecom.example" }, func(a *account) { a.CorpID = "ww2" }, func(a *account) { a.AgentID = 2 },
		func(a *account) { a.Secret = "t" }, func(a *account) { a.EmailType = 2 },
	} {
		a := base
		if change(&a); seen[a.key()] {
			t.Errorf("%+v has the key of another", a)
		}
		seen[a.key()] = true
	}
}

// Without a URL there is no channel, which direct messages can do without.
func TestNoChannel(t *testing.T) {
	d, problems := plugintest.TryOpen(New(), settings{})
	if d != nil || len(problems) != 1 || !problems[0].NoChannel || problems[0].Warning || problems[0].Pointer != "" || !strings.Contains(problems[0].Message, "url is missing") {
		t.Errorf("got %v, %+v", d, problems)
	}
	var _ plugin.DirectProvider = New()
}
