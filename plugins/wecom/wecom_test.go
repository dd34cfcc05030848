package wecom

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"regexp"
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

const webhook = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"

func open(t testing.TB, url string) plugin.Destination {
	t.Helper()
	return plugintest.Open(t, New(), settings{URL: url})
}

func compose(t testing.TB, r relay.Rendered) []byte {
	t.Helper()
	req, err := open(t, webhook).Compose(&plugin.Delivery{ID: "1"}, r)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	if err := refuse(req.Body); err != nil {
		t.Fatalf("wecom would refuse it: %v\n%s", err, req.Body)
	}
	return req.Body
}

// tags is all that may stand after a <, in what relay composes.
var tags = regexp.MustCompile(`<font color="(info|comment|warning)">|</font>|<@[A-Za-z0-9._@-]+>|< |<=|<\d|<\n`)

// refuse says why WeCom would not take a text or markdown, or would read in it
// what nobody asked for.
func refuse(body []byte) error {
	var m struct {
		MsgType string
		Text    struct {
			Content string
			Mobiles []string `json:"mentioned_mobile_list"`
			Members []string `json:"mentioned_list"`
		}
		Markdown struct {
			Content string
			Mobiles []string `json:"mentioned_mobile_list"`
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("40058: %w", err)
	}
	content, limit := m.Text.Content, 2048
	switch m.MsgType {
	case "text":
	case "markdown":
		if content, limit = m.Markdown.Content, 4096; m.Markdown.Mobiles != nil {
			return errors.New("markdown cannot call by phone number")
		}
	case "markdown_v2", "image", "news", "file", "voice", "template_card":
		return nil // what checkNative looks at
	default:
		return errors.New("40008")
	}
	switch {
	case content == "":
		return errors.New("44004")
	case len(content) > limit:
		return fmt.Errorf("content exceed max length %d", limit)
	case !utf8.Valid(body):
		return errors.New("40033")
	case strings.Contains(tags.ReplaceAllString(content, ""), "<"):
		return fmt.Errorf("a < that nobody asked for in %q", content)
	case strings.Count(content, "<font") != strings.Count(content, "</font>"):
		return errors.New("a colour does not end")
	}
	return nil
}

var (
	ann = relay.Person{Name: "Ann *b*", IDs: map[string]string{"wecom": "ann_01"}}
	bob = relay.Person{Name: "Bob", Phone: "+86 138-0000-1111"}
)

const token0, token1 = "\uE0000\uE001", "\uE0001\uE001"

func messages() map[string]relay.Rendered {
	portable := func(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }
	approval := relay.Message{
		Title: "Approval required: add index", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101",
		Text: token0 + " asks " + token1 + " for approval.\nSoon.\n\n> it is **urgent**, _really_\n> now\n\n1. look\n2. approve\n\n- a\n  - b\n\n```\nALTER TABLE `t`\n  ADD INDEX < 5;\n```\n\n## Plan\n[the plan](https://example.com/a_(b)) `a<b` ~~old~~ ![chart](https://example.com/c.png)",
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
	hostile := relay.Message{
		Title:    "# <@all> <@zhangsan> [x](https://evil.example) \x00\u202Etxt </font>",
		Text:     "\\# <@zhangsan> &lt;@zhangsan&gt; <\x00@zhangsan> *_~`x`~_* `<@zhangsan>` [x](javascript:alert(1)) \\[y\\](https://evil.example) &#xE000;0&#xE001; <font color=\"red\">red</font> \\![i](https://example.com) [<@li>](https://example.com)",
		Fields:   []relay.Field{{Name: "*a*", Value: "# head\n> quote _x_\n</font><@zhangsan>\n![](https://evil.example/pixel.png)"}},
		Footer:   "](javascript:alert(1)) </font><@zhangsan> \uE0009\uE001",
		Actions:  []relay.Action{{Text: "<@zhangsan>](https://evil.example)", URL: "https://example.com/<@zhangsan>"}},
		Mentions: []relay.Person{ann},
	}
	hostileText := hostile
	hostileText.Mentions = []relay.Person{bob}
	return map[string]relay.Rendered{
		"title":        portable(relay.Message{Title: "Issue created"}),
		"text":         portable(relay.Message{Text: "only a *text* with [a link](https://example.com/?a=1&b=2|3)"}),
		"button":       portable(relay.Message{Level: relay.LevelSuccess, Actions: []relay.Action{{Text: "Open", URL: "https://example.com"}}}),
		"approval":     portable(approval),
		"by-phone":     portable(byPhone),
		"phone-link":   portable(relay.Message{Title: "Rollout", Text: token0, Link: "https://example.com/r?a=(1)", Mentions: []relay.Person{bob}}),
		"success":      portable(relay.Message{Title: "Rollout completed", Level: relay.LevelSuccess}),
		"link":         portable(relay.Message{Title: "[prod] Rollout | failed <now>", Level: relay.LevelError, Link: "https://bb.example.com/plans/1?a=<b>|c", Text: "数据库**变更**失败"}),
		"hostile":      portable(hostile),
		"hostile-text": portable(hostileText),
		"string":       {Text: "plain <@zhangsan> & *text* <b\nline 2 < 3"},
		"native":       {Native: json.RawMessage(`{"msgtype":"text","text":{"content":"hi <@zhangsan>","mentioned_list":["@all"]}}`)},
	}
}

func TestGolden(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) { plugintest.Golden(t, name, compose(t, r), *update) })
	}
}

