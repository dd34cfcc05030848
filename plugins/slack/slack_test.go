package slack

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/slack/slacktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// open makes the destination of a webhook's URL.
func open(t testing.TB, url string) plugin.Destination {
	t.Helper()
	return plugintest.Open(t, New(), settings{URL: url})
}

func compose(t testing.TB, r relay.Rendered) []byte {
	t.Helper()
	req, err := open(t, "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX").Compose(&plugin.Delivery{}, r)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return req.Body
}

var ann = relay.Person{Name: "Ann <b>", IDs: map[string]string{"slack": "U012AB3CD"}}

const token0, token1 = "\uE0000\uE001", "\uE0001\uE001"

func messages() map[string]relay.Rendered {
	portable := func(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }
	return map[string]relay.Rendered{
		"title": portable(relay.Message{Title: "Issue created"}),
		"text":  portable(relay.Message{Text: "only a *text* with [a link](https://example.com/?a=1&b=2|3)"}),
		"approval": portable(relay.Message{
			Title: "Approval required: add index", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101",
			Text: token0 + " asks " + token1 + " for approval.\n\n> it is **urgent**\n\n1. look\n2. approve\n\n```\nALTER TABLE `t` ADD INDEX < 5;\n```",
			Fields: []relay.Field{
				{Name: "Issue", Value: "add index", Short: true}, {Name: "Project", Value: "demo & more", Short: true},
				{Name: "Assignee", Value: token0}, {Name: "Empty", Value: ""},
			},
			Actions:  []relay.Action{{Text: "Review", URL: "https://bb.example.com/issues/101"}, {Text: "Bad", URL: "javascript:alert(1)"}},
			Image:    &relay.Image{URL: "https://example.com/plan.png", Alt: "the plan"},
			Footer:   "event 0193",
			Mentions: []relay.Person{ann, {Name: "Bob"}},
		}),
		"link": portable(relay.Message{Title: "Rollout | failed <now>", Level: relay.LevelError, Link: "https://bb.example.com/plans/1?a=<b>|c", Text: "数据库**变更**失败"}),
		"hostile": portable(relay.Message{
			Title:  "<!channel> <@U1> & @here \x00\u202Etxt",
			Text:   "<!channel> <!here|x> <@U012AB3CD> @here #general *_~`x`~_* \\*not bold\\* [x](javascript:alert(1)) &lt;!everyone&gt; &#xE000;0&#xE001; https://evil.example/<!here> <script>",
			Fields: []relay.Field{{Name: "*a*", Value: "<!channel>\n> quote _x_"}},
			Footer: "<!subteam^S1> \uE0009\uE001", Mentions: []relay.Person{ann},
		}),
		"string": {Text: "plain <b> & *text*\nline 2"},
		"native": {Native: json.RawMessage(`{"text":"x","blocks":[{"type":"divider"}]}`)},
	}
}

func TestGolden(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) {
			body := compose(t, r)
			refuse(t, body)
			plugintest.Golden(t, name, body, *update)
		})
	}
}

// refuse fails where Slack would refuse a message that relay composed.
func refuse(t testing.TB, body []byte) {
	t.Helper()
	if err := checkNative(body); err != nil {
		t.Fatalf("slack would refuse it: %v", err)
	}
	var walk func(path string, v any) int
	walk = func(path string, v any) int {
		size := 0
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "mrkdwn" && v["verbatim"] != true {
				t.Errorf("%s is not verbatim", path)
			}
			if s, ok := v["text"].(string); ok {
				if s == "" {
					t.Errorf("%s.text is empty", path)
				}
				if v["type"] != nil {
					size += len([]rune(s))
				}
			}
			for k, x := range v {
				size += walk(path+"."+k, x)
			}
		case []any:
			for _, x := range v {
				size += walk(path+"[]", x)
			}
		case string:
			if rest := strings.NewReplacer("<https://", "", "<http://", "", "<mailto:", "", "<@U012AB3CD>", "").Replace(v); strings.Contains(rest, "<") && !strings.HasSuffix(path, "url") {
				t.Errorf("%s holds a < that the template did not make: %q", path, v)
			}
		}
		return size
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	if size := walk("", v); size > maxMessage {
		t.Errorf("the message has %d characters", size)
	}
	if v["text"] == "" {
		t.Error("the fallback text is empty")
	}
}

