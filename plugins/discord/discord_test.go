package discord

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const hook = "https://discord.com/api/webhooks/1096510203118669874/hTzGv2sPd9fQ4kLx_ab-CDEFGH"

// open makes the destination of some settings.
func open(t testing.TB, s settings) plugin.Destination {
	t.Helper()
	return plugintest.Open(t, New(), s)
}

func compose(t testing.TB, r relay.Rendered) []byte {
	t.Helper()
	req, err := open(t, settings{URL: hook}).Compose(&plugin.Delivery{}, r)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return req.Body
}

func decode(t testing.TB, body []byte) message {
	t.Helper()
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

var ann = relay.Person{Name: "Ann <b>", IDs: map[string]string{"discord": "80351110224678912"}}

const token0, token1 = "\uE0000\uE001", "\uE0001\uE001"

func portableOf(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }

func messages() map[string]relay.Rendered {
	return map[string]relay.Rendered{
		"title": portableOf(relay.Message{Title: "Issue created"}),
		"text":  portableOf(relay.Message{Text: "only a *text* with [a link](https://example.com/?a=(1)&b=2) and https://example.com/_x_", Link: "https://example.com/only"}),
		"approval": portableOf(relay.Message{
			Title: "Approval required: add index", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101",
			Text: token0 + " asks " + token1 + " for approval.\n\n> it is **urgent**\n\n1. look\n2. approve\n\n```\nALTER TABLE `t` ADD INDEX < 5;\n```",
			Fields: []relay.Field{
				{Name: "Issue", Value: "add index", Short: true}, {Name: "Project", Value: "demo & more", Short: true},
				{Name: "Assignee", Value: token0}, {Name: "Empty", Value: ""}, {Value: "no name"},
			},
			Actions:  []relay.Action{{Text: "Review [now]", URL: "https://bb.example.com/issues/101"}, {Text: "Bad", URL: "javascript:alert(1)"}, {URL: "https://bb.example.com/plans/7"}},
			Image:    &relay.Image{URL: "https://example.com/plan.png", Alt: "the plan"},
			Footer:   "event 0193 · " + token0,
			Mentions: []relay.Person{ann, {Name: "Bob"}, {Name: "Ann again", IDs: map[string]string{"discord": "80351110224678912"}}},
		}),
		"hostile": portableOf(relay.Message{
			Title:  "<@1> @everyone \x00\u202Etxt",
			Text:   hostile,
			Fields: []relay.Field{{Name: "*a* <@1>", Value: "@here\n> quote _x_\n# big\nhttps://evil.example"}},
			Footer: "@everyone \uE0009\uE001", Mentions: []relay.Person{ann},
		}),
		"string": {Text: "plain <@1> & *text*\n# line 2"},
		"native": {Native: json.RawMessage(`{"content":"x","embeds":[{"title":"y"}]}`)},
	}
}

const hostile = "<@80351110224678912> <@&1> <#2> </cmd:3> <:emoji:4> <t:1> <id:browse> @everyone @here #general ||spoiler|| *_~`x`~_* \\*not bold\\* " +
	"[x](javascript:alert(1)) &lt;@1&gt; &#xE000;0&#xE001; :smile: https\\://evil.example </at> <!channel> \u202E\u0000\n\n\\# big\n\\- item\n\\> quote"

func TestGolden(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) {
			body := compose(t, r)
			refuse(t, body)
			plugintest.Golden(t, name, body, *update)
		})
	}
}

