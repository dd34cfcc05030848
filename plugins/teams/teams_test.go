package teams

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const hook = "https://0123456789abcdef.05.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/" +
	"0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=aB3-dE6_gH9jKl"

// open makes the destination of a flow's URL.
func open(t testing.TB, url string) plugin.Destination {
	t.Helper()
	return plugintest.Open(t, New(), settings{URL: url})
}

func compose(t testing.TB, r relay.Rendered) []byte {
	t.Helper()
	req, err := open(t, hook).Compose(&plugin.Delivery{}, r)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return req.Body
}

var (
	ann = relay.Person{Name: "Ann <at> Lee", Email: "ann@contoso.com"}
	bob = relay.Person{Name: "Bob", Email: "bob@example.com", IDs: map[string]string{"teams": "49c4641c-ab91-4248-aebb-6a7de286397b"}}
	eve = relay.Person{Name: "Eve", Phone: "+8613800000000"}
)

const token0, token1, token2 = "\uE0000\uE001", "\uE0001\uE001", "\uE0002\uE001"

const hostile = "<at>Ann at Lee</at> <!channel> @everyone *_~`x`~_* \\*not bold\\* [x](javascript:alert(1)) &lt;at&gt; &#xE000;0&#xE001; \uE010bold\uE018https://evil.example\uE019x\uE01A " +
	"https\\://evil.example {{DATE(2017-02-14T06:08:39Z)}} \u202E\u0000\n\n\\# big\n\\- item\n\\> quote\n\n<b>html</b>"

func portableOf(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }

func messages() map[string]relay.Rendered {
	return map[string]relay.Rendered{
		"title": portableOf(relay.Message{Title: "Issue created"}),
		"text":  portableOf(relay.Message{Text: "only a *text* with [a link](https://example.com/?a=1&b=2), ~~old~~ `code` and <mailto:a@b.example>\nline **two\nthree**\n\n- a\n  - b\n\n***", Link: "https://example.com/only"}),
		"approval": portableOf(relay.Message{
			Title: "Approval required: add index", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101",
			Text: token0 + " asks " + token1 + " for approval.\n\n> it is **urgent**, " + token2 + "\n\n1. look\n2. approve\n\n```\nALTER TABLE `t`\n    ADD INDEX < 5;\n```",
			Fields: []relay.Field{
				{Name: "Issue", Value: "add_index", Short: true}, {Name: "Project", Value: "demo & more", Short: true},
				{Name: "Third", Value: "alone", Short: true}, {Name: "Assignee", Value: token0 + "\nand **others**"}, {Name: "Empty", Value: ""}, {Value: "no name"},
			},
			Actions:  []relay.Action{{Text: "Review", URL: "https://bb.example.com/issues/101"}, {Text: "Bad", URL: "javascript:alert(1)"}, {URL: "https://bb.example.com/plans/7"}},
			Image:    &relay.Image{URL: "https://example.com/plan.png", Alt: "the plan"},
			Footer:   "event 0193 · " + token0,
			Mentions: []relay.Person{ann, bob, eve},
		}),
		"mentions": portableOf(relay.Message{
			Title: "Rollout | failed <now>", Level: relay.LevelError, Link: "https://bb.example.com/plans/1",
			Text:     "**" + token0 + "** and " + token1 + ": see [this](https://example.com)\n" + token2 + " knows",
			Mentions: []relay.Person{ann, bob, {Name: "Bob", Email: "other.bob@contoso.com"}},
		}),
		"many actions": portableOf(relay.Message{Title: "t", Actions: []relay.Action{
			{Text: "1", URL: "https://a.example/1"}, {Text: "2", URL: "https://a.example/2"}, {Text: "3", URL: "https://a.example/3"}, {Text: "4", URL: "https://a.example/4"},
			{Text: "5", URL: "https://a.example/5"}, {Text: "6", URL: "https://a.example/6"}, {Text: "7", URL: "https://a.example/7"}}, Image: &relay.Image{URL: "http://a.example/p.png"}}),
		"hostile": portableOf(relay.Message{
			Title: "**<at>Ann at Lee</at>** [x](https://evil.example) \x00\u202Etxt", Text: hostile,
			Fields: []relay.Field{{Name: "*a*", Value: hostile}, {Name: "<at>", Value: "- x\n1. y", Short: true}},
			Footer: hostile, Mentions: []relay.Person{ann},
		}),
		"string": {Text: "plain <b> & *text*\n\n  # line 2"},
		"card":   {Native: json.RawMessage(`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","text":"<b> & c"}]}`)},
	}
}

