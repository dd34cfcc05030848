package feishu

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

func TestSettings(t *testing.T) {
	const feishu, lark = "https://open.feishu.cn/open-apis/bot/v2/hook/", "https://open.larksuite.com/open-apis/bot/v2/hook/"
	for name, c := range map[string]struct {
		entry, target string
		want          []string // as plugintest.CheckProblems takes them
	}{
		"feishu":              {``, `{"url":"` + feishu + token + `"}`, nil},
		"everything":          {`{"domain":"feishu"}`, `{"url":"` + feishu + token + `","secret":"Xk3Yv0a1b2","keyword":"数据库 告警"}`, nil},
		"lark":                {`{"domain":"lark"}`, `{"url":"` + lark + token + `"}`, nil},
		"lark not said":       {``, `{"url":"` + lark + token + `"}`, []string{"warning /url open.larksuite.com is Lark's; write domain: lark"}},
		"feishu under lark":   {`{"domain":"lark"}`, `{"url":"` + feishu + token + `"}`, []string{"warning /url open.feishu.cn is Feishu's"}},
		"loopback":            {``, `{"url":"http://127.0.0.1:99/hook"}`, nil},
		"foreign host":        {``, `{"url":"https://gateway.example.com/feishu/1"}`, []string{"warning /url gateway.example.com is not Feishu's host"}},
		"private":             {`{"api_base":"https://open.example.com"}`, `{"url":"https://open.example.com` + hookPath + token + `"}`, nil},
		"private, no token":   {`{"api_base":"https://open.example.com"}`, `{"url":"https://open.example.com` + hookPath + `"}`, []string{"/url no bot's token"}},
		"no token":            {``, `{"url":"` + feishu + `"}`, []string{"/url no bot's token"}},
		"host alone":          {``, `{"url":"https://open.feishu.cn"}`, []string{"/url not that of a custom bot's webhook"}},
		"another hook":        {``, `{"url":"https://open.feishu.cn/open-apis/bot/hook/` + token + `"}`, []string{"/url not that of a custom bot's webhook"}},
		"foreign host alone":  {``, `{"url":"https://gateway.example.com/"}`, []string{"/url no path"}},
		"http":                {``, `{"url":"http://open.feishu.cn/open-apis/bot/v2/hook/` + token + `"}`, []string{"/url use https"}},
		"scheme":              {``, `{"url":"ftp://open.feishu.cn/x"}`, []string{"/url not a URL"}},
		"no scheme":           {``, `{"url":"open.feishu.cn/x"}`, []string{"/url not a URL"}},
		"bad escape":          {``, `{"url":"` + feishu + token + `%zz"}`, []string{"/url not a URL"}},
		"secret":              {``, `{"url":"` + feishu + token + `","secret":"two words"}`, []string{"/secret copy it anew"}},
		"secret in Chinese":   {``, `{"url":"` + feishu + token + `","secret":"密钥"}`, []string{"/secret copy it anew"}},
		"keyword with spaces": {``, `{"url":"` + feishu + token + `","keyword":" relay"}`, []string{"/keyword begins or ends"}},
		"keyword":             {``, `{"url":"` + feishu + token + `","keyword":"` + strings.Repeat("k", 201) + `"}`, []string{"/keyword has 201 bytes; relay takes 200"}},
		"several":             {`{"domain":"larksuite","api_base":"x"}`, `{"url":"x","secret":"a b"}`, []string{`provider /domain "larksuite" is not a domain`, "provider /api_base not a URL", "/url not a URL", "/secret copy"}},
		"api_base by http":    {`{"api_base":"http://open.example.com"}`, `{"url":"` + feishu + token + `"}`, []string{"provider /api_base use https"}},
	} {
		d, problems := New().Open(plugin.Settings{Provider: json.RawMessage(c.entry), Target: json.RawMessage(c.target), Masker: &relay.Masker{}})
		usable := !slices.ContainsFunc(c.want, func(s string) bool { return !strings.HasPrefix(s, "warning ") })
		if (d != nil) != usable {
			t.Errorf("%s: destination %v", name, d != nil)
		}
		plugintest.CheckProblems(t, name, problems, c.want...)
		plugintest.NoSecrets(t, problems, token, "two words")
	}
}

func TestSchemasMarkSecrets(t *testing.T) {
	got := relay.SecretsIn(json.RawMessage(destinationSchema), json.RawMessage(`{"url":"u","secret":"s","keyword":"k"}`))
	slices.Sort(got)
	if !slices.Equal(got, []string{"s", "u"}) {
		t.Errorf("got %v", got)
	}
}
