package wecom

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/wecom/wecomtest"
)

var app0 = account{CorpID: wecomtest.CorpID, AgentID: wecomtest.AgentID, APIBase: defaultBase}

// sendBody is the body of a message to Ann.
func sendBody(t testing.TB, made relay.Rendered) []byte {
	t.Helper()
	body, err := app0.compose("Ann01", markOf(deliveryID), made)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return body
}

func TestDirectGolden(t *testing.T) {
	for _, name := range []string{"approval", "by-phone", "title", "hostile", "string"} {
		t.Run(name, func(t *testing.T) { plugintest.Golden(t, "direct/"+name, sendBody(t, messages()[name]), *update) })
	}
	t.Run("native", func(t *testing.T) {
		plugintest.Golden(t, "direct/native", sendBody(t, relay.Rendered{Native: json.RawMessage(
			`{"msgtype":"textcard","textcard":{"title":"Approval","description":"<div class=\"gray\">add index</div>","url":"https://bb.example.com/issues/101?a=<b>"},"safe":0}`)}), *update)
	})
}

// The stand-in takes every message, and each fits with its mark.
func TestDirectIsTaken(t *testing.T) {
	v := vendor(t)
	d := reach(t, v)
	all := messages()
	for _, unit := range []string{"a", "字", "😀", "<", "\"", "a\n", "**b** ", "[l](https://example.com/x) ", "> q\n"} {
		for _, size := range []int{maxDirect - 20, maxDirect, 40 << 10} {
			s := strings.Repeat(unit, size/len(unit)+1)
			link := "https://example.com/" + strings.Repeat("x", maxURL-30)
			m := relay.Message{Title: s, Text: s, Footer: s, Link: link, Image: &relay.Image{URL: link, Alt: s}}
			full := m
			for i := range 12 {
				full.Fields = append(full.Fields, relay.Field{Name: s, Value: s})
				full.Actions = append(full.Actions, relay.Action{Text: s, URL: fmt.Sprint(link, i)})
			}
			name := fmt.Sprint(unit, size)
			all[name], all[name+"full"], all[name+"text"] = relay.Rendered{Portable: &m}, relay.Rendered{Portable: &full}, relay.Rendered{Text: s}
			all[name+"body"] = relay.Rendered{Portable: &relay.Message{Text: s}}
		}
	}
	for name, made := range all {
		got := send(t, d, plugin.Delivery{User: "Ann01"}, made)
		if got.Verdict != relay.Delivered {
			t.Errorf("%s: got %+v", name, got)
			continue
		}
		if content := contentOf(t, []byte(got.Request.Body)); !strings.HasSuffix(content, "· 3f9a2c1b</font>") && !strings.HasSuffix(content, "\n(3f9a2c1b)") {
			t.Errorf("%s: no mark at the end of %q", name, content)
		}
	}
}

// An app cannot mention: names are printed, and nothing becomes a mention.
func TestDirectMentionsNobody(t *testing.T) {
	for name, made := range messages() {
		if made.Portable == nil {
			continue
		}
		body := string(sendBody(t, made))
		if strings.Contains(body, "<@") || strings.Contains(body, "mentioned") || !strings.Contains(body, `"msgtype":"markdown"`) {
			t.Errorf("%s: %s", name, body)
		}
	}
	if body := string(sendBody(t, messages()["by-phone"])); !strings.Contains(body, "Ann ∗b∗ asks Bob for approval") {
		t.Errorf("no names in %s", body)
	}
}

func TestDirectEmptyMessage(t *testing.T) {
	for _, made := range []relay.Rendered{{Portable: &relay.Message{}}, {Text: "\x01"}} {
		if _, err := app0.compose("Ann01", "12345678", made); !errors.Is(err, errEmpty) {
			t.Errorf("%+v: got %v", made, err)
		}
	}
}