func contentOf(t testing.TB, body []byte) string {
	t.Helper()
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if m.Markdown != nil {
		return m.Markdown.Content
	}
	return m.Text.Content
}

// Whatever a message holds, it fits, and what was cut is marked.
func TestSizes(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀", "<", "\"", "\\", "a\n", "para\n\n", "**b** ", "`c` ", "[l](https://example.com/x) ", "# h\n", "> q\n"} {
		for _, size := range []int{1, maxHeading, maxText, maxMarkdown, 40 << 10} {
			s := strings.Repeat(unit, size/len(unit)+1)
			link := "https://example.com/" + strings.Repeat("x", maxURL-30)
			m := relay.Message{Title: s, Text: s, Footer: s, Link: link, Image: &relay.Image{URL: link, Alt: s}, Level: relay.LevelWarn}
			compose(t, relay.Rendered{Portable: &m})
			for i := range 12 {
				m.Fields = append(m.Fields, relay.Field{Name: s, Value: s})
				m.Actions = append(m.Actions, relay.Action{Text: s, URL: fmt.Sprint(link, i)})
			}
			phone := m
			phone.Mentions = []relay.Person{bob}
			for _, r := range []relay.Rendered{{Portable: &m}, {Portable: &phone}, {Text: s}} {
				if content := contentOf(t, compose(t, r)); len(s) > maxMarkdown && !strings.Contains(content, "…") {
					t.Errorf("%d bytes of %q: nothing marks the cut in %q", size, unit, content)
				}
			}
		}
	}
}

// Each form is cut exactly at its limit.
func TestContentIsCutAtItsLimit(t *testing.T) {
	for limit, made := range map[int]func(s string) relay.Rendered{
		maxText:     func(s string) relay.Rendered { return relay.Rendered{Text: s} },
		maxMarkdown: func(s string) relay.Rendered { return relay.Rendered{Portable: &relay.Message{Text: s}} },
	} {
		for _, unit := range []string{"a", "字", "😀"} {
			fits := limit / len(unit)
			pad := strings.Repeat("p", limit%len(unit)) // the longest has exactly the limit
			for n, want := range map[int]string{
				fits - 1: pad + strings.Repeat(unit, fits-1),
				fits:     pad + strings.Repeat(unit, fits),
				fits + 1: pad + strings.Repeat(unit, (limit-len(pad)-len("…"))/len(unit)) + "…",
			} {
				if got := contentOf(t, compose(t, made(pad+strings.Repeat(unit, n)))); got != want {
					t.Errorf("limit %d, %d × %s: got %d bytes, want %d", limit, n, unit, len(got), len(want))
				}
			}
		}
	}
}

