package feishu

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

const hook = "https://" + hostFeishu + hookPath + token

// open makes a destination; entry is the JSON of the provider's settings.
func open(t testing.TB, s settings, entry string) *webhook {
	t.Helper()
	target, _ := json.Marshal(map[string]string{"url": s.URL, "secret": s.Secret, "keyword": s.Keyword})
	d, problems := New().Open(plugin.Settings{Destination: "dba", Entry: "feishu", Provider: json.RawMessage(entry), Target: target, Masker: &relay.Masker{}})
	for _, p := range problems {
		if !p.Warning {
			t.Fatalf("open: %s %s", p.Pointer, p.Message)
		}
	}
	return d.(*webhook)
}

func compose(t testing.TB, w *webhook, r relay.Rendered) []byte {
	t.Helper()
	req, err := w.Compose(&plugin.Delivery{}, r)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return req.Body
}

func portable(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }

var (
	ann = relay.Person{Name: "Ann <b>", IDs: map[string]string{"feishu": "ou_ann"}}
	bob = relay.Person{Name: "Bob *B*", Email: "bob@example.com"}
)

const token0, token1 = "\uE0000\uE001", "\uE0001\uE001"

func messages() map[string]relay.Rendered {
	return map[string]relay.Rendered{
		"title":   portable(relay.Message{Title: "Issue created"}),
		"text":    portable(relay.Message{Text: "only a *text* with [a link](https://example.com/?a=1&b=(2)) and <ann@example.com>"}),
		"level":   portable(relay.Message{Level: relay.LevelError, Text: "no title"}),
		"success": portable(relay.Message{Title: "Done", Level: relay.LevelSuccess, Link: "https://bb.example.com/plans/1?a=<b>|c", Text: "数据库**变更。**成功"}),
		"approval": portable(relay.Message{
			Title: "Approval required: add index", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101",
			Text: token0 + " asks " + token1 + " for approval.\n\n> it is **urgent**\n\n- a\n  - b\n- c\n\n1. look\n2. approve\n\n```\nALTER TABLE `t` ADD INDEX i ON (a) WHERE b < 5 AND c <> <at id=all>;\n```",
			Fields: []relay.Field{
				{Name: "Issue", Value: "add_index", Short: true}, {Name: "Project", Value: "demo & more", Short: true},
				{Name: "Long", Value: "one\ntwo: <three>"}, {Name: "Assignee", Value: token0, Short: true}, {Name: "Empty", Value: ""},
			},
			Actions:  []relay.Action{{Text: "Review", URL: "https://bb.example.com/issues/101"}, {Text: "Bad", URL: "javascript:alert(1)"}, {Text: "", URL: "https://bb.example.com/docs"}},
			Image:    &relay.Image{URL: "https://example.com/plan.png", Alt: "the [plan]"},
			Footer:   "event 0193 · 10:30",
			Mentions: []relay.Person{ann, bob},
		}),
		"hostile": portable(relay.Message{
			Title:  "<at id=all></at> & @all *_~ \x00\u202Etxt",
			Text:   "<at id=all></at> </at> <at user_id=\"all\">x</at> @everyone &lt;at id=all&gt; *_~`x`~_* \\*not bold\\* [x](javascript:alert(1)) ](javascript: :DONE: &#xE000;0&#xE001; <font color='red'>r</font>\n\n# h\n\n| a | b |\n|---|---|\n\n`<at id=all></at>` ![i](img_v2_x) $x$",
			Fields: []relay.Field{{Name: "**a**", Value: "<at id=all></at>\n# h\n- l\n1. n\n> q\n---\n===\n| a |\n```\n:OK: __x__ ~~y~~"}},
			Footer: "</font><at id=all></at> \uE0009\uE001", Actions: []relay.Action{{Text: "<at id=all></at>", URL: "https://example.com/"}},
			Mentions: []relay.Person{ann},
		}),
		"string": {Text: "plain <b> & *text* 1 < 2\nline 2 <at user_id=\"all\">all</at>"},
		"native": {Native: json.RawMessage(`{"msg_type":"post","content":{"post":{"zh_cn":{"title":"T","content":[[{"tag":"text","text":"a "},{"tag":"a","text":"link","href":"https://example.com"}]]}}}}`)},
		"card":   {Native: json.RawMessage(`{"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "**x**"}]}}`)},
	}
}

// TestGolden: every shape is as it was reviewed, and the vendor takes it.
func TestGolden(t *testing.T) {
	b := newBot(t)
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) {
			w := open(t, settings{URL: b.url()}, "")
			plugintest.Golden(t, name, compose(t, w, r), *update)
			if got := plugintest.Send(t, w, &plugin.Delivery{Attempt: 1}, r); got.Verdict != relay.Delivered {
				t.Errorf("got %s: %s", got.Verdict, got.Error)
			}
		})
	}
}

// TestSignature holds the signature against the published example.
func TestSignature(t *testing.T) {
	timestamp, sign := signature("demo", time.Unix(1599360473, 0))
	if timestamp != "1599360473" || sign != "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=" {
		t.Errorf("got %s %s", timestamp, sign)
	}
	body, _ := signedBody([]byte(`{"msg_type":"text"}`), "demo", time.Unix(1599360473, 0))
	if want := `{"timestamp":"1599360473","sign":"l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=","msg_type":"text"}`; string(body) != want {
		t.Errorf("got %s", body)
	}
	if len(body)-len(`{"msg_type":"text"}`) != signatureLen {
		t.Errorf("a signature has %d bytes", len(body)-len(`{"msg_type":"text"}`))
	}
}