func TestSizes(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀", "<", "&", "word ", "para\n\n", "**b** ", "[l](https://example.com/x) "} {
		for _, n := range []int{1, maxHeader - 1, maxHeader, maxHeader + 1, maxSection - 1, maxSection, maxSection + 1, maxMessage} {
			s := strings.Repeat(unit, n)
			m := relay.Message{Title: s, Text: s, Footer: s, Actions: []relay.Action{{Text: s, URL: "https://example.com"}}}
			refuse(t, compose(t, relay.Rendered{Portable: &m}))
			for i := range 12 {
				m.Fields = append(m.Fields, relay.Field{Name: s, Value: s, Short: i%2 == 0})
			}
			m.Link = "https://example.com/other"
			refuse(t, compose(t, relay.Rendered{Portable: &m}))
		}
	}
	many := relay.Message{Title: "t"}
	for i := range 500 {
		many.Fields = append(many.Fields, relay.Field{Name: "n", Value: "v", Short: i%2 == 0})
	}
	refuse(t, compose(t, relay.Rendered{Portable: &many}))
}

func TestHeaderIsCutAtItsLimit(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀"} {
		for n, want := range map[int]string{
			maxHeader - 1: strings.Repeat(unit, maxHeader-1),
			maxHeader:     strings.Repeat(unit, maxHeader),
			maxHeader + 1: strings.Repeat(unit, maxHeader-1) + "…",
		} {
			var got message
			if err := json.Unmarshal(compose(t, relay.Rendered{Portable: &relay.Message{Title: strings.Repeat(unit, n)}}), &got); err != nil {
				t.Fatal(err)
			}
			if got.Blocks[0].Text.Text != want {
				t.Errorf("%d × %s: got %q", n, unit, got.Blocks[0].Text.Text)
			}
		}
	}
}

func TestNativeIsCheckedAgainstTheLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("字", n) }
	list := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for name, c := range map[string]struct{ body, want string }{
		"no object":         {`[]`, "a JSON object"},
		"nothing":           {`{"foo":1}`, "no text, no blocks"},
		"text":              {`{"text":"` + long(maxText+1) + `"}`, "text has 40001 characters; slack allows 40000"},
		"text fits":         {`{"text":"` + long(maxText) + `"}`, ""},
		"blocks":            {`{"blocks":` + list(`{"type":"divider"}`, 51) + `}`, "blocks has 51 blocks; slack allows 50"},
		"blocks fit":        {`{"blocks":` + list(`{"type":"divider"}`, 50) + `}`, ""},
		"header":            {`{"blocks":[{"type":"header","text":{"text":"` + long(151) + `"}}]}`, "blocks[0].text has 151 characters; slack allows 150"},
		"section":           {`{"blocks":[{"type":"section","text":{"text":"` + long(3001) + `"}}]}`, "blocks[0].text has 3001"},
		"fields":            {`{"blocks":[{"type":"section","fields":` + list(`{"text":"x"}`, 11) + `}]}`, "blocks[0] has 11 fields"},
		"field":             {`{"blocks":[{"type":"section","fields":[{"text":"` + long(2001) + `"}]}]}`, "blocks[0].fields[0] has 2001"},
		"actions":           {`{"blocks":[{"type":"actions","elements":` + list(`{"type":"button"}`, 26) + `}]}`, "26 elements"},
		"button":            {`{"blocks":[{"type":"actions","elements":[{"type":"button","text":{"text":"` + long(76) + `"}}]}]}`, "elements[0].text has 76"},
		"context":           {`{"blocks":[{"type":"context","elements":` + list(`{"type":"mrkdwn"}`, 11) + `}]}`, "11 elements"},
		"image":             {`{"blocks":[{"type":"image","image_url":"` + long(3001) + `"}]}`, "image_url has 3001"},
		"attachments":       {`{"attachments":` + list(`{}`, 101) + `}`, "101 attachments"},
		"attachments' text": {`{"attachments":[{"blocks":[{"type":"header","text":{"text":"` + long(151) + `"}}]}]}`, "attachments[0].blocks[0].text has 151"},
		"shape":             {`{"blocks":"x"}`, "blocks is a string"},
		"rich text":         {`{"blocks":[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[]}]}]}`, ""},
	} {
		err := checkNative([]byte(c.body))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestEmptyMessageIsRefused(t *testing.T) {
	for _, r := range []relay.Rendered{{Portable: &relay.Message{}}, {Portable: &relay.Message{Title: "\x00 ", Text: "\u202E"}}, {Text: "\x01"}} {
		if _, err := open(t, "https://hooks.slack.com/services/T1/B1/x").Compose(&plugin.Delivery{}, r); err == nil {
			t.Errorf("%+v: got no error", r)
		}
	}
}

func TestURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.slack.com/services/T0/B0/x":     "",
		"https://hooks.slack.com/T0/B0/x":              "",
		"https://hooks.slack-gov.com/services/T0/B0/x": "",
		"http://127.0.0.1:99/services/T0/B0/x":         "",
		"http://[::1]:99/x":                            "",
		"https://chat.example.com/hooks/abc":           "warning /url chat.example.com is not Slack's host",
		"https://hooks.slack.com":                      "/url no webhook's path",
		"https://hooks.slack.com/services/":            "/url no webhook's path",
		"https://hooks.slack.com/services/T0/B0/":      "/url no webhook's path",
		"https://hooks.slack.com/workflows/T0/A0/1/x":  "/url no webhook's path",
		"https://chat.example.com/":                    "/url no path",
		"http://hooks.slack.com/services/T0/B0/x":      "/url use https",
		"ftp://hooks.slack.com/services/T0/B0/x":       "/url not a URL",
		"hooks.slack.com/services/T0/B0/x":             "/url not a URL",
		"https://hooks.slack.com/services/T0/B0/%zz":   "/url not a URL",
	} {
		d, problems := plugintest.TryOpen(New(), settings{URL: url})
		if usable := want == "" || strings.HasPrefix(want, "warning"); (d != nil) != usable {
			t.Errorf("%s: destination %v", url, d)
		}
		plugintest.CheckProblems(t, url, problems, want)
		plugintest.NoSecrets(t, problems, "/services/T0/B0/x", "%zz")
	}
}

func TestMention(t *testing.T) {
	for id, want := range map[string]string{"U012AB3CD": "<@U012AB3CD>", "W1A": "<@W1A>", "": "", "!channel": "", "U1>x": "", "C012": "", "u012ab": ""} {
		if got := mention(relay.Person{IDs: map[string]string{"slack": id}}); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

func FuzzMrkdwn(f *testing.F) {
	for _, s := range []string{"<!channel>", "**a** _b_", "[x](<https://a b>)", "&lt;&#60;&#xE000;0&#xE001;", "> > > x\n- y\n  - z", "```\n<\n```", "`<`", "<https://a|b>", "![<](https://x/<|>)", "\uE0000\uE001", "a\n***\nb"} {
		f.Add(s, 100)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 1), 500)
		for _, out := range append(mrkdwn.Split(s, []relay.Person{ann}, limit, 2*limit), mrkdwn.Text(s, []relay.Person{ann}, limit)) {
			if n := len([]rune(out)); n > limit {
				t.Fatalf("%d characters, limit %d: %q", n, limit, out)
			}
			inert(t, out)
		}
	})
}

// inert fails where text holds control syntax other than a link or the mention
// that the template made.
func inert(t *testing.T, out string) {
	for rest := out; ; {
		_, after, found := strings.Cut(rest, "<")
		if !found {
			if strings.ContainsAny(out, "\x00\uE000\uE001") {
				t.Fatalf("%q holds what may not show", out)
			}
			return
		}
		inside, tail, closed := strings.Cut(after, ">")
		if !closed {
			t.Fatalf("%q holds a control sequence that does not end", out)
		}
		lower := strings.ToLower(inside)
		if inside != "@U012AB3CD" && !strings.HasPrefix(lower, "https://") && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "mailto:") {
			t.Fatalf("%q holds <%s>", out, inside)
		}
		rest = tail
	}
}