// The mark is a delivery's own and the same at each attempt.
func TestMark(t *testing.T) {
	for id, want := range map[string]string{deliveryID: "3f9a2c1b", "short": "short", "": ""} {
		if got := markOf(id); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
	d := reach(t, wecomtest.New(t))
	bodies := map[string]bool{}
	for _, delivery := range []plugin.Delivery{{ID: deliveryID, Attempt: 1}, {ID: deliveryID, Attempt: 9}, {ID: deliveryID + "0", Attempt: 1}} {
		delivery.User = "Ann01"
		r, err := d.Compose(&delivery, plainly("same"))
		if err != nil {
			t.Fatal(err)
		}
		bodies[string(r.Body)] = true
	}
	if len(bodies) != 2 {
		t.Errorf("got %v", bodies)
	}
	for link, want := range map[string]string{
		"https://a.example/x":           "https://a.example/x#m",
		"https://a.example/x?a=1":       "https://a.example/x?a=1#m",
		"https://a.example/x#/route":    "https://a.example/x?relay=m#/route",
		"https://a.example/x?a=1#/r?b#": "https://a.example/x?a=1&relay=m#/r?b#",
	} {
		if got := markLink(link, "m"); got != want {
			t.Errorf("%s: got %s, want %s", link, got, want)
		}
	}
}

func TestDirectNative(t *testing.T) {
	long := func(n int) string { return strings.Repeat("字", n/3) + strings.Repeat("a", n%3) }
	of := func(kind, body string) string { return `{"msgtype":"` + kind + `","` + kind + `":{` + body + `}}` }
	text := func(n int) string { return of("text", `"content":"`+long(n)+`"`) }
	markdown := func(n int) string { return of("markdown", `"content":"`+long(n)+`"`) }
	card := func(title, description, link int, label string) string {
		return of("textcard", fmt.Sprintf(`"title":%q,"description":%q,"url":"https://e.example/%s","btntxt":%q`, long(title), long(description), strings.Repeat("x", link), label))
	}
	const notice, action = `"card_type":"text_notice","main_title":{"title":"t"}`, `,"card_action":{"type":1,"url":"https://e.example"}`
	const marked, bare, linked = "\\n(3f9a2c1b)", "", "#3f9a2c1b"
	for _, c := range []struct{ body, want, mark string }{
		{text(2048 - 11), "", marked},
		{text(2048 - 10), "text.content has 2049 bytes with the mark that relay adds; wecom allows 2048", ""},
		{text(2049), "text.content has 2049 bytes; wecom allows 2048", ""},
		{markdown(2048 - 41), "", "· 3f9a2c1b</font>"},
		{markdown(2048 - 40), "markdown.content has 2049 bytes with the mark that relay adds", ""},
		{card(128, 512, 100, "详情查看"), "", linked},
		{card(129, 1, 1, ""), "textcard.title has 129 bytes; wecom allows 128", ""},
		{card(1, 513, 1, ""), "textcard.description has 513 bytes; wecom allows 512", ""},
		{card(1, 1, 1, "12345"), "textcard.btntxt has 5 characters; wecom allows 4", ""},
		{card(1, 1, 2048-18-9, ""), "", linked},
		{card(1, 1, 2048-18-8, ""), "textcard.url has 2049 bytes with the mark that relay adds; wecom allows 2048", ""},
		{of("textcard", `"title":"t","description":"d"`), "textcard.url is missing", ""},
		{of("news", `"articles":[{"title":"t","url":"https://e.example/#/a"}]`), "", "?relay=3f9a2c1b#/a"},
		{of("news", `"articles":[{"title":"t","appid":"wx1","pagepath":"p"}]`), "", bare},
		{of("news", `"articles":[]`), "news.articles has 0 elements; wecom takes 1 to 8", ""},
		{of("mpnews", `"articles":[{"title":"t"}]`), "", bare},
		{of("image", `"media_id":"m"`), "", bare}, {of("voice", `"media_id":"m"`), "", bare}, {of("file", `"media_id":"m"`), "", bare}, {of("video", `"media_id":"m"`), "", bare},
		{of("image", `"base64":"AA=="`), "image.media_id is missing", ""},
		{of("miniprogram_notice", `"title":"t"`), "", bare},
		{of("template_card", notice+action), "", linked},
		{of("template_card", notice+`,"card_action":{"type":2,"appid":"a"}`), "", bare},
		{of("template_card", notice), "card_action.type is missing", ""},
		{of("template_card", `"card_type":"news_notice","main_title":{"title":"t"},"image_text_area":{"image_url":"u"}`+action), "", linked},
		{of("template_card", `"card_type":"news_notice","main_title":{"title":"t"}`+action), "neither card_image.url nor image_text_area.image_url", ""},
		{of("template_card", `"card_type":"button_interaction","task_id":"1"`), "", bare},
		{of("template_card", `"card_type":"other"`), `card_type is "other"; a wecom app takes text_notice`, ""},
		{of("markdown_v2", `"content":"x"`), `"markdown_v2" is not a msgtype of a wecom app; it takes text, markdown, textcard`, ""},
		{`{"msgtype":"text","text":{"content":"x"},"touser":"@all"}`, "touser is relay's to say", ""},
		{`{"msgtype":"text","text":{"content":"x"},"toparty":"1"}`, "toparty is relay's to say", ""},
		{`[]`, "a JSON object", ""}, {`{}`, "no msgtype", ""},
	} {
		body, err := app0.compose("Ann01", markOf(deliveryID), relay.Rendered{Native: json.RawMessage(c.body)})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.100s: got %v, want %q", c.body, err, c.want)
			}
			continue
		}
		got := string(body)
		if err != nil || !strings.Contains(got, c.mark) || !strings.Contains(got, `"touser":"Ann01"`) || !strings.Contains(got, `"agentid":1000002`) {
			t.Errorf("%.100s: got %s, %v", c.body, got, err)
		}
		if checksDuplicates(body) != (c.mark != "") || strings.Contains(got, "3f9a2c1b") != (c.mark != "") {
			t.Errorf("%.100s: only what has a mark is checked for duplicates: %s", c.body, got)
		}
	}
	own := `{"msgtype":"text","text":{"content":"x"},"enable_duplicate_check":0}`
	if body := sendBody(t, relay.Rendered{Native: json.RawMessage(own)}); checksDuplicates(body) {
		t.Errorf("the template's own choice is lost: %s", body)
	}
}