func TestNativeIsChecked(t *testing.T) {
	long := func(n int) string { return strings.Repeat("字", n/3) + strings.Repeat("a", n%3) }
	content := func(kind string, n int) string {
		return `{"msgtype":"` + kind + `","` + kind + `":{"content":"` + long(n) + `"}}`
	}
	list := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	news := func(articles string) string { return `{"msgtype":"news","news":{"articles":` + articles + `}}` }
	article := func(title, description int) string {
		return news(`[{"title":"` + long(title) + `","description":"` + long(description) + `","url":"https://example.com"}]`)
	}
	card := func(s string) string { return `{"msgtype":"template_card","template_card":{` + s + `}}` }
	const notice, action = `"card_type":"text_notice","main_title":{"title":"t"}`, `,"card_action":{"type":1,"url":"https://example.com"}`
	image := func(n int) string {
		return `{"msgtype":"image","image":{"md5":"m","base64":"` + base64.StdEncoding.EncodeToString(make([]byte, n)) + `"}}`
	}
	d := open(t, webhook)
	for body, want := range map[string]string{
		content("text", 2047): "", content("text", 2048): "", content("text", 2049): "text.content has 2049 bytes; wecom allows 2048",
		content("markdown", 4095): "", content("markdown", 4096): "", content("markdown", 4097): "markdown.content has 4097 bytes; wecom allows 4096",
		content("markdown_v2", 4096): "", content("markdown_v2", 4097): "markdown_v2.content has 4097 bytes",
		`[]`: "a JSON object", `null`: "a JSON object", `{}`: "no msgtype",
		`{"msgtype":"feedCard"}`: `"feedCard" is not a msgtype`, `{"msgtype":"text"}`: "text is missing or no object", `{"msgtype":"text","text":{}}`: "text.content is missing",
		`{"msgtype":"file","file":{}}`: "file.media_id is missing", `{"msgtype":"voice","voice":{"media_id":"x"}}`: "",
		image(2 << 20): "", image(2<<20 + 1): "image has 2097153 bytes; wecom allows 2097152", `{"msgtype":"image","image":{"md5":"m","base64":"?"}}`: "not base64",
		`{"msgtype":"image","image":{"base64":"AA=="}}`: "image.md5 is missing",
		article(128, 512): "", article(129, 0): "articles[0].title has 129 bytes; wecom allows 128", article(1, 513): "articles[0].description has 513 bytes; wecom allows 512",
		news(list(`{"title":"t","url":"u"}`, 8)): "", news(list(`{"title":"t","url":"u"}`, 9)): "news.articles has 9 elements; wecom takes 1 to 8", news(`[]`): "has 0 elements",
		news(`[{"title":"t"}]`): "news.articles[0].url is missing",
		card(notice + action):   "", card(notice): "card_action.type is missing", card(notice + `,"card_action":{"type":1}`): "card_action.url is missing",
		card(notice + `,"card_action":{"type":2,"appid":"a"}`):                             "",
		card(`"card_type":"button_interaction"`):                                           `card_type is "button_interaction"`,
		card(`"card_type":"text_notice"` + action):                                         "neither main_title.title nor sub_title_text",
		card(`"card_type":"text_notice","sub_title_text":"x"` + action):                    "",
		card(`"card_type":"news_notice","main_title":{"title":"t"}` + action):              "card_image.url is missing",
		card(`"card_type":"news_notice","card_image":{"url":"u"}` + action):                "main_title.title is missing",
		card(notice + action + `,"horizontal_content_list":` + list(`{"keyname":"k"}`, 6)): "", card(notice + action + `,"horizontal_content_list":` + list(`{"keyname":"k"}`, 7)): "horizontal_content_list has 7 elements; wecom allows 6",
		card(notice + action + `,"horizontal_content_list":[{"value":"v"}]`):           "horizontal_content_list[0].keyname is missing",
		card(notice + action + `,"vertical_content_list":` + list(`{"title":"k"}`, 5)): "vertical_content_list has 5 elements; wecom allows 4",
		card(notice + action + `,"jump_list":` + list(`{"title":"k"}`, 4)):             "jump_list has 4 elements; wecom allows 3",
	} {
		_, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(body)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.100s: got %v, want %q", body, err, want)
		}
	}
}

