package dingtalk

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	gmtext "github.com/yuin/goldmark/text"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const webhook = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef"

func open(t testing.TB, s settings) plugin.Destination {
	t.Helper()
	return plugintest.Open(t, New(), s)
}

func composeWith(t testing.TB, s settings, r relay.Rendered) []byte {
	t.Helper()
	req, err := open(t, s).Compose(&plugin.Delivery{ID: "0193a5b0-0000-7000-8000-000000000001"}, r)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	if err := refuse(req.Body, s.Keyword); err != nil {
		t.Fatalf("dingtalk would refuse it: %v\n%s", err, req.Body)
	}
	return req.Body
}

func compose(t testing.TB, r relay.Rendered) []byte {
	t.Helper()
	return composeWith(t, settings{URL: webhook}, r)
}

// refuse says why DingTalk would not take a body, as its documents tell.
func refuse(body []byte, keyword string) error {
	var m struct {
		UUID       string `json:"msgUuid"`
		Type       string `json:"msgtype"`
		Text       struct{ Content string }
		Markdown   struct{ Title, Text string }
		Link       struct{ Title, Text, MessageURL string }
		ActionCard struct {
			Title, Text, SingleTitle, SingleURL string
			Btns                                []struct{ Title, ActionURL string }
		}
		FeedCard struct {
			Links []struct{ Title, MessageURL, PicURL string }
		}
		At struct {
			AtMobiles, AtUserIds []string
			IsAtAll              bool
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("40035: %w", err)
	}
	text := ""
	switch m.Type {
	case "text":
		text = m.Text.Content
	case "markdown":
		if text = m.Markdown.Text; m.Markdown.Title == "" {
			return errors.New("no title")
		}
	case "link":
		text = m.Link.Text
	case "actionCard":
		if text = m.ActionCard.Text; m.ActionCard.Title == "" {
			return errors.New("no title")
		}
		if len(m.ActionCard.Btns) == 0 && (m.ActionCard.SingleTitle == "" || m.ActionCard.SingleURL == "") {
			return errors.New("no button")
		}
		for _, b := range m.ActionCard.Btns {
			if b.Title == "" || b.ActionURL == "" {
				return errors.New("an empty button")
			}
		}
		if len(m.At.AtMobiles) > 0 {
			return errors.New("a card cannot call by phone number")
		}
	case "feedCard":
		text = m.FeedCard.Links[0].Title
	default:
		return errors.New("400105")
	}
	switch called := append(m.At.AtMobiles, m.At.AtUserIds...); {
	case text == "":
		return errors.New("no text")
	case len(body) > 20000:
		return errors.New("460101")
	case !utf8.Valid(body):
		return errors.New("not UTF-8")
	case !strings.Contains(text, keyword):
		return errors.New("310000 keywords not in content")
	case len(called) > 50:
		return errors.New("more than 50 are called")
	default:
		for _, c := range called {
			if !strings.Contains(text, "@"+c) {
				return fmt.Errorf("@%s does not stand in the text", c)
			}
		}
	}
	return nil
}

var (
	ann = relay.Person{Name: "Ann *b*", IDs: map[string]string{"dingtalk": "ann_01"}}
	bob = relay.Person{Name: "Bob", Phone: "+86 138-0000-0000"}
)

const token0, token1 = "\uE0000\uE001", "\uE0001\uE001"

func messages() map[string]relay.Rendered {
	portable := func(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }
	approval := relay.Message{
		Title: "Approval required: add index", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101",
		Text: token0 + " asks " + token1 + " for approval.\nSoon.\n\n> it is **urgent**, _really_\n> now\n\n1. look\n2. approve\n\n- a\n  - b\n\n```\nALTER TABLE `t`\n  ADD INDEX < 5;\n```\n\n## Plan\n[the plan](https://example.com/a_(b)) `code` ~~old~~ ![chart](https://example.com/c.png)",
		Fields: []relay.Field{
			{Name: "Issue", Value: "add index", Short: true}, {Name: "Project", Value: "demo & more", Short: true},
			{Name: "Assignee", Value: token0}, {Name: "Empty", Value: ""}, {Name: "Lines", Value: "a\nb"}, {Value: "no name"},
		},
		Actions:  []relay.Action{{Text: "Review", URL: "https://bb.example.com/issues/101"}, {Text: "Bad", URL: "javascript:alert(1)"}, {URL: "https://example.com/x"}},
		Image:    &relay.Image{URL: "https://example.com/plan (1).png", Alt: "the [plan]"},
		Footer:   "event 0193",
		Mentions: []relay.Person{ann, {Name: "Bob"}},
	}
	byPhone := approval
	byPhone.Mentions = []relay.Person{ann, bob}
	two := relay.Message{Title: "Two", Actions: []relay.Action{{Text: "同意", URL: "https://example.com/1"}, {Text: "拒绝", URL: "https://example.com/2"}}}
	many := relay.Message{Title: "Many"}
	for i := range 7 {
		many.Actions = append(many.Actions, relay.Action{Text: fmt.Sprintf("Action %d", i+1), URL: fmt.Sprintf("https://example.com/%d", i+1)})
	}
	return map[string]relay.Rendered{
		"title":    portable(relay.Message{Title: "Issue created"}),
		"text":     portable(relay.Message{Text: "only a *text* with [a link](https://example.com/?a=1&b=2|3)"}),
		"button":   portable(relay.Message{Level: relay.LevelSuccess, Actions: []relay.Action{{Text: "Open", URL: "https://example.com"}}}),
		"two":      portable(two),
		"many":     portable(many),
		"approval": portable(approval),
		"by-phone": portable(byPhone),
		"link":     portable(relay.Message{Title: "[prod] Rollout | failed <now>", Level: relay.LevelError, Link: "https://bb.example.com/plans/1?a=<b>|c", Text: "数据库**变更**失败"}),
		"hostile": portable(relay.Message{
			Title:    "# <@all> @all [x](https://evil.example) \x00\u202Etxt",
			Text:     "\\# @all @13800000000 *_~`x`~_* \\*not bold\\* [x](javascript:alert(1)) \\[y\\](https://evil.example) </at> &lt;b&gt; &#xE000;0&#xE001; <font color=red>red</font> \\![i](https://example.com)",
			Fields:   []relay.Field{{Name: "*a*", Value: "# head\n> quote _x_\n- item\n| a |\n|---|\n![](https://evil.example/pixel.png)"}},
			Footer:   "](javascript:alert(1)) \uE0009\uE001",
			Mentions: []relay.Person{ann},
		}),
		"string": {Text: "plain <b> & *text*\nline 2"},
		"native": {Native: json.RawMessage(` {"msgtype":"feedCard","feedCard":{"links":[{"title":"t","messageURL":"https://example.com","picURL":"https://example.com/p.png"}]}}`)},
	}
}

func TestGolden(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) { plugintest.Golden(t, name, compose(t, r), *update) })
	}
}

