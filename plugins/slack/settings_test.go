package slack

import (
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/slack/slacktest"
)

func TestOpenDirect(t *testing.T) {
	const token = "xoxb-1-2-Th3S3cretPartOfIt"
	for name, c := range map[string]struct {
		credentials
		want   string
		usable bool
	}{
		"nothing":      {credentials{}, "warning provider /bot_token direct messages need the app's bot token: set bot_token with the scopes users:read, users:read.email, im:write and chat:write", false},
		"base only":    {credentials{APIBase: "https://slack-gov.com/api"}, "warning provider /bot_token direct messages need", false},
		"bot":          {credentials{BotToken: token}, "", true},
		"gov":          {credentials{BotToken: token, APIBase: "https://slack-gov.com/api/"}, "", true},
		"loopback":     {credentials{BotToken: token, APIBase: "http://127.0.0.1:99/api"}, "", true},
		"private":      {credentials{BotToken: token, APIBase: "https://10.0.0.1/slack"}, "", true},
		"other":        {credentials{BotToken: "Th3S3cretPartOfIt"}, "warning provider /bot_token the token does not look like a bot's", true},
		"user":         {credentials{BotToken: "xoxp-Th3S3cretPartOfIt"}, "provider /bot_token this is a user's token", false},
		"app":          {credentials{BotToken: "xapp-Th3S3cretPartOfIt"}, "provider /bot_token this is an app-level token", false},
		"rotated":      {credentials{BotToken: "xoxe.xoxb-Th3S3cretPartOfIt"}, "provider /bot_token this token ends after some hours", false},
		"line break":   {credentials{BotToken: token + "\n"}, "provider /bot_token the token holds a space or another character", false},
		"http":         {credentials{BotToken: token, APIBase: "http://slack.com/api"}, "provider /api_base http is taken to a loopback address only", false},
		"no URL":       {credentials{BotToken: token, APIBase: "slack.com/api"}, "provider /api_base not a URL", false},
		"query":        {credentials{BotToken: token, APIBase: "https://slack.com/api?x=Th3S3cretPartOfIt"}, "provider /api_base a base URL has a host and a path only", false},
		"base, no bot": {credentials{APIBase: "slack.com"}, "provider /api_base not a URL", false},
	} {
		d, problems := New().OpenDirect(of(c.credentials, settings{}))
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

func TestOpenChannel(t *testing.T) {
	const hook = "https://hooks.slack.com/services/T0/B0/x"
	bot := credentials{BotToken: "xoxb-1-2-secretsecret"}
	for name, c := range map[string]struct {
		credentials
		settings
		want string
	}{
		"id":         {bot, settings{Channel: "C012AB3CD"}, ""},
		"private":    {bot, settings{Channel: "G012AB3CD"}, ""},
		"name":       {bot, settings{Channel: "#dba-team"}, ""},
		"other name": {bot, settings{Channel: "#运维"}, ""},
		"url":        {bot, settings{URL: hook}, ""},
		"nothing":    {bot, settings{}, "no channel url is missing; make an incoming webhook"},
		"both":       {bot, settings{URL: hook, Channel: "C012AB3CD"}, "/channel the url names a channel already"},
		"no token":   {credentials{}, settings{Channel: "C012AB3CD"}, "/channel a channel needs the app's bot token: set providers.slack.bot_token"},
		"bad token":  {credentials{BotToken: "xoxp-1"}, settings{Channel: "C012AB3CD"}, "/channel a channel needs the app's bot token: set providers.slack.bot_token"},
		"person":     {bot, settings{Channel: "U012AB3CD"}, "/channel that is a person"},
		"handle":     {bot, settings{Channel: "@ann"}, "/channel that is a person"},
		"bare name":  {bot, settings{Channel: "general"}, "/channel not a channel"},
		"chat":       {bot, settings{Channel: "D012AB3CD"}, "/channel not a channel"},
		"spaces":     {bot, settings{Channel: "#a b"}, "/channel not a channel"},
		"other odd":  {credentials{BotToken: "odd-token-1"}, settings{Channel: "C012AB3CD"}, ""},
	} {
		d, problems := New().Open(of(c.credentials, c.settings))
		if got := plugintest.Problems(problems); (d == nil) != (c.want != "") || c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, destination %v", name, got, d)
		}
	}
}

func TestChannelByBot(t *testing.T) {
	v := slacktest.New(t)
	for _, name := range []string{slacktest.ChannelID, slacktest.ChannelName} {
		d, problems := New().Open(of(entry(v), settings{Channel: name}))
		if d == nil {
			t.Fatal(plugintest.Problems(problems))
		}
		got := send(t, d, &plugin.Delivery{}, messages()["approval"])
		if got.Verdict != relay.Delivered || !strings.HasPrefix(got.Receipt, slacktest.ChannelID+" ") || len(got.Steps) > 0 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if n := len(v.Channel()); n != 2 {
		t.Errorf("%d messages", n)
	}
	d, _ := New().Open(of(entry(v), settings{Channel: "C0OTHER"}))
	if got := send(t, d, &plugin.Delivery{}, relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || !got.Probe {
		t.Errorf("another channel: got %+v", got)
	}
	v.Revoke()
	if got := send(t, d, &plugin.Delivery{}, relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || got.Probe {
		t.Errorf("revoked: got %+v", got)
	}
}

// The stand-in's webhook takes what the webhook's destination sends.
func TestChannelByWebhook(t *testing.T) {
	v := slacktest.New(t)
	d := open(t, v.WebhookURL())
	for name, r := range messages() {
		if got := send(t, d, &plugin.Delivery{}, r); got.Verdict != relay.Delivered {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if n := len(v.Channel()); n != len(messages()) {
		t.Errorf("%d messages", n)
	}
}

func TestWindowsAndAccounts(t *testing.T) {
	p := New()
	one := credentials{BotToken: "xoxb-1-2-secretsecret"}
	slash := credentials{BotToken: "xoxb-1-2-secretsecret", APIBase: defaultBase + "/"}
	two := credentials{BotToken: "xoxb-1-3-secretsecret"}
	a, same, other := openDirect(t, p, one), openDirect(t, p, slash), openDirect(t, p, two)
	if a.Account() != same.Account() || a.Account() == other.Account() {
		t.Error("accounts are not told apart by their credentials")
	}
	place, _ := p.Open(of(one, settings{Channel: "C012AB3CD"}))
	channel, people := place.(plugin.Paced).Windows(), a.(plugin.Paced).Windows()
	if len(people) != 2 || people[0].Rate != (relay.Rate{Count: 300, Per: time.Minute}) || people[0].PerUser ||
		people[1].Rate != (relay.Rate{Count: 1, Per: time.Second}) || !people[1].PerUser {
		t.Errorf("people: got %v", people)
	}
	if len(channel) != 2 || channel[0].Rate != (relay.Rate{Count: 1, Per: time.Second}) || channel[1] != people[0] || channel[0].Key == people[1].Key {
		t.Errorf("channel: got %v", channel)
	}
}

func TestProbe(t *testing.T) {
	v, d := standIn(t)
	probe := func() string { return plugintest.Problems(d.(plugin.Prober).Probe(t.Context())) }
	if got := probe(); got != "" {
		t.Errorf("got %q", got)
	}
	v.Grant("chat:write", "channels:read")
	if got, want := probe(), "provider /bot_token the token lacks users:read.email, im:write; add it"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
	}
	v.Throttle(slacktest.Auth, 1)
	if got := probe(); !strings.HasPrefix(got, "warning provider /bot_token slack answered status 429") {
		t.Errorf("got %q", got)
	}
	v.Revoke()
	if got := probe(); !strings.HasPrefix(got, "provider /bot_token slack answered token_revoked; install the app again") {
		t.Errorf("got %q", got)
	}
	nowhere := openDirect(t, New(), credentials{BotToken: slacktest.Token, APIBase: "http://127.0.0.1:1/api"})
	if got := plugintest.Problems(nowhere.(plugin.Prober).Probe(t.Context())); !strings.HasPrefix(got, "warning provider /bot_token the token could not be tried: nothing could be sent") {
		t.Errorf("got %q", got)
	}
}
