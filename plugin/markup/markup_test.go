package markup

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
)

// brackets is a style in which every mark is seen.
var brackets = Style{
	Strong:    Marks{"[b]", "[/b]"},
	Emphasis:  Marks{"[i]", "[/i]"},
	Strike:    Marks{"[s]", "[/s]"},
	Code:      Marks{"[c]", "[/c]"},
	CodeBlock: Marks{"[pre]\n", "\n[/pre]"},
	Heading:   func(level int) Marks { return Marks{strings.Repeat("#", level) + " ", ""} },
	Quote:     "> ",
	Escape: func(dst []byte, _, r, _ rune) []byte {
		if r == '&' {
			return append(dst, "&amp;"...)
		}
		return utf8.AppendRune(dst, r)
	},
	Link: func(url, label string) string { return "<" + url + "|" + label + ">" },
	Mention: func(p relay.Person) string {
		if p.Email != "" {
			return "<@" + p.Email + ">"
		}
		return ""
	},
}

var people = []relay.Person{{Name: "Ann", Email: "ann@example.com"}, {Name: "Bob & Co"}}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"text", "hello world", "hello world"},
		{"emphasis", "**a** _b_ ~~c~~ `d`", "[b]a[/b] [i]b[/i] [s]c[/s] [c]d[/c]"},
		{"nested", "**a _b_ c**", "[b]a [i]b[/i] c[/b]"},
		{"the same mark inside itself", "**a __b__ c**", "[b]a b c[/b]"},
		{"empty emphasis", "a **\u202E** b", "a  b"},
		{"lines", "a\nb  \nc", "a\nb\nc"},
		{"emphasis over lines", "**a\nb**", "[b]a[/b]\n[b]b[/b]"},
		{"paragraphs", "a\n\nb\n\n\nc", "a\n\nb\n\nc"},
		{"heading", "# A *b*\ntext\n## C", "# A [i]b[/i]\n\ntext\n\n## C"},
		{"quote", "a\n\n> b\n> c\n>\n> d\n\ne", "a\n\n> b\n> c\n>\n> d\n\ne"},
		{"quote first", "> b\n> > c", "> b\n>\n> > c"},
		{"list", "a\n- b\n- c\n  more\n\nd", "a\n\n• b\n• c\n  more\n\nd"},
		{"numbers", "3. b\n4. c", "3. b\n4. c"},
		{"nested list", "- a\n  - b\n    1. c\n- d", "• a\n  • b\n    1. c\n• d"},
		{"loose list", "- a\n\n  b\n- c", "• a\n\n  b\n• c"},
		{"list in a quote", "> - a\n> - b", "> • a\n> • b"},
		{"quote in a list", "- > a\n  > b", "• > a\n  > b"},
		{"code in a list", "- a\n\n  ```\n  x\n  ```", "• a\n\n  [pre]\n  x\n  [/pre]"},
		{"code block", "```sql\nSELECT *\n\n  FROM t & u\n```\nafter", "[pre]\nSELECT *\n\n  FROM t &amp; u\n[/pre]\n\nafter"},
		{"indented code", "    x\n    y", "[pre]\nx\ny\n[/pre]"},
		{"empty code block", "```\n```", ""},
		{"rule", "a\n\n---\n\nb", "a\n\n———\n\nb"},
		{"html", "<div>\n*x*\n</div>\n\na <b>c</b>", "<div>\n*x*\n</div>\n\na <b>c</b>"},
		{"link", "see [**the** `docs`](https://example.com/a?b=c&d \"t\").", "see <https://example.com/a?b=c&d|the docs>."},
		{"link by reference", "[a][r]\n\n[r]: https://example.com/r", "<https://example.com/r|a>"},
		{"bare link", "go to https://example.com/x_y_z.", "go to <https://example.com/x_y_z|https://example.com/x_y_z>."},
		{"autolink", "<https://example.com> <a@example.com>", "<https://example.com|https://example.com> <mailto:a@example.com|a@example.com>"},
		{"image", "![alt *x*](https://example.com/i.png)", "<https://example.com/i.png|alt x>"},
		{"bad links", "[a](javascript:alert) [b](data:text/html,x) [c](/rel) [d](https://) ![e](x)", "a b c d e"},
		{"escapes", `\*a\* \& &amp; &lt; &#65; &nosuch; \&lt;`, "*a* &amp; &amp; < A &amp;nosuch; &amp;lt;"},
		{"mentions", "hi \uE0000\uE001 and **\uE0001\uE001**", "hi <@ann@example.com> and [b]Bob &amp; Co[/b]"},
		{"mention in code and in a label", "`\uE0000\uE001` [\uE0000\uE001](https://example.com)", "[c]Ann[/c] <https://example.com|Ann>"},
		{"tokens that name nobody", "a\uE0007\uE001b \uE000x\uE001 \uE000 \uE001 \uE000-1\uE001", "ab x"},
		{"tokens spelled by references", "&#xE000;0&#xE001; [&#xE000;0&#xE001;](https://example.com) `&#xE000;`", "0 <https://example.com|0> [c]&amp;#xE000;[/c]"},
		{"what may not show", "a\x00b\u202Ec\u2066d\x1b[1m\x7f", "abcd[1m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brackets.Markdown(c.in, people, 1000); got != c.want {
				t.Errorf("%q:\n got %q\nwant %q", c.in, got, c.want)
			}
		})
	}
}