// text of a composed message, and whom it calls.
func textOf(t testing.TB, body []byte) (string, at) {
	t.Helper()
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	var a at
	if m.At != nil {
		a = *m.At
	}
	switch {
	case m.Markdown != nil:
		return m.Markdown.Text, a
	case m.ActionCard != nil:
		return m.ActionCard.Text, a
	}
	return m.Text.Content, a
}

// Whatever a message holds, it fits, and what was cut is marked.
func TestSizes(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀", "<", "\"", "\\", "a\n", "para\n\n", "**b** ", "[l](https://example.com/x) ", "# h\n", "> q\n"} {
		for _, size := range []int{1, maxPlanned, 30 << 10} {
			s := strings.Repeat(unit, size/len(unit)+1)
			link := "https://example.com/" + strings.Repeat("x", maxURL-30)
			m := relay.Message{Title: s, Text: s, Footer: s, Link: link, Image: &relay.Image{URL: link, Alt: s}}
			compose(t, relay.Rendered{Portable: &m})
			for i := range 12 {
				m.Fields = append(m.Fields, relay.Field{Name: s, Value: s})
				m.Actions = append(m.Actions, relay.Action{Text: s, URL: fmt.Sprint(link, i)})
			}
			for _, keyword := range []string{"", "告警"} {
				for _, r := range []relay.Rendered{{Portable: &m}, {Text: s}} {
					body := composeWith(t, settings{URL: webhook, Keyword: keyword}, r)
					if text, _ := textOf(t, body); len(body) > maxPlanned || len(s) > maxPlanned && !strings.Contains(text, "…") {
						t.Errorf("%d bytes of %q: %d bytes", size, unit, len(body))
					}
				}
			}
		}
	}
}