func TestURL(t *testing.T) {
	const id, token = "1096510203118669874", "hTzGv2sPd9fQ4kLx_ab-CDEFGH"
	const called = "/api/v10/webhooks/" + id + "/" + token
	for url, want := range map[string]string{ // the URL that is called, or what is said
		hook: "https://discord.com" + called + "?wait=true",
		"https://discordapp.com/api/webhooks/" + id + "/" + token + "/":      "https://discordapp.com" + called + "?wait=true",
		"https://ptb.discord.com/api/v6/webhooks/" + id + "/" + token:        "https://ptb.discord.com" + called + "?wait=true",
		"https://canary.discord.com/api/v10/webhooks/" + id + "/" + token:    "https://canary.discord.com" + called + "?wait=true",
		hook + "?thread_id=77&wait=false#x":                                  "https://discord.com" + called + "?thread_id=77&wait=true",
		"http://127.0.0.1:99/api/webhooks/1/x":                               "http://127.0.0.1:99/api/v10/webhooks/1/x?wait=true",
		"http://[::1]:99/own":                                                "http://[::1]:99/own?wait=true",
		"https://proxy.example.com/discord/api/webhooks/" + id + "/" + token: "https://proxy.example.com/discord/api/v10/webhooks/" + id + "/" + token + "?wait=true",
		"https://chat.example.com/hooks/abc":                                 "https://chat.example.com/hooks/abc?wait=true",
		"https://discord.com":                                                "! no webhook's path",
		"https://discord.com/channels/1/2":                                   "! no webhook's path",
		"https://discord.com/api/webhooks":                                   "! lacks the webhook's id or token",
		"https://discord.com/api/webhooks/" + id:                             "! lacks the webhook's id or token",
		"https://discord.com/api/webhooks/" + id + "/":                       "! lacks the webhook's id or token",
		"https://discord.com/api/webhooks/x1/" + token:                       "! lacks the webhook's id or token",
		"https://discord.com/api/webhooks/" + id + "/tok en":                 "! not a URL, since it has blanks",
		hook + "/slack":      "! take /slack off",
		hook + "/messages/1": "! goes on behind",
		"https://discord.com/proxy/api/webhooks/" + id + "/" + token: "! more before /api",
		"https://chat.example.com/":                                  "! no webhook's path",
		"http://discord.com/api/webhooks/" + id + "/" + token:        "! use https",
		"ftp://discord.com/api/webhooks/" + id + "/" + token:         "! not a URL",
		"discord.com/api/webhooks/" + id + "/" + token:               "! not a URL",
		"https://discord.com/api/webhooks/" + id + "/%zz":            "! not a URL",
	} {
		d, problems := plugintest.TryOpen(New(), settings{URL: url})
		got, warned := "", false
		for _, p := range problems {
			if p.Pointer != "/url" {
				t.Errorf("%s: pointer %q", url, p.Pointer)
			}
			if warned = p.Warning; !warned {
				got = "! " + p.Message
			}
			if strings.Contains(p.Message, token) || strings.Contains(p.Message, id) || strings.Contains(p.Message, "%zz") {
				t.Errorf("%s: the problem shows the URL: %q", url, p.Message)
			}
		}
		if refused, ok := strings.CutPrefix(want, "! "); ok {
			if d != nil || !strings.HasPrefix(got, "! ") || !strings.Contains(got, refused) {
				t.Errorf("%s: got %q, destination %v; want %q", url, got, d, want)
			}
			continue
		}
		if d == nil {
			t.Errorf("%s: got %q", url, got)
			continue
		}
		if foreign := strings.Contains(url, "example.com"); warned != foreign {
			t.Errorf("%s: warned %v", url, warned)
		}
		req, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
		if err != nil || req.URL != want || req.Method != http.MethodPost {
			t.Errorf("%s: calls %v (%v), want %s", url, req, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		s    settings
		want string // as plugintest.CheckProblems takes it
	}{
		"all":            {settings{ThreadID: "80351110224678912", Username: strings.Repeat("字", 80), AvatarURL: "https://example.com/a.png"}, ""},
		"thread":         {settings{ThreadID: "general"}, `/thread_id "general" is not a thread's id`},
		"name":           {settings{Username: strings.Repeat("字", 81)}, "/username the name has 81 characters; discord allows 80"},
		"blank":          {settings{Username: " "}, "/username the name is blank"},
		"forbidden name": {settings{Username: "My Discord"}, "warning /username discord refuses names"},
		"avatar":         {settings{AvatarURL: "file:///etc/passwd"}, "/avatar_url not an http or https URL"},
		"long avatar":    {settings{AvatarURL: "https://example.com/" + strings.Repeat("a", 2048)}, "/avatar_url not an http"},
		"two threads":    {settings{URL: hook + "?thread_id=1", ThreadID: "2"}, "/thread_id the url has another thread_id"},
		"same thread":    {settings{URL: hook + "?thread_id=2", ThreadID: "2"}, ""},
	} {
		if c.s.URL == "" {
			c.s.URL = hook
		}
		d, problems := plugintest.TryOpen(New(), c.s)
		if usable := c.want == "" || strings.HasPrefix(c.want, "warning"); (d != nil) != usable {
			t.Errorf("%s: destination %v", name, d != nil)
		}
		plugintest.CheckProblems(t, name, problems, c.want)
	}
}

// Settings reach every form of message, and a native object keeps its own.
func TestLookAndThread(t *testing.T) {
	d := open(t, settings{URL: hook, ThreadID: "42", Username: "relay", AvatarURL: "https://example.com/a.png"})
	for native, want := range map[string]string{
		`{"content":"x"}`: `{"content":"x","username":"relay","avatar_url":"https://example.com/a.png","allowed_mentions":{"parse":[]}}`,
		" {\"content\":\"x\",\"username\":\"own\",\"allowed_mentions\":{\"parse\":[\"users\"]} }\n": `{"content":"x","username":"own","allowed_mentions":{"parse":["users"]},"avatar_url":"https://example.com/a.png"}`,
	} {
		req, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(native)})
		var got bytes.Buffer
		if err == nil {
			err = json.Compact(&got, req.Body)
		}
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v", native, got.String(), err)
		}
	}
	whole := `{"content":"x", "username":"own","avatar_url":"u","allowed_mentions":{}}`
	if req, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(whole)}); err != nil || string(req.Body) != whole {
		t.Errorf("a native object that lacks nothing was changed: %v, %v", req, err)
	}
	for _, r := range []relay.Rendered{{Text: "x"}, portableOf(relay.Message{Title: "x"})} {
		req, err := d.Compose(&plugin.Delivery{}, r)
		if err != nil {
			t.Fatal(err)
		}
		if m := decode(t, req.Body); m.Username != "relay" || m.AvatarURL == "" || !strings.Contains(req.URL, "?thread_id=42&wait=true") {
			t.Errorf("got %s to %s", req.Body, req.URL)
		}
	}
	_, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(`{"content":"x","thread_name":"y"}`)})
	if err == nil || !strings.Contains(err.Error(), "thread_name") {
		t.Errorf("thread_name beside thread_id: got %v", err)
	}
	req, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(`{"components":[{"type":10,"content":"x"}],"flags":32768}`)})
	if err != nil || !strings.Contains(req.URL, "with_components=true") {
		t.Errorf("components: got %v, %v", req, err)
	}
}

