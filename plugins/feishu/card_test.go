package feishu

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// TestSizes: whatever a template makes, the vendor takes it, signed and with a
// keyword, and what is cut is marked.
func TestSizes(t *testing.T) {
	b := newBot(t)
	b.secret, b.keyword = "Xk3Yv0a1b2c3d4e5f6g7h8", "relay"
	w := open(t, settings{URL: b.url(), Secret: b.secret, Keyword: b.keyword}, "")
	for _, unit := range []string{"a", "字", "😀", "<", "&", `"`, `\`, "word ", "para\n\n", "**b** ", "[l](https://example.com/x) ", "`c` ", "```\nx\n```\n\n", "> q\n\n", "- i\n"} {
		for _, n := range []int{1, maxTitle, maxFields, maxBody} {
			s := strings.Repeat(unit, max(n/len(unit), 1))
			m := relay.Message{Title: s, Text: s, Footer: s, Link: "https://example.com/" + strings.Repeat("l", maxURL-20), Image: &relay.Image{URL: "https://example.com", Alt: s}}
			for i := range 12 {
				m.Fields = append(m.Fields, relay.Field{Name: s, Value: s, Short: i%2 == 0})
				m.Actions = append(m.Actions, relay.Action{Text: s, URL: "https://example.com/" + strings.Repeat("a", 100*i)})
			}
			for _, r := range []relay.Rendered{portable(m), portable(relay.Message{Text: s}), {Text: s}} {
				if got := plugintest.Send(t, w, &plugin.Delivery{Attempt: 1}, r); got.Verdict != relay.Delivered {
					t.Errorf("%d × %q: got %s: %s", n/len(unit), unit, got.Verdict, got.Error)
				}
			}
		}
	}
	many := relay.Message{Title: "t"}
	for range 500 {
		many.Fields = append(many.Fields, relay.Field{Name: "n", Value: "v", Short: true})
		many.Actions = append(many.Actions, relay.Action{Text: "a", URL: "https://example.com"})
	}
	if got := plugintest.Send(t, w, &plugin.Delivery{Attempt: 1}, portable(many)); got.Verdict != relay.Delivered {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}

// TestTextIsCutAtTheLimit: a body of one byte less than the limit and of just
// the limit stays whole, one of a byte more is cut at a character and marked.
func TestTextIsCutAtTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		s    settings
		room int
		body func(s string) relay.Rendered
	}{
		"text":        {settings{URL: hook}, maxBody, func(s string) relay.Rendered { return relay.Rendered{Text: s} }},
		"signed text": {settings{URL: hook, Secret: "secret"}, maxBody - signatureLen, func(s string) relay.Rendered { return relay.Rendered{Text: s} }},
		"card":        {settings{URL: hook}, maxBody, func(s string) relay.Rendered { return portable(relay.Message{Title: "t", Text: s}) }},
		"signed card": {settings{URL: hook, Secret: "secret"}, maxBody - signatureLen, func(s string) relay.Rendered { return portable(relay.Message{Title: "t", Text: s}) }},
	} {
		w := open(t, c.s, "")
		frame := len(compose(t, w, c.body("x"))) - 1
		for _, unit := range []string{"a", "字", "😀"} {
			for _, room := range []int{c.room - 1, c.room, c.room + 1} {
				fill := room - frame // the rest of what one character more or less cannot fill
				s := strings.Repeat("a", fill%len(unit)) + strings.Repeat(unit, fill/len(unit))
				body := compose(t, w, c.body(s))
				if !utf8.Valid(body) {
					t.Errorf("%s: a character was cut apart", name)
				}
				switch whole := strings.Contains(string(body), `"`+s+`"`); {
				case room <= c.room && (!whole || len(body) != room):
					t.Errorf("%s of %d bytes of %s: not whole, %d bytes", name, room, unit, len(body))
				case room > c.room && (whole || len(body) > c.room || len(body) < c.room-2*utf8.UTFMax || !strings.Contains(string(body), unit+`…"`)):
					t.Errorf("%s of %d bytes of %s: %d bytes, …%s", name, room, unit, len(body), body[len(body)-60:])
				}
			}
		}
	}
}

func TestTitleAndButtonAreCutAtTheirLimits(t *testing.T) {
	w := open(t, settings{URL: hook}, "")
	for _, unit := range []string{"a", "字", "😀"} {
		for _, n := range []int{-1, 0, 1} {
			var got struct{ Card card }
			m := relay.Message{Title: strings.Repeat(unit, maxTitle+n), Actions: []relay.Action{{Text: strings.Repeat(unit, maxButton+n), URL: "https://example.com"}}}
			if err := json.Unmarshal(compose(t, w, portable(m)), &got); err != nil {
				t.Fatal(err)
			}
			want := func(limit int) string {
				if n <= 0 {
					return strings.Repeat(unit, limit+n)
				}
				return strings.Repeat(unit, limit-1) + "…"
			}
			if got := got.Card.Header.Title.Content; got != want(maxTitle) {
				t.Errorf("%d × %s: title %q", maxTitle+n, unit, got)
			}
			if got := got.Card.Body.Elements[0].Text.Content; got != want(maxButton) {
				t.Errorf("%d × %s: button %q", maxButton+n, unit, got)
			}
		}
	}
}