func TestGolden(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) {
			body := compose(t, r)
			if r.Native == nil {
				refuse(t, body)
			}
			plugintest.Golden(t, strings.ReplaceAll(name, " ", "_"), body, *update)
		})
	}
}

func TestURL(t *testing.T) {
	for url, want := range map[string]string{
		hook: "",
		strings.Replace(hook, ":443", "", 1) + "#x": "",
		"http://127.0.0.1:99/x":                     "",
		"http://[::1]:99/workflows/1?sig=x":         "",
		"https://prod-12.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?api-version=2016-06-01&sig=aB3": "warning /url URLs at logic.azure.com end",
		"https://flows.example.com/x?sig=aB3":                                  "warning /url flows.example.com is not a host",
		"https://evil-api.powerplatform.com.example.com/x?sig=aB3":             "warning /url evil-api",
		strings.Split(hook, "&sig")[0]:                                         "/url has no sig; set the trigger's \"Who can trigger the flow?\" to Anyone",
		strings.Replace(hook, "sig=aB3-dE6_gH9jKl", "sig=", 1):                 "/url has no sig",
		"https://prod-12.westeurope.logic.azure.com/workflows/1/triggers":      "/url has no sig",
		"https://contoso.webhook.office.com/webhookb2/1@2/IncomingWebhook/3/4": "/url contoso.webhook.office.com is an Office 365 connector, which Microsoft retires; in Teams open",
		"https://CONTOSO.webhook.office.com/webhookb2/1@2/IncomingWebhook/3/4": "/url Office 365 connector",
		"https://outlook.office.com/webhook/1@2/IncomingWebhook/3/4":           "/url Office 365 connector",
		"https://outlook.office365.com/webhook/1":                              "/url Office 365 connector",
		"https://0123.05.environment.api.powerplatform.com/?sig=aB3":           "/url no path",
		"https://flows.example.com":                                            "/url no path",
		strings.Replace(hook, "https:", "http:", 1):                            "/url use https",
		"ftp://x.api.powerplatform.com/x?sig=aB3":                              "/url not a URL",
		"x.api.powerplatform.com/x?sig=aB3":                                    "/url not a URL",
		"https://x.api.powerplatform.com/%zz?sig=aB3":                          "/url not a URL",
	} {
		d, problems := plugintest.TryOpen(New(), settings{URL: url})
		if usable := want == "" || strings.HasPrefix(want, "warning"); (d != nil) != usable {
			t.Errorf("%s: destination %v", url, d)
		}
		plugintest.CheckProblems(t, url, problems, want)
		plugintest.NoSecrets(t, problems, "aB3", "%zz")
	}
}

func TestNoChannel(t *testing.T) {
	for _, target := range []string{`{}`, `{"direct_message_url":"` + hook + `"}`} {
		d, problems := New().Open(plugin.Settings{Target: json.RawMessage(target), Masker: &relay.Masker{}})
		if d != nil || len(problems) != 1 || !problems[0].NoChannel || problems[0].Warning || !strings.Contains(problems[0].Message, "url is missing; in Teams open the channel's Workflows") {
			t.Errorf("%s: got %v, %+v", target, d, problems)
		}
	}
}

func TestRequest(t *testing.T) {
	req, err := open(t, hook).Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
	if err != nil || req.URL != hook || len(req.Header) != 1 || req.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("got %+v, %v", req, err)
	}
}