func TestVerdicts(t *testing.T) {
	type row struct {
		status  int
		body    string
		verdict relay.Verdict
	}
	rows := []row{
		{200, "ok", relay.Delivered}, {200, "ok\n", relay.Delivered},
		{200, "", relay.Ambiguous}, {200, "<html>", relay.Ambiguous}, {201, "ok", relay.Ambiguous}, {204, "", relay.Ambiguous},
		{301, "", relay.DestinationRefused}, {302, "", relay.DestinationRefused}, {307, "", relay.DestinationRefused},
		{400, "something_new", relay.MessageRefused}, {413, "", relay.MessageRefused},
		{401, "", relay.DestinationRefused}, {403, "what", relay.DestinationRefused}, {404, "<html>", relay.DestinationRefused}, {410, "", relay.DestinationRefused},
		{408, "", relay.Temporary}, {429, "", relay.Temporary}, {429, "rate_limited", relay.Temporary},
		{500, "", relay.Ambiguous}, {500, "rollup_error", relay.Ambiguous}, {502, "<html>", relay.Ambiguous}, {503, "", relay.Ambiguous},
		{500, "action_prohibited", relay.DestinationRefused},
	}
	documented := map[string]int{
		"invalid_payload": 400, "no_text": 400, "too_many_attachments": 400, "user_not_found": 400, "channel_not_found": 404,
		"channel_is_archived": 410, "action_prohibited": 403, "posting_to_general_channel_denied": 403, "invalid_token": 403,
		"no_active_hooks": 404, "no_service": 404, "no_service_id": 400, "no_team": 404, "team_disabled": 403, "rollup_error": 500,
		"invalid_blocks": 400, "invalid_attachments": 400, "missing_text_or_fallback_or_attachments": 400, "invalid_blocks_format": 400,
	}
	if len(documented) != len(tokens()) {
		t.Errorf("the table has %d tokens, the contract %d", len(tokens()), len(documented))
	}
	for token, status := range documented {
		want, ok := tokens()[token]
		if !ok {
			t.Errorf("%s is missing", token)
		}
		rows = append(rows, row{status, token, want}, row{400, token, want}, row{status, token + "\n", want})
	}
	v := plugintest.NewVendor(t)
	v.Handle(slacktest.Webhook, "POST /services/T1/B1/x", nil)
	d := open(t, v.URL+"/services/T1/B1/x")
	for _, r := range rows {
		reply := plugintest.Reply{Status: r.status, Body: r.body, Verdict: r.verdict, Probe: r.status/100 == 3}
		if r.status == 429 {
			reply.Headers, reply.Wait = []string{"Retry-After", "30"}, 30*time.Second
		}
		v.Fail(slacktest.Webhook, "", 1, reply.ServeHTTP)
		reply.Check(t, plugintest.Send(t, d, &plugin.Delivery{}, relay.Rendered{Text: "x"}))
	}
	for _, c := range v.Calls("") {
		if contentType := c.Header.Get("Content-Type"); contentType != "application/json; charset=utf-8" {
			t.Errorf("got %q", contentType)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	const secret = "S3cretTokenOfTheHook"
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path:    "/services/T1/B1/" + secret,
		Open:    func(url string) plugin.Destination { return open(t, url) },
		Secrets: []string{secret},
		Answers: map[string]http.HandlerFunc{"with a code": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			fmt.Fprintf(w, "no_text for http://%s%s and %s", r.Host, r.RequestURI, r.URL.Path)
		}},
	})
}

func BenchmarkCompose(b *testing.B) {
	d := open(b, "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX")
	r := messages()["approval"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Compose(&plugin.Delivery{}, r); err != nil {
			b.Fatal(err)
		}
	}
}
