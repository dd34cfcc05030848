package discord

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

func TestSizes(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀", "<", "_", "word ", "para\n\n", "**b** ", "[l](https://example.com/x) ", "```\nx\n```\n"} {
		for _, n := range []int{1, maxTitle - 1, maxTitle, maxTitle + 1, maxFieldValue, maxDescription, maxEmbedText + 1} {
			s := strings.Repeat(unit, n)
			m := relay.Message{Title: s, Text: s, Footer: s, Level: relay.LevelWarn, Link: "https://example.com/" + strings.Repeat("b", 2000),
				Actions: []relay.Action{{Text: s, URL: "https://example.com"}, {Text: s, URL: "https://example.com/" + strings.Repeat("c", 2000)}}}
			refuse(t, compose(t, portableOf(m)))
			for i := range 40 {
				m.Fields = append(m.Fields, relay.Field{Name: s, Value: s, Short: i%2 == 0})
			}
			refuse(t, compose(t, portableOf(m)))
			refuse(t, compose(t, relay.Rendered{Text: s}))
		}
	}
}

// TestCuts: what has its limit stays, what has one more is cut and marked.
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		make  func(s string) relay.Rendered
		read  func(m message) string
	}{
		{"title", maxTitle, func(s string) relay.Rendered { return portableOf(relay.Message{Title: s}) }, func(m message) string { return m.Embeds[0].Title }},
		{"description", maxDescription, func(s string) relay.Rendered { return portableOf(relay.Message{Text: s}) }, func(m message) string { return m.Embeds[0].Description }},
		{"field name", maxFieldName, func(s string) relay.Rendered {
			return portableOf(relay.Message{Fields: []relay.Field{{Name: s, Value: "v"}}})
		}, func(m message) string { return m.Embeds[0].Fields[0].Name }},
		{"field value", maxFieldValue, func(s string) relay.Rendered {
			return portableOf(relay.Message{Fields: []relay.Field{{Name: "n", Value: s}}})
		}, func(m message) string { return m.Embeds[0].Fields[0].Value }},
		{"footer", footerRoom, func(s string) relay.Rendered { return portableOf(relay.Message{Title: "t", Footer: s}) }, func(m message) string { return m.Embeds[0].Footer.Text }},
		{"content", maxContent, func(s string) relay.Rendered { return relay.Rendered{Text: s} }, func(m message) string { return m.Content }},
	} {
		for _, unit := range []string{"a", "字", "😀"} {
			for n, want := range map[int]string{
				c.limit - 1: strings.Repeat(unit, c.limit-1),
				c.limit:     strings.Repeat(unit, c.limit),
				c.limit + 1: strings.Repeat(unit, c.limit-1) + "…",
			} {
				body := compose(t, c.make(strings.Repeat(unit, n)))
				refuse(t, body)
				if got := c.read(decode(t, body)); got != want {
					t.Errorf("%s, %d × %s: got %d characters that end in %q", c.name, n, unit, len([]rune(got)), string([]rune(got)[len([]rune(got))-1:]))
				}
			}
		}
	}
}

func TestManyFields(t *testing.T) {
	for _, n := range []int{24, 25, 26, 500} {
		m := relay.Message{Title: "t"}
		for i := range n {
			m.Fields = append(m.Fields, relay.Field{Name: fmt.Sprint(i), Value: "v"}, relay.Field{Name: "empty"})
		}
		body := compose(t, portableOf(m))
		refuse(t, body)
		got := decode(t, body).Embeds[0].Fields
		if len(got) != min(n, maxFields) || (got[len(got)-1].Value == "…") != (n > maxFields) {
			t.Errorf("%d fields: got %d, the last one %+v", n, len(got), got[len(got)-1])
		}
	}
}

func TestNativeIsCheckedAgainstTheLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("字", n) }
	list := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	embed := func(inside string) string { return `{"embeds":[{` + inside + `}]}` }
	for name, c := range map[string]struct{ body, want string }{
		"no object":      {`[]`, "a JSON object"},
		"null":           {`null`, "a JSON object"},
		"nothing":        {`{"title":1}`, "no content, embeds, components or poll"},
		"blank":          {`{"content":" \n"}`, "no content, embeds"},
		"content":        {`{"content":"` + long(2001) + `"}`, "content has 2001 characters; discord allows 2000"},
		"content fits":   {`{"content":"  ` + long(2000) + `  "}`, ""},
		"emoji fit":      {`{"content":"` + strings.Repeat("😀", 2000) + `"}`, ""},
		"username":       {`{"content":"x","username":"` + long(81) + `"}`, "username has 81"},
		"thread name":    {`{"content":"x","thread_name":"` + long(101) + `"}`, "thread_name has 101"},
		"embeds":         {`{"embeds":` + list(`{"title":"x"}`, 11) + `}`, "embeds has 11 items; discord allows 10"},
		"embeds fit":     {`{"embeds":` + list(`{"title":"x"}`, 10) + `}`, ""},
		"title":          {embed(`"title":"` + long(257) + `"`), "embeds[0].title has 257 characters; discord allows 256"},
		"description":    {embed(`"description":"` + long(4097) + `"`), "embeds[0].description has 4097"},
		"author":         {embed(`"author":{"name":"` + long(257) + `"}`), "embeds[0].author.name has 257"},
		"footer":         {embed(`"footer":{"text":"` + long(2049) + `"}`), "embeds[0].footer.text has 2049"},
		"fields":         {embed(`"fields":` + list(`{"name":"n","value":"v"}`, 26)), "embeds[0].fields has 26 items"},
		"field name":     {embed(`"fields":[{"name":"` + long(257) + `","value":"v"}]`), "embeds[0].fields[0].name has 257"},
		"field value":    {embed(`"fields":[{"name":"n","value":"` + long(1025) + `"}]`), "embeds[0].fields[0].value has 1025"},
		"all embeds":     {`{"embeds":` + list(`{"description":"`+long(3001)+`"}`, 2) + `}`, "6002 characters together; discord allows 6000"},
		"all embeds fit": {`{"embeds":` + list(`{"description":"`+long(3000)+`"}`, 2) + `}`, ""},
		"users":          {`{"content":"x","allowed_mentions":{"users":` + list(`"1"`, 101) + `}}`, "allowed_mentions.users has 101"},
		"v2":             {`{"content":"x","flags":32768,"components":[{"type":10,"content":"y"}]}`, "IS_COMPONENTS_V2"},
		"components":     {`{"flags":32768,"components":[{"type":17,"components":` + list(`{"type":14}`, 40) + `}]}`, "components has 41 items; discord allows 40"},
		"display":        {`{"flags":32768,"components":[{"type":17,"components":[{"type":10,"content":"` + long(4001) + `"}]}]}`, "components[0].components[0].content has 4001"},
		"shape":          {`{"embeds":"x"}`, "embeds is a string"},
		"poll":           {`{"poll":{"question":{"text":"?"}}}`, ""},
	} {
		_, err := open(t, settings{URL: hook}).Compose(&plugin.Delivery{}, relay.Rendered{Native: json.RawMessage(c.body)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestEmptyMessageIsRefused(t *testing.T) {
	for _, r := range []relay.Rendered{portableOf(relay.Message{}), portableOf(relay.Message{Title: "\x00 ", Text: "\u202E", Footer: "f"}), {Text: "\x01"}} {
		if req, err := open(t, settings{URL: hook}).Compose(&plugin.Delivery{}, r); err == nil {
			t.Errorf("%+v: got %s", r, req.Body)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{hostile, "**a** _b_", "[x](<https://a b>)", "[\\[a\\](b)](https://c)", "> > > x\n- y\n  - z", "```\n`\n```", "<https://a|b>", "![<](https://x/<|>)", "\uE0000\uE001", "a\n***\nb"} {
		f.Add(s, 100)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 1), 500)
		for _, out := range []string{markdown.Markdown(s, []relay.Person{ann}, limit), markdown.Text(s, []relay.Person{ann}, limit)} {
			if n := len([]rune(out)); n > limit {
				t.Fatalf("%d characters, limit %d: %q", n, limit, out)
			}
			inert(t, out)
		}
	})
}

// inert fails where text outside of code holds a mention, an emoji, a time or
// the like that the template did not make, or a bare URL.
func inert(t *testing.T, out string) {
	t.Helper()
	code := false
	for i := 0; i < len(out); i++ {
		rest := out[i:]
		switch {
		case out[i] == '`':
			code = !code // an escaped one is skipped below; fences have three
		case code:
		case out[i] == '\\':
			i++
		case strings.HasPrefix(rest, "<@80351110224678912>"), strings.HasPrefix(rest, "<https://"), strings.HasPrefix(rest, "<http://"):
			i += strings.IndexByte(rest, '>')
		case strings.HasPrefix(rest, "](http"):
			i += strings.IndexByte(rest, ')')
		case out[i] == '<', out[i] == '@', strings.HasPrefix(rest, "://"):
			t.Fatalf("%q holds %.20q", out, rest)
		}
	}
	if strings.ContainsAny(out, "\x00\u202E\uE000\uE001") {
		t.Fatalf("%q holds what may not show", out)
	}
}

func BenchmarkCompose(b *testing.B) {
	d := open(b, settings{URL: hook})
	r := messages()["approval"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Compose(&plugin.Delivery{}, r); err != nil {
			b.Fatal(err)
		}
	}
}