func TestEmptyMessageIsRefused(t *testing.T) {
	w := open(t, settings{URL: hook, Keyword: "k"}, "")
	for _, r := range []relay.Rendered{portable(relay.Message{}), portable(relay.Message{Title: "\x00 ", Text: "\u202E", Fields: []relay.Field{{Name: "n"}}}), {Text: "\x01"}} {
		if _, err := w.Compose(&plugin.Delivery{}, r); err == nil {
			t.Errorf("%+v: got no error", r)
		}
	}
}

func TestNativeIsChecked(t *testing.T) {
	list := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	card := func(elements string) string { return `{"schema":"2.0","body":{"elements":` + elements + `}}` }
	fill := func(n int) string {
		const frame = `{"msg_type":"text","content":{"text":""}}`
		return `{"msg_type":"text","content":{"text":"` + strings.Repeat("x", n-len(frame)) + `"}}`
	}
	for name, c := range map[string]struct{ body, want string }{
		"no object":        {`[]`, "a JSON object"},
		"null":             {`null`, "a JSON object"},
		"nothing":          {`{"foo":1}`, "no msg_type"},
		"another vendor's": {`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","text":"x"}]}`, `the type "AdaptiveCard", which is none of feishu's`},
		"a wrapped one":    {`{"msg_type":"interactive","card":{"type":"AdaptiveCard","body":[]}}`, `the type "AdaptiveCard"`},
		"body":             {`{"schema":"2.0","body":[{"tag":"markdown","content":"x"}]}`, "the card's body is an array"},
		"signed":           {`{"msg_type":"text","content":{"text":"x"},"sign":"x"}`, "relay's to make"},
		"unknown type":     {`{"msg_type":"markdown"}`, `msg_type "markdown" is not one`},
		"type no string":   {`{"msg_type":1}`, "not a string"},
		"text":             {`{"msg_type":"text","content":{"text":"x"}}`, ""},
		"text as string":   {`{"msg_type":"text","content":"x"}`, "content with text"},
		"post":             {`{"msg_type":"post","content":{"zh_cn":{}}}`, "content with post"},
		"image":            {`{"msg_type":"image","content":{"image_key":"img_x"}}`, ""},
		"share":            {`{"msg_type":"share_chat","content":{}}`, "content with share_chat_id"},
		"no card":          {`{"msg_type":"interactive","content":{}}`, "under the key card"},
		"card no object":   {`{"msg_type":"interactive","card":"x"}`, "not a JSON object"},
		"template":         {`{"type":"template","data":{"template_id":"x"}}`, ""},
		"first schema":     {`{"elements":[{"tag":"note","elements":[]},{"tag":"action","actions":[]}]}`, ""},
		"note":             {card(`[{"tag":"note"}]`), "card.body.elements[0] is a note, which card JSON 2.0 does not have"},
		"action":           {card(`[{"tag":"hr"},{"tag":"action"}]`), "card.body.elements[1] is a action"},
		"elements fit":     {card(list(`{"tag":"hr"}`, 200)), ""},
		"elements":         {card(list(`{"tag":"hr"}`, 201)), "201 elements; feishu allows 200"},
		"tables":           {card(list(`{"tag":"table"}`, 6)), "6 tables; feishu allows 5"},
		"button fits":      {card(`[{"tag":"button","text":{"tag":"plain_text","content":"` + strings.Repeat("字", 100) + `"}}]`), ""},
		"button":           {card(`[{"tag":"button","text":{"tag":"plain_text","content":"` + strings.Repeat("字", 101) + `"}}]`), "card.body.elements[0].text has 101 characters; feishu allows 100"},
		"tags":             {`{"schema":"2.0","header":{"text_tag_list":` + list(`{"tag":"text_tag"}`, 4) + `}}`, "4 tags; feishu allows 3"},
		"just below":       {fill(maxBody - 1), ""},
		"just full":        {fill(maxBody), ""},
		"too large":        {fill(maxBody + 1), "20001 bytes with its signature; feishu allows 20000"},
		"too large a card": {card(list(`{"tag":"markdown","content":"`+strings.Repeat("字", 1000)+`"}`, 7)), "feishu allows 20000"},
	} {
		w := open(t, settings{URL: hook}, "")
		_, err := w.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(c.body)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	signing := open(t, settings{URL: hook, Secret: "s"}, "")
	for n, ok := range map[int]bool{maxBody - signatureLen: true, maxBody - signatureLen + 1: false} {
		if _, err := signing.Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(fill(n))}); (err == nil) != ok {
			t.Errorf("%d bytes to be signed: got %v", n, err)
		}
	}
	if got := compose(t, signing, messages()["native"]); string(got) != string(messages()["native"].Native) {
		t.Errorf("a native message was changed: %s", got)
	}
}