func TestEveryAttemptIsSignedAnew(t *testing.T) {
	b := newBot(t)
	b.secret = "Xk3Yv0a1b2c3d4e5f6g7h8"
	w := open(t, settings{URL: b.url(), Secret: b.secret}, "")
	req, err := w.Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	before := string(req.Body)
	for range 2 {
		got := w.Send(t.Context(), &plugin.Delivery{Attempt: 1}, req)
		if got.Verdict != relay.Delivered {
			t.Fatalf("got %s: %s", got.Verdict, got.Error)
		}
		message, _ := b.last()
		if shown := got.Request.Body; strings.Contains(shown, message["sign"].(string)) || !strings.Contains(shown, `"sign":"<secret>"`) {
			t.Errorf("the log shows the signature: %s", shown)
		}
	}
	if string(req.Body) != before {
		t.Errorf("the composed request was changed: %s", req.Body)
	}
	if got := plugintest.Send(t, open(t, settings{URL: b.url(), Secret: "wrong-secret"}, ""), &plugin.Delivery{Attempt: 1}, relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || !got.Probe {
		t.Errorf("a wrong secret: got %s, %s", got.Verdict, got.Error)
	}
	if _, n := b.last(); n != 4 {
		t.Errorf("%d requests; a wrong secret is tried twice", n)
	}
}

// TestWrongClock: the vendor's clock is two days ahead of ours.
func TestWrongClock(t *testing.T) {
	b := newBot(t)
	b.secret = "Xk3Yv0a1b2c3d4e5f6g7h8"
	b.now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	got := plugintest.Send(t, open(t, settings{URL: b.url(), Secret: b.secret}, ""), &plugin.Delivery{Attempt: 1}, relay.Rendered{Text: "x"})
	if got.Verdict != relay.Delivered {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
	if _, n := b.last(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestUnknownPerson: one id that the vendor does not know refuses the whole
// message; it is sent again with names.
func TestUnknownPerson(t *testing.T) {
	b := newBot(t)
	w := open(t, settings{URL: b.url()}, "")
	gone := relay.Person{Name: `Gone "G" [x]`, IDs: map[string]string{"feishu": "ou_gone"}}
	other := relay.Person{IDs: map[string]string{"feishu": "ou_other"}}
	event, _ := json.Marshal(relay.Event{Actor: &gone, Recipients: []relay.Person{ann}})
	d := &plugin.Delivery{Attempt: 1, Event: event}
	got := plugintest.Send(t, w, d, portable(relay.Message{Text: token0 + " " + token1 + " \uE0002\uE001", Mentions: []relay.Person{gone, ann, other}}))
	if got.Verdict != relay.Delivered {
		t.Fatalf("got %s: %s", got.Verdict, got.Error)
	}
	message, n := b.last()
	text := message["card"].(map[string]any)["body"].(map[string]any)["elements"].([]any)[0].(map[string]any)["content"]
	if want := `Gone "G" &#91;x&#93; Ann &#60;b&#62; ou&#95;other`; text != want || n != 2 {
		t.Errorf("got %q after %d requests, want %q", text, n, want)
	}
}

func TestKeyword(t *testing.T) {
	b := newBot(t)
	b.keyword = "告警[db]"
	link := relay.Message{Title: "t", Text: "[x](https://example.com/告警[db])"}
	for name, r := range map[string]relay.Rendered{
		"title":     portable(relay.Message{Title: "a card"}),
		"no title":  portable(relay.Message{Text: "a text with 告警[db]"}),
		"link":      portable(link),
		"has it":    portable(relay.Message{Title: "告警[db] in it"}),
		"button":    portable(relay.Message{Title: "t", Actions: []relay.Action{{Text: "告警[db]", URL: "https://example.com"}, {Text: "b", URL: "https://example.com"}}}),
		"text":      {Text: "hello"},
		"long":      {Text: strings.Repeat("字", 10000)},
		"long card": portable(relay.Message{Title: strings.Repeat("字", 1000), Text: strings.Repeat("字", 10000)}),
	} {
		w := open(t, settings{URL: b.url(), Keyword: b.keyword}, "")
		if got := plugintest.Send(t, w, &plugin.Delivery{Attempt: 1}, r); got.Verdict != relay.Delivered {
			t.Errorf("%s: got %s: %s", name, got.Verdict, got.Error)
		}
		if body := string(compose(t, w, r)); strings.Contains(body, "subtitle") != (name == "title" || name == "link" || name == "long card") {
			t.Errorf("%s: got %.300s", name, body)
		}
	}
	if got := plugintest.Send(t, open(t, settings{URL: b.url()}, ""), &plugin.Delivery{Attempt: 1}, relay.Rendered{Text: "x"}); got.Verdict != relay.MessageRefused || !strings.Contains(got.Error, "set keyword") {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}

func TestWindows(t *testing.T) {
	key := func(url string) string {
		windows := open(t, settings{URL: url}, "").Windows()
		if len(windows) != 2 || windows[0].Key != windows[1].Key || windows[0].Rate.String() != "100/m" || windows[1].Rate.String() != "5/s" {
			t.Errorf("got %+v", windows)
		}
		return windows[0].Key
	}
	if key(hook) != key(hook+"?x=1") || key(hook) == key(hook+"2") {
		t.Error("the bot is not what is counted")
	}
}

func BenchmarkCompose(b *testing.B) {
	w := open(b, settings{URL: hook}, "")
	r := messages()["approval"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Compose(&plugin.Delivery{}, r); err != nil {
			b.Fatal(err)
		}
	}
}