func TestWindows(t *testing.T) {
	windows := func(url string) []plugin.Window { return open(t, settings{URL: url}).(plugin.Paced).Windows() }
	a := windows(hook)
	if len(a) != 2 || a[0].Rate != (relay.Rate{Count: 5, Per: 2 * time.Second}) || a[1].Rate != (relay.Rate{Count: 30, Per: time.Minute}) || a[0].Key != a[1].Key {
		t.Errorf("got %v", a)
	}
	if b := windows(strings.Replace(hook, "discord.com/api", "ptb.discord.com/api/v9", 1) + "?thread_id=1"); b[0].Key != a[0].Key {
		t.Error("one webhook under two URLs is counted twice")
	}
	if b := windows(strings.Replace(hook, "1096", "1097", 1)); b[0].Key == a[0].Key {
		t.Error("two webhooks are counted as one")
	}
}

func TestMentions(t *testing.T) {
	for id, want := range map[string]string{"80351110224678912": "<@80351110224678912>", "": "", "0": "", "everyone": "", "&1": "", "1> x": "", "123456789012345678901": ""} {
		if got := mention(relay.Person{IDs: map[string]string{"discord": id}}); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
	var many relay.Message
	for i := range 200 {
		many.Mentions = append(many.Mentions, relay.Person{IDs: map[string]string{"discord": "1000" + strings.Repeat("9", i%16) + string(rune('0'+i%10)) + "1"}})
	}
	many.Title = "t"
	body := compose(t, portableOf(many))
	refuse(t, body)
	m := decode(t, body)
	if len(m.AllowedMentions.Users) < 50 || strings.Count(m.Content, "<@") != len(m.AllowedMentions.Users) {
		t.Errorf("%d users for %q", len(m.AllowedMentions.Users), m.Content)
	}
}