func TestWindows(t *testing.T) {
	windows := func(url string) []plugin.Window { return open(t, url).(plugin.Paced).Windows() }
	a := windows(hook)
	if len(a) != 1 || a[0].Rate != (relay.Rate{Count: 1, Per: time.Second}) {
		t.Errorf("got %v", a)
	}
	if b := windows(strings.Replace(hook, "aB3", "xY4", 1)); b[0] != a[0] {
		t.Error("one flow under two signatures is counted twice")
	}
	if b := windows(strings.Replace(hook, "workflows/0", "workflows/1", 1)); b[0] == a[0] {
		t.Error("two flows are counted as one")
	}
}

func TestUserID(t *testing.T) {
	for _, c := range []struct {
		id, email, want string
	}{
		{"", "", ""}, {"", "ann@contoso.com", "ann@contoso.com"}, {"ann.lee@contoso.com", "x@y.z", "ann.lee@contoso.com"},
		{"49c4641c-ab91-4248-aebb-6a7de286397b", "", "49c4641c-ab91-4248-aebb-6a7de286397b"}, {"29:1abc_-D", "", "29:1abc_-D"},
		{"49c4641c", "ann@contoso.com", "ann@contoso.com"}, {"29:<at>", "", ""}, {"a b@c", "", ""}, {"a@b\uE01C", "", ""}, {"@", "", ""},
		{strings.Repeat("a", 320) + "@b", "", ""},
	} {
		if got := userID(relay.Person{Email: c.email, IDs: map[string]string{"teams": c.id}}); got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.id, c.email, got, c.want)
		}
	}
}

func TestNative(t *testing.T) {
	card := `{"type":"AdaptiveCard","version":"1.5","body":[]}`
	message := func(attachments string) string {
		return ` {"type": "message", "recipient":"a@b.c","attachments":[` + attachments + `]} `
	}
	attachment := `{"contentType":"application/vnd.microsoft.card.adaptive","content":` + card + `}`
	filler := func(total int, body string) string {
		return strings.Replace(body, "[]", `[{"type":"TextBlock","text":"`+strings.Repeat("x", total-len(body)-len(`{"type":"TextBlock","text":""}`))+`"}]`, 1)
	}
	envelopeSize := len(`{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":}]}`)
	for name, c := range map[string]struct{ body, sent, want string }{
		"card":           {card, `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":` + card + `}]}`, ""},
		"message":        {message(attachment), message(attachment), ""},
		"card fits":      {filler(28<<10-envelopeSize, card), "", ""},
		"large card":     {filler(28<<10-envelopeSize+1, card), "", "the message has 28673 bytes; teams allows 28672 (28 KB)"},
		"message fits":   {filler(28<<10, message(attachment)), filler(28<<10, message(attachment)), ""},
		"large message":  {filler(28<<10+1, message(attachment)), "", "28673 bytes"},
		"MessageCard":    {`{"@type":"MessageCard","text":"x"}`, "", "Adaptive Cards only"},
		"old attachment": {message(`{"contentType":"application/vnd.microsoft.teams.card.o365connector","content":{}}`), "", "attachments[0] is no Adaptive Card"},
		"no attachment":  {`{"type":"message","text":"x"}`, "", "has no attachments"},
		"something else": {`{"text":"x"}`, "", `type is ""`},
		"no object":      {`[]`, "", "a JSON object"},
		"shape":          {`{"type":"message","attachments":"x"}`, "", "attachments is a string"},
	} {
		req, err := open(t, hook).Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(c.body)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err == nil && c.sent != "" && string(req.Body) != c.sent {
			t.Errorf("%s: sent %.300s", name, req.Body)
		}
	}
}

func TestEmptyMessageIsRefused(t *testing.T) {
	for _, r := range []relay.Rendered{portableOf(relay.Message{}), portableOf(relay.Message{Title: "\x00 ", Text: "\u202E", Footer: "f"}), {Text: "\x01"}} {
		if req, err := open(t, hook).Compose(&plugin.Delivery{}, r); err == nil {
			t.Errorf("%+v: got %s", r, req.Body)
		}
	}
}