// A string is cut exactly where the body would be longer than planned.
func TestTextIsCutAtItsLimit(t *testing.T) {
	empty := len(compose(t, relay.Rendered{Text: "x"})) - 1
	for _, unit := range []string{"a", "字", "😀"} {
		fits := (maxPlanned - empty) / len(unit)
		pad := strings.Repeat("p", (maxPlanned-empty)%len(unit)) // the longest has exactly the limit
		for n, cut := range map[int]bool{fits - 1: false, fits: false, fits + 1: true} {
			s := pad + strings.Repeat(unit, n)
			body := compose(t, relay.Rendered{Text: s})
			text, _ := textOf(t, body)
			if (text != s) != cut || cut != strings.HasSuffix(text, "…") || n == fits && len(body) != maxPlanned || len(body) > maxPlanned || cut && len(body) < maxPlanned-8 {
				t.Errorf("%d × %s: %d bytes, ends in %q", n, unit, len(body), text[len(text)-10:])
			}
		}
	}
}

func TestNativeIsChecked(t *testing.T) {
	content := func(n int) string { return `{"msgtype":"text","text":{"content":"` + strings.Repeat("a", n) + `"}}` }
	at := `{"msgtype":"text","text":{"content":"x"},"at":{"atMobiles":[` + strings.Repeat(`"1",`, 50) + `"1"]}}`
	d := open(t, settings{URL: webhook})
	for body, want := range map[string]string{
		content(maxBody - len(content(0))):     "",
		content(maxBody - len(content(0)) + 1): "the message has 20001 bytes; dingtalk allows 20000",
		`[]`:                                   "a JSON object",
		`null`:                                 "no msgtype",
		`{"text":{}}`:                          "no msgtype",
		`{"msgtype":"image"}`:                  `"image" is not a msgtype`,
		`{"msgtype":"text"}`:                   "text.content is missing",
		`{"msgtype":"markdown","markdown":{"title":"t"}}`:                                           "markdown.text is missing",
		`{"msgtype":"link","link":{"title":"t","text":"x","messageURL":"https://example.com"}}`:     "link.messageUrl is missing",
		`{"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"https://example.com"}}`:     "",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x"}}`:                            "actionCard.singleTitle is missing",
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btns":[{"title":"a"}]}}`:     "actionCard.btns[0].actionURL is missing",
		`{"msgtype":"feedCard","feedCard":{"links":[]}}`:                                            "feedCard.links is empty",
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"t","messageUrl":"x","picURL":"y"}]}}`: "feedCard.links[0].messageURL is missing",
		at: "at calls 51 people; dingtalk allows 50",
	} {
		_, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(body)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.100s: got %v, want %q", body, err, want)
		}
	}
}

func TestEmptyMessageIsRefused(t *testing.T) {
	for _, keyword := range []string{"", "alert"} {
		for _, r := range []relay.Rendered{{Portable: &relay.Message{}}, {Portable: &relay.Message{Title: "\x00 ", Text: "\u202E"}}, {Text: "\x01"}} {
			if _, err := open(t, settings{URL: webhook, Keyword: keyword}).Compose(&plugin.Delivery{}, r); !errors.Is(err, errEmpty) {
				t.Errorf("%+v: got %v", r, err)
			}
		}
	}
}

// The delivery's id is in every message; one of the template's own stays.
func TestDeduplicationKey(t *testing.T) {
	for name, r := range messages() {
		var m struct{ MsgUUID string }
		if err := json.Unmarshal(compose(t, r), &m); err != nil || m.MsgUUID != "0193a5b0-0000-7000-8000-000000000001" {
			t.Errorf("%s: msgUuid is %q, %v", name, m.MsgUUID, err)
		}
	}
	own := `{"msgUuid":"mine","msgtype":"text","text":{"content":"x"}}`
	if got := compose(t, relay.Rendered{Native: json.RawMessage(own)}); string(got) != own {
		t.Errorf("got %s", got)
	}
}

func TestKeyword(t *testing.T) {
	const keyword = "#告警*"
	with := settings{URL: webhook, Keyword: keyword}
	for _, native := range []string{
		`{"msgtype":"text","text":{"content":"x"},"n":12345678901234567890}`, `{"msgtype":"markdown","markdown":{"title":"t","text":"x"}}`,
		`{"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"https://example.com"}}`,
		`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","singleTitle":"a","singleURL":"https://example.com"}}`,
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"t","messageURL":"https://example.com","picURL":"https://example.com"}]}}`,
	} {
		body := composeWith(t, with, relay.Rendered{Native: json.RawMessage(native)}) // refuses what lacks it
		if strings.Contains(native, `"n"`) && !strings.Contains(string(body), "12345678901234567890") {
			t.Errorf("the number changed: %s", body)
		}
		has := strings.ReplaceAll(strings.ReplaceAll(native, `"x"`, `"a `+keyword+`"`), `"title":"t","messageURL"`, `"title":"`+keyword+`","messageURL"`)
		if got := composeWith(t, with, relay.Rendered{Native: json.RawMessage(has)}); strings.Count(string(got), keyword) != 1 {
			t.Errorf("added where it was: %s", got)
		}
	}
	for name, r := range messages() {
		if r.Native == nil {
			if n := strings.Count(string(composeWith(t, with, r)), keyword); n != 1 {
				t.Errorf("%s: the keyword stands there %d times", name, n)
			}
		}
	}
	if text, _ := textOf(t, composeWith(t, settings{URL: webhook, Keyword: "failed"}, relay.Rendered{Portable: &relay.Message{Title: "Rollout failed"}})); text != "### Rollout failed" {
		t.Errorf("added where it was: %q", text)
	}
}

func TestMentions(t *testing.T) {
	for _, c := range []struct {
		person    relay.Person
		id, phone string
	}{
		{relay.Person{IDs: map[string]string{"dingtalk": "manager7"}, Phone: "+8613800000000"}, "manager7", ""},
		{relay.Person{Phone: "+8613800000000"}, "", "13800000000"},
		{relay.Person{Phone: "138 0000 0000"}, "", "13800000000"},
		{relay.Person{Phone: "+14155550100"}, "", ""},
		{relay.Person{Phone: "+85212345678"}, "", ""},
		{relay.Person{Phone: "+861380000000x"}, "", ""},
		{relay.Person{IDs: map[string]string{"dingtalk": "a b"}}, "", ""},
		{relay.Person{IDs: map[string]string{"dingtalk": "a*b"}}, "", ""},
		{relay.Person{IDs: map[string]string{"dingtalk": "all"}}, "", ""},
		{relay.Person{IDs: map[string]string{"dingtalk": strings.Repeat("a", 65)}}, "", ""},
		{relay.Person{IDs: map[string]string{"slack": "U1"}}, "", ""},
	} {
		if id, phone := called(c.person); id != c.id || phone != c.phone {
			t.Errorf("%+v: got %q %q", c.person, id, phone)
		}
	}
	var crowd relay.Message
	for i := range 60 {
		crowd.Mentions = append(crowd.Mentions, relay.Person{Name: fmt.Sprintf("N%d.", i), IDs: map[string]string{"dingtalk": fmt.Sprintf("u%02d", i)}})
		crowd.Text += fmt.Sprintf("\uE000%d\uE001 ", i)
	}
	text, a := textOf(t, compose(t, relay.Rendered{Portable: &crowd}))
	if len(a.UserIDs) != 50 || !strings.Contains(text, "@u49") || strings.Contains(text, "@u50") || !strings.Contains(text, "N50.") {
		t.Errorf("%d are called in %q", len(a.UserIDs), text)
	}
	// Who was cut off is not called.
	cut := relay.Message{Text: strings.Repeat("字", 6000) + token0, Mentions: []relay.Person{ann}}
	if _, a := textOf(t, compose(t, relay.Rendered{Portable: &cut})); len(a.UserIDs) != 0 {
		t.Errorf("called: %+v", a)
	}
}

func TestSettings(t *testing.T) {
	const token = "?access_token=0123456789abcdef"
	for _, c := range []struct {
		s    settings
		want string
	}{
		{settings{URL: webhook}, ""},
		{settings{URL: "https://oapi.dingtalk.io/robot/send" + token}, ""},
		{settings{URL: "https://OAPI.dingtalk.com/robot/send" + token, Secret: "SECdemo", Keyword: "告警"}, ""},
		{settings{URL: "http://127.0.0.1:99/robot/send" + token}, ""},
		{settings{URL: "http://[::1]:99/x"}, ""},
		{settings{URL: "https://gateway.example.com/robot/send" + token}, "warning /url gateway.example.com is not DingTalk's host"},
		{settings{URL: "https://gateway.example.com/robot/send"}, "/url no access_token"},
		{settings{URL: "https://gateway.example.com/"}, "/url no path"},
		{settings{URL: "https://oapi.dingtalk.com/robot/send"}, "/url no access_token"},
		{settings{URL: "https://oapi.dingtalk.com/robot/send?access_token="}, "/url no access_token"},
		{settings{URL: "https://oapi.dingtalk.com/gettoken" + token}, "/url not a robot's webhook"},
		{settings{URL: webhook + "&timestamp=1&sign=x"}, "/url the URL holds a signature"},
		{settings{URL: webhook + "&%zz"}, "/url the URL's query"},
		{settings{URL: "http://oapi.dingtalk.com/robot/send" + token}, "/url use https"},
		{settings{URL: "oapi.dingtalk.com/robot/send" + token}, "/url not a URL"},
		{settings{URL: webhook, Secret: "demo"}, "/secret not a robot's secret"},
		{settings{URL: webhook, Secret: "SEC"}, "/secret not a robot's secret"},
		{settings{URL: webhook, Secret: "SECab c"}, "/secret not a robot's secret"},
		{settings{URL: webhook, Secret: "SECabc\n"}, "/secret not a robot's secret"},
		{settings{URL: webhook, Keyword: " "}, "/keyword one line of text"},
		{settings{URL: webhook, Keyword: "a\nb"}, "/keyword one line of text"},
		{settings{URL: webhook, Keyword: strings.Repeat("a", 201)}, "/keyword 201 bytes; there may be 200"},
	} {
		d, problems := plugintest.TryOpen(New(), c.s)
		if usable := c.want == "" || strings.HasPrefix(c.want, "warning"); (d != nil) != usable {
			t.Errorf("%+v: destination %v", c.s, d)
		}
		plugintest.CheckProblems(t, fmt.Sprintf("%+v", c.s), problems, c.want)
		plugintest.NoSecrets(t, problems, "0123456789abcdef")
		if len(c.s.Secret) > len("SEC") {
			plugintest.NoSecrets(t, problems, strings.TrimSpace(c.s.Secret))
		}
	}
}

// Two destinations with one robot share its rate, also over both hosts.
func TestWindows(t *testing.T) {
	windows := func(u string) []plugin.Window { return open(t, settings{URL: u}).(plugin.Paced).Windows() }
	one := windows(webhook)
	if len(one) != 1 || one[0].Rate != (relay.Rate{Count: 20, Per: time.Minute}) {
		t.Fatalf("got %+v", one)
	}
	if !slices.Equal(one, windows(strings.Replace(webhook, ".com", ".io", 1)+"&x=1")) {
		t.Error("the same robot has another key")
	}
	if slices.Equal(one, windows(webhook+"0")) || slices.Equal(windows("http://127.0.0.1/a"), windows("http://127.0.0.1/b")) {
		t.Error("another robot has the same key")
	}
}

// The signature agrees with the vendor's document.
func TestSign(t *testing.T) {
	signed, signature := sign(webhook, "SECdemo", time.UnixMilli(1599360473000))
	if want := "tGWkA5eQOQNCNPDgphtxIoNLO+/gD8Lcb705KQoRzeY="; signature != want {
		t.Errorf("got %s, want %s", signature, want)
	}
	for _, want := range []string{"sign=tGWkA5eQOQNCNPDgphtxIoNLO%2B%2FgD8Lcb705KQoRzeY%3D", "timestamp=1599360473000", "access_token=0123456789abcdef"} {
		if u, err := url.Parse(signed); err != nil || !slices.Contains(strings.Split(u.RawQuery, "&"), want) {
			t.Errorf("%s lacks %s", signed, want)
		}
	}
}

// reader is a stranger's reader of markdown.
var reader = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Parser()

// What a sender wrote makes no link, image, heading or tag.
func TestHostileTextIsInert(t *testing.T) {
	text, a := textOf(t, compose(t, messages()["hostile"]))
	if len(a.Mobiles)+len(a.UserIDs) > 0 {
		t.Errorf("somebody is called: %+v", a)
	}
	_ = ast.Walk(reader.Parse(gmtext.NewReader([]byte(text))), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			if !slices.Contains([]string{"https://evil.example", "https://example.com"}, string(n.Destination)) {
				t.Errorf("a link to %q", n.Destination)
			}
		case *ast.Heading:
			if n.Level != 3 {
				t.Errorf("a heading of level %d", n.Level)
			}
		case *ast.Image, *ast.RawHTML, *ast.HTMLBlock, *ast.CodeSpan, *ast.CodeBlock, *ast.FencedCodeBlock, *ast.List, *ast.AutoLink:
			t.Errorf("%s in %q", n.Kind(), text)
		}
		return ast.WalkContinue, nil
	})
	if strings.ContainsAny(text, "\x00\u202E\uE000\uE001") {
		t.Errorf("%q holds what may not show", text)
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("# t", "**a** [b](https://example.com) "+token0, "v\nw", "https://example.com", "k")
	f.Add("", "\"\\\n\n\n", "", "", "")
	f.Fuzz(func(t *testing.T, title, text, value, link, keyword string) {
		d, _ := plugintest.TryOpen(New(), settings{URL: webhook, Keyword: keyword})
		if d == nil {
			return
		}
		m := relay.Message{Title: title, Text: text, Link: link, Fields: []relay.Field{{Name: title, Value: value}}, Actions: []relay.Action{{Text: value, URL: link}}, Mentions: []relay.Person{ann}}
		for _, r := range []relay.Rendered{{Portable: &m}, {Text: text}, {Native: json.RawMessage(text)}} {
			req, err := d.Compose(&plugin.Delivery{ID: "1"}, r)
			if err != nil {
				continue
			}
			if err := refuse(req.Body, keyword); err != nil && utf8.ValidString(text+title+value+link+keyword) {
				t.Fatalf("dingtalk would refuse it: %v\n%s", err, req.Body)
			}
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	d := open(b, settings{URL: webhook})
	r := messages()["approval"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Compose(&plugin.Delivery{}, r); err != nil {
			b.Fatal(err)
		}
	}
}