// A vendor whose lines need more than "\n" to end gets it inside paragraphs, not
// between them and not inside code.
func TestBreak(t *testing.T) {
	s := brackets
	s.Break = "  \n"
	in := "a\nb **c\nd**\n\n> e\n> f\n\n- g\n- h\n\n```\ni\nj\n```"
	want := "a  \nb [b]c[/b]  \n[b]d[/b]\n\n> e  \n> f\n\n• g  \n• h\n\n[pre]\ni\nj\n[/pre]"
	if got := s.Markdown(in, nil, 1000); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.Unit = Bytes
	for limit := range len(want) + 2 {
		got := s.Markdown(in, nil, limit)
		if len(got) > limit || (limit >= len(want)) != (got == want) {
			t.Errorf("limit %d: got %q", limit, got)
		}
	}
	if got, want := s.Text("a\nb\n\nc", nil, 100), "a  \nb  \n  \nc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlain(t *testing.T) {
	in := "# Title\n**a** [b](https://example.com/x) <https://example.com>\n> q\n- \uE0000\uE001 `c`"
	want := "Title\n\na b (https://example.com/x) https://example.com\n\nq\n\n• Ann c"
	if got := Plain(Runes).Markdown(in, people, 1000); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Plain(Runes).Line(" a\n b\t\uE0001\uE001 ", people, 100), "a b Bob & Co"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Names("x \uE0000\uE001 \uE0009\uE001", people), "x Ann "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		" a\r\nb *c* & \uE0000\uE001": "a\nb *c* &amp; <@ann@example.com>",
		"a\n\n\nb":                    "a\n\n\nb",
		"\x00\x01":                    "",
	} {
		if got := brackets.Text(in, people, 100); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀"} {
		for _, u := range []Unit{Runes, Bytes, UTF16} {
			size := u.Len(unit)
			for limit := range 30 {
				s := strings.Repeat(unit, limit/size) // the longest that fits
				if got := Cut(s, limit, u); got != s {
					t.Errorf("unit %d, limit %d: %q was cut to %q", u, limit, s, got)
				}
				if got := Plain(u).Text(s, nil, limit); got != s {
					t.Errorf("unit %d, limit %d: Text: %q was cut to %q", u, limit, s, got)
				}
				longer := s + unit
				want := ""
				if room := limit - u.Len(Ellipsis); room >= 0 {
					want = strings.Repeat(unit, room/size) + Ellipsis
				}
				if got := Cut(longer, limit, u); got != want {
					t.Errorf("unit %d, limit %d: got %q, want %q", u, limit, got, want)
				}
				if got := Plain(u).Text(longer, nil, limit); got != want {
					t.Errorf("unit %d, limit %d: Text: got %q, want %q", u, limit, got, want)
				}
			}
		}
	}
}

// Whatever the limit is, markup is whole: what opened is closed, escapes, links
// and mentions are there or not.
func TestCutLeavesMarkupWhole(t *testing.T) {
	in := "# Head & co\n\nThe **bold _and italic_ words** & `code &` of \uE0000\uE001, see [the link](https://example.com/a).\n\n> quoted ~~struck~~\n\n```\npre & formatted\n```\n\n1. one\n2. two"
	whole := brackets.Markdown(in, people, 10000)
	for _, u := range []Unit{Runes, Bytes, UTF16} {
		style := brackets
		style.Unit = u
		for limit := range u.Len(whole) + 3 {
			got := style.Markdown(in, people, limit)
			check(t, &style, got, limit)
			if fits := limit >= u.Len(whole); fits != (got == whole) || !fits && limit > u.Len(Ellipsis) && !strings.Contains(got, Ellipsis) {
				t.Errorf("unit %d, limit %d: got %q", u, limit, got)
			}
			for _, piece := range style.Split(in, people, limit, 3*limit) {
				check(t, &style, piece, limit)
			}
		}
	}
}

var quotes = regexp.MustCompile(`(?m)^>`)