func TestMention(t *testing.T) {
	for id, want := range map[string]string{
		"ou_ann": "<at id=ou_ann></at>", "gfa21d92": "<at id=gfa21d92></at>", "": "", "all": "", "ALL": "", "on_8ed6aa67": "", "oc_1": "", "cli_1": "",
		"ann@example.com": "", "ou_a></at><at id=all": "", "ou a": "", "ou_字": "", strings.Repeat("a", 65): "",
	} {
		if got := (directory{}).mention(relay.Person{IDs: map[string]string{"feishu": id}}); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
	both := relay.Person{IDs: map[string]string{"feishu": "ou_f", "lark": "ou_l"}}
	if f, l := (directory{}).id(both), (directory{lark: true}).id(both); f != "ou_f" || l != "ou_l" {
		t.Errorf("got %s and %s", f, l)
	}
	if got := (directory{lark: true}).id(relay.Person{IDs: map[string]string{"feishu": "ou_f"}}); got != "ou_f" {
		t.Errorf("got %q", got)
	}
}

// FuzzText: what a sender wrote as plain text is text to a reader of CommonMark
// that knows neither relay nor Feishu, to the last character.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"<at id=all></at>", "**a** _b_ ~~c~~ `d`", "[x](https://a)", "&lt;&#60;", "# h", "- a\n+ b\n* c\n1. d\n2) e", "> q", "---\n===", "| a |\n|---|",
		"```\nx", "    code", "[a]: https://x", "![i](k)", `\*`, "\x00#\u202E -", "<\x00at id=all>", "https://example.com ann@example.com", "a\n\u00a0- b", "1\x00. a", "x:OK: 10:30",
	} {
		f.Add(s)
	}
	style := markdown(directory{})
	reader := goldmark.New(goldmark.WithExtensions(extension.Strikethrough, extension.Table)).Parser()
	f.Fuzz(func(t *testing.T, s string) {
		out := style.Text(s, nil, 4000)
		if len(out) > 4000 {
			t.Fatalf("%d bytes", len(out))
		}
		err := ast.Walk(reader.Parse(text.NewReader([]byte(out))), func(n ast.Node, _ bool) (ast.WalkStatus, error) {
			switch n.(type) {
			case *ast.Document, *ast.Paragraph, *ast.Text, *ast.TextBlock:
			default:
				t.Fatalf("%q became %q, which holds a %s", s, out, n.Kind())
			}
			return ast.WalkContinue, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzMarkdown: what a sender wrote as CommonMark brings no tag but the mention
// that the template made, and only links to where they may lead.
func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{
		"<at id=all></at>", "**a** _b_ ~~c~~ `<at id=all></at>`", "[x](<https://a b>)", "&lt;at id=all&gt;&#xE000;0&#xE001;", "> > > x\n- y\n  - z",
		"```\n<at id=all></at>\n```", "[<at id=all></at>](https://a)", "[x](javascript:alert(1))", "![<](https://x/<|>)", token0, "a\n***\nb", "<https://a?<at>", "`` ` <at id=all></at> ``",
	} {
		f.Add(s, 200)
	}
	style := markdown(directory{})
	reader := goldmark.New(goldmark.WithExtensions(extension.Strikethrough)).Parser()
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 1), 2000)
		out := style.Markdown(s, []relay.Person{ann}, limit)
		if len(out) > limit {
			t.Fatalf("%d bytes, limit %d", len(out), limit)
		}
		if strings.Contains(out, "<at") && strings.ReplaceAll(out, "<at id=ou_ann></at>", "") != strings.ReplaceAll(strings.ReplaceAll(out, "<at id=ou_ann></at>", ""), "<at", "") {
			t.Fatalf("%q became %q", s, out)
		}
		source := []byte(out)
		_ = ast.Walk(reader.Parse(text.NewReader(source)), func(n ast.Node, enter bool) (ast.WalkStatus, error) {
			switch n := n.(type) {
			case *ast.RawHTML:
				if tag := string(n.Segments.Value(source)); tag != "<at id=ou_ann>" && tag != "</at>" {
					t.Fatalf("%q became %q, which holds %s", s, out, tag)
				}
			case *ast.HTMLBlock, *ast.Image, *ast.AutoLink:
				t.Fatalf("%q became %q, which holds a %s", s, out, n.Kind())
			case *ast.Link:
				if !linkable(string(n.Destination)) {
					t.Fatalf("%q became %q, which links to %s", s, out, n.Destination)
				}
			}
			return ast.WalkContinue, nil
		})
	})
}