func TestNativeIsSentAsItIs(t *testing.T) {
	const native = ` {"z": 1.50, "msgtype":"text","text":{"content":"hi <@zhangsan>"} }`
	if got := compose2(t, native); got != native {
		t.Errorf("got %s", got)
	}
}

func compose2(t *testing.T, native string) string {
	t.Helper()
	req, err := open(t, webhook).Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(native)})
	if err != nil {
		t.Fatal(err)
	}
	return string(req.Body)
}

func TestEmptyMessageIsRefused(t *testing.T) {
	for _, r := range []relay.Rendered{
		{Portable: &relay.Message{}}, {Portable: &relay.Message{Title: "\x00 ", Text: "\u202E", Level: relay.LevelWarn}}, {Text: "\x01"},
		{Portable: &relay.Message{Text: "\u202E", Mentions: []relay.Person{bob}}},
	} {
		if _, err := open(t, webhook).Compose(&plugin.Delivery{}, r); !errors.Is(err, errEmpty) {
			t.Errorf("%+v: got %v", r, err)
		}
	}
}

func TestMentions(t *testing.T) {
	for id, want := range map[string]string{
		"zhangsan": "<@zhangsan>", "a.b-c_d@e": "<@a.b-c_d@e>", "": "", "all": "", "@all": "", "@ALL": "", "a>b": "", "a b": "", "张三": "", strings.Repeat("a", 65): "",
	} {
		if got := mention(relay.Person{IDs: map[string]string{"wecom": id}}); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
	got := mobiles([]relay.Person{
		ann, bob, {Phone: "13800002222"}, {Phone: "+14155550100"}, {Phone: "+85212345678"}, {Phone: "+861380000000x"}, {Name: "x"},
		{Phone: "+8613800003333", IDs: map[string]string{"wecom": "known"}},
	})
	if want := []string{"13800001111", "13800002222"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestURL(t *testing.T) {
	for url, want := range map[string]string{
		webhook: "",
		"https://QYAPI.weixin.qq.com/cgi-bin/webhook/send?key=abcdef12345": "",
		"http://127.0.0.1:99/cgi-bin/webhook/send?key=abcdef12345":         "",
		"http://[::1]:99/x": "",
		"https://wecom.example.com/cgi-bin/webhook/send?key=abcdef12345":           "warning /url wecom.example.com is not WeCom's host",
		"https://wecom.example.com/cgi-bin/webhook/send":                           "/url has no key",
		"https://wecom.example.com":                                                "/url no path",
		"https://qyapi.weixin.qq.com/cgi-bin/webhook/send":                         "/url has no key",
		"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=":                    "/url has no key",
		"https://qyapi.weixin.qq.com/cgi-bin/webhook/upload_media?key=abcdef12345": "/url not a robot's webhook",
		"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abcdef12345&%zz":     "/url query cannot be read",
		"http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abcdef12345":          "/url use https",
		"qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abcdef12345":                 "/url not a URL",
	} {
		d, problems := plugintest.TryOpen(New(), settings{URL: url})
		if usable := want == "" || strings.HasPrefix(want, "warning"); (d != nil) != usable {
			t.Errorf("%s: destination %v", url, d)
		}
		plugintest.CheckProblems(t, url, problems, want)
		plugintest.NoSecrets(t, problems, "abcdef12345")
	}
}

// Two destinations with one robot share its rate.
func TestWindows(t *testing.T) {
	windows := func(u string) []plugin.Window { return open(t, u).(plugin.Paced).Windows() }
	one := windows(webhook)
	if len(one) != 1 || one[0].Rate != (relay.Rate{Count: 20, Per: time.Minute}) {
		t.Fatalf("got %+v", one)
	}
	if !slices.Equal(one, windows(webhook+"&x=1")) {
		t.Error("the same robot has another key")
	}
	if slices.Equal(one, windows(webhook+"0")) || slices.Equal(windows("http://127.0.0.1/a"), windows("http://127.0.0.1/b")) {
		t.Error("another robot has the same key")
	}
}

// reader is a stranger's reader of markdown.
var reader = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Parser()

// What a sender wrote mentions nobody and makes no link, image, heading or tag.
func TestHostileTextIsInert(t *testing.T) {
	for _, name := range []string{"hostile", "hostile-text", "string"} {
		content := contentOf(t, compose(t, messages()[name]))
		if strings.ContainsAny(content, "\x00\u202E\uE000\uE001") || strings.Contains(content, "<@") {
			t.Errorf("%s: %q", name, content)
		}
	}
	content := contentOf(t, compose(t, messages()["hostile"]))
	_ = ast.Walk(reader.Parse(gmtext.NewReader([]byte(content))), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			if !slices.Contains([]string{"https://evil.example", "https://example.com", "https://example.com/%3C@zhangsan%3E"}, string(n.Destination)) {
				t.Errorf("a link to %q", n.Destination)
			}
		case *ast.Heading:
			if n.Level != 3 {
				t.Errorf("a heading of level %d", n.Level)
			}
		case *ast.RawHTML:
			if tag := string(n.Segments.Value([]byte(content))); tag != `<font color="comment">` && tag != "</font>" {
				t.Errorf("the tag %s", tag)
			}
		case *ast.Image, *ast.HTMLBlock, *ast.FencedCodeBlock, *ast.List, *ast.AutoLink:
			t.Errorf("%s in %q", n.Kind(), content)
		}
		return ast.WalkContinue, nil
	})
}

func FuzzCompose(f *testing.F) {
	f.Add("# t", "**a** [b](https://example.com) `<@x>` "+token0, "v\nw", "https://example.com", true)
	f.Add("<", "<\x00@a>", "&lt;@a>", "", false)
	f.Fuzz(func(t *testing.T, title, text, value, link string, phone bool) {
		if !utf8.ValidString(title + text + value + link) {
			return
		}
		m := relay.Message{Title: title, Text: text, Link: link, Footer: value, Level: relay.LevelError, Fields: []relay.Field{{Name: title, Value: value}}, Actions: []relay.Action{{Text: value, URL: link}}, Mentions: []relay.Person{ann}}
		if phone {
			m.Mentions = append(m.Mentions, bob)
		}
		for _, r := range []relay.Rendered{{Portable: &m}, {Text: text}} {
			req, err := open(t, webhook).Compose(&plugin.Delivery{}, r)
			if err != nil {
				continue
			}
			if err := refuse(req.Body); err != nil {
				t.Fatalf("wecom would refuse it: %v\n%s", err, req.Body)
			}
			if names := regexp.MustCompile(`<@[^>]*>`).FindAllString(contentOf(t, req.Body), -1); slices.ContainsFunc(names, func(s string) bool { return s != "<@ann_01>" }) {
				t.Fatalf("%q are mentioned", names)
			}
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	d := open(b, webhook)
	r := messages()["approval"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Compose(&plugin.Delivery{}, r); err != nil {
			b.Fatal(err)
		}
	}
}