func check(t *testing.T, style *Style, got string, limit int) {
	t.Helper()
	if n := style.Unit.Len(got); n > limit {
		t.Fatalf("limit %d: %q has %d units", limit, got, n)
	}
	for _, tag := range []string{"b", "i", "s", "c", "pre"} {
		if strings.Count(got, "["+tag+"]") != strings.Count(got, "[/"+tag+"]") {
			t.Fatalf("limit %d: %q leaves %s open", limit, got, tag)
		}
	}
	rest := strings.NewReplacer("&amp;", "", "<@ann@example.com>", "", "<https://example.com/a|the link>", "").Replace(got)
	if strings.ContainsAny(quotes.ReplaceAllString(rest, ""), "&<>|") {
		t.Fatalf("limit %d: %q holds a piece of markup", limit, got)
	}
}

func TestSplit(t *testing.T) {
	word := strings.Repeat("x", 50)
	for name, c := range map[string]struct {
		in          string
		each, total int
		want        []string
	}{
		"between blocks":      {word + "\n\n" + word + "\n\n" + word, 110, 1000, []string{word + "\n\n" + word, word}},
		"inside a block":      {"**" + word + word + "**", 60, 1000, []string{"[b]" + strings.Repeat("x", 53) + "[/b]", "[b]" + strings.Repeat("x", 47) + "[/b]"}},
		"inside a code block": {"```\n" + word + "\n" + word + "\n```", 70, 1000, []string{"[pre]\n" + word + "\nxxxxxx\n[/pre]", "[pre]\n" + word[6:] + "\n[/pre]"}},
		"the last is cut":     {word + "\n\n" + word + "\n\n" + word, 50, 120, []string{word, word}},
		"cut in the last":     {word + "\n\n" + word + "\n\n" + word, 50, 140, []string{word, word, strings.Repeat("x", 39) + "…"}},
	} {
		got := brackets.Split(c.in, nil, c.each, c.total)
		if name == "the last is cut" { // no room for a piece of its own: the mark goes to the second
			c.want = []string{word, strings.Repeat("x", 49) + "…"}
		}
		if strings.Join(got, "\n---\n") != strings.Join(c.want, "\n---\n") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestJoint(t *testing.T) {
	s := Style{Strong: Marks{"*", "*"}, Joint: "|"}
	for in, want := range map[string]string{"请**立即**处理": "请|*立即*|处理", "a **b** c": "a *b* c", "**b**, c": "*b*, c"} {
		if got := s.Markdown(in, nil, 100); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Text of 64 KiB that is made to be slow is written in a moment: in less than
// half a second, and ten times that where the machine is busy.
func TestHostileTextIsQuick(t *testing.T) {
	const size = 64 << 10
	for _, unit := range []string{">", "> ", "- ", "[", "![", "](", "*", "**a ", "_a_", "`", "`a``", "~~a", "<", "<a ", "&", "\\", "[a](", "#", "1. ", "\t", "\n", "[a]: b\n", "https://a.b/", "http", "a@b.c ", "|", "\uE000", "*a_ ", "a**b", "\n>\n", " - a\n", "[[a](b)](c)"} {
		began := time.Now()
		brackets.Split(strings.Repeat(unit, size/len(unit)), people, 1000, 3000)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q: took %s", unit, took)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("**a** & [b](https://example.com/a) \uE0000\uE001\n\n> c\n- d\n```\ne\n```", 20, 3)
	f.Add("&#xE000;0&#xE001; `", 5, 1)
	f.Fuzz(func(t *testing.T, in string, limit, pieces int) {
		limit, pieces = min(max(limit, 0), 300), min(max(pieces, 1), 5)
		for _, u := range []Unit{Runes, Bytes, UTF16} {
			style := brackets
			style.Unit = u
			total := 0
			for _, got := range style.Split(in, people, limit, limit*pieces) {
				if n := u.Len(got); n > limit {
					t.Fatalf("limit %d: %q has %d units", limit, got, n)
				}
				total += u.Len(got)
				if strings.ContainsAny(got, "\x00\uE000\uE001\u202E") {
					t.Fatalf("%q holds what may not show", got)
				}
				if utf8.ValidString(in) && !utf8.ValidString(got) {
					t.Fatalf("%q is not UTF-8", got)
				}
			}
			if total > limit*pieces {
				t.Fatalf("%d units in all, limit %d", total, limit*pieces)
			}
		}
	})
}

func BenchmarkMarkdown(b *testing.B) {
	in := "\uE0000\uE001 asks for your approval of **add index** in `demo`.\n\n> it is urgent\n\n- first\n- second, see [the docs](https://example.com/docs)"
	b.ReportAllocs()
	for b.Loop() {
		brackets.Markdown(in, people, 3000)
	}
}

func BenchmarkText(b *testing.B) {
	in := "a field's value of some forty characters, & more"
	b.ReportAllocs()
	for b.Loop() {
		brackets.Text(in, nil, 3000)
	}
}
