package discord

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

func TestOpenDirect(t *testing.T) {
	const token = "MTMwMDAwMDAwMDAwMDAwMDAwMA.Gh1jKl.Th3S3cretPartOfIt_abcdefghijklmnopqrst"
	for name, c := range map[string]struct {
		credentials
		want   string
		usable bool
	}{
		"nothing":       {credentials{}, "warning provider /bot_token direct messages need a bot: set bot_token", false},
		"base only":     {credentials{APIBase: "https://proxy.example.com/api/v10"}, "warning provider /bot_token direct messages need a bot", false},
		"bot":           {credentials{BotToken: token}, "", true},
		"proxy":         {credentials{BotToken: token, APIBase: "https://proxy.example.com/api/v10/"}, "", true},
		"loopback":      {credentials{BotToken: token, APIBase: "http://localhost:99/api/v10"}, "", true},
		"client secret": {credentials{BotToken: "Th3S3cretOfTheClientTh3S3cretOfT"}, "warning provider /bot_token the token does not look like a bot's", true},
		"with its word": {credentials{BotToken: "Bot " + token}, "provider /bot_token leave the word Bot before the token out", false},
		"a person's":    {credentials{BotToken: "mfa.Th3S3cretPartOfIt"}, "provider /bot_token this is a person's token", false},
		"line break":    {credentials{BotToken: token + "\n"}, "provider /bot_token the token holds a space or another character", false},
		"http":          {credentials{BotToken: token, APIBase: "http://discord.com/api/v10"}, "provider /api_base http is taken to a loopback address only", false},
		"no URL":        {credentials{BotToken: token, APIBase: "discord.com/api"}, "provider /api_base not a URL", false},
		"query":         {credentials{BotToken: token, APIBase: "https://discord.com/api?x=Th3S3cretPartOfIt"}, "provider /api_base a base URL has a host and a path only", false},
	} {
		d, problems := New().OpenDirect(of(c.credentials))
		got := plugintest.Problems(problems)
		if (d != nil) != c.usable || c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || len(problems) > 1 {
			t.Errorf("%s: got %q, usable %v", name, got, d != nil)
		}
		if strings.Contains(got, "Th3S3cret") {
			t.Errorf("%s: the problem shows the token: %s", name, got)
		}
	}
	d, problems := New().OpenDirect(plugin.Settings{Masker: &relay.Masker{}})
	if d != nil || len(problems) != 1 || !problems[0].Warning {
		t.Errorf("no entry: got %v", problems)
	}
}

// A destination without a url has no channel; its other keys are checked all
// the same.
func TestNoChannel(t *testing.T) {
	for target, want := range map[string]string{
		`{}`:                      "no channel url is missing; make a webhook",
		`{"thread_id":"general"}`: "no channel url is missing; make a webhook in the channel's settings (Integrations, Webhooks) and write its URL\n/thread_id \"general\" is not",
		`{"url":"nonsense"}`:      "/url not a URL",
	} {
		d, problems := New().Open(plugin.Settings{Target: json.RawMessage(target), Masker: &relay.Masker{}})
		if got := plugintest.Problems(problems); d != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, destination %v", target, got, d)
		}
	}
}

func TestAccountsAndDirectWindows(t *testing.T) {
	p := New()
	one := credentials{BotToken: "a.b.Th3S3cretPartOfIt"}
	slash := credentials{BotToken: "a.b.Th3S3cretPartOfIt", APIBase: defaultBase + "/"}
	two := credentials{BotToken: "a.c.Th3S3cretPartOfIt"}
	a, same, other := openDirect(t, p, one), openDirect(t, p, slash), openDirect(t, p, two)
	if a.Account() != same.Account() || a.Account() == other.Account() {
		t.Error("accounts are not told apart by their credentials")
	}
	got := a.(plugin.Paced).Windows()
	if len(got) != 3 || got[0].Rate != perBot || got[0].PerUser || got[1].Rate != perWebhook || !got[1].PerUser ||
		got[2].Rate != perChannel || !got[2].PerUser || got[0].Key == got[1].Key {
		t.Errorf("got %v", got)
	}
	if len(p.Describe().Direct.MatchBy) > 0 {
		t.Error("discord looks nobody up")
	}
}
