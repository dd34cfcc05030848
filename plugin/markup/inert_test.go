package markup

import (
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// inertStyle is markdown without escapes.
var inertStyle = Style{
	Escape: Inert,
	Strong: Marks{"**", "**"},
	Link: func(url, label string) string {
		return "[" + (&Style{Escape: InertLabel}).Line(label, nil, 500) + "](" + Target(url) + ")"
	},
}

// reader is a stranger's reader of markdown, with tables and the like.
var reader = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList)).Parser()

// found are the kinds of nodes that a reader sees, beside text and paragraphs.
func found(s string) map[ast.NodeKind]bool {
	kinds := make(map[ast.NodeKind]bool)
	_ = ast.Walk(reader.Parse(text.NewReader([]byte(s))), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n.Kind() {
		case ast.KindDocument, ast.KindParagraph, ast.KindTextBlock, ast.KindText, ast.KindString:
			return ast.WalkContinue, nil
		case ast.KindList, ast.KindListItem: // 1. stays a number
			return ast.WalkContinue, nil
		}
		kinds[n.Kind()] = true
		return ast.WalkContinue, nil
	})
	return kinds
}

func hostile() []string {
	return []string{
		"# a", "#a #b", "> a", "- a\n- b", "+ a", "* a", "---", "a\n===", "a\n---", "***", "~~~\na", "~~a~~", "`a` ```b```", "**a** *b* _c_ __d__ a*b*c",
		"[a](https://evil.example)", "[a]: https://evil.example\n\n[a]", "[a][b]", "![a](https://evil.example/a.png)", "](javascript:alert(1))",
		"<b>a</b>", "<https://evil.example>", "</at>", "<@all>", "<!-- a -->", "<font color=\"red\">a</font>", "| a | b |\n|---|---|\n| 1 | 2 |", "a | b\n:-- | --:\n1 | 2",
		`\*a\*`, "    code", "\tcode", "- [ ] task", "a  \nb", "\u202E*a*\x00", "*\u200b*a**", "！[a](b)",
	}
}

func TestInert(t *testing.T) {
	for _, s := range hostile() {
		if kinds := found(inertStyle.Text(s, nil, 1000)); len(kinds) > 0 {
			t.Errorf("%q became %q, which holds %v", s, inertStyle.Text(s, nil, 1000), kinds)
		}
	}
	for in, want := range map[string]string{
		"[prod] disk full: 97% of a_b, 3 * 4 < 5 <= 6 - 7!": "[prod] disk full: 97% of a_b, 3 * 4 < 5 ‹= 6 - 7!" + Hidden,
		"a\n# b":    "a\n" + Hidden + "# b",
		"_a_ __b_c": "ˍa_ ˍˍb_c",
	} {
		if got := inertStyle.Text(in, nil, 1000); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestInertKeepsIdentifiers(t *testing.T) {
	if got := inertStyle.Markdown("Index on **orders(created_at)** and a_b_c", nil, 1000); got != "Index on **orders(created_at)** and a_b_c" {
		t.Errorf("got %q", got)
	}
}

func TestTarget(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/x?y=1&z=2#f": "https://a.example/x?y=1&z=2#f",
		"https://a.example/(x) \"<>|*":  "https://a.example/%28x%29%20%22%3C%3E%7C%2A",
		"https://a.example/字\u202E":     "https://a.example/%E5%AD%97%E2%80%AE",
	} {
		if got := Target(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Whatever a sender writes, a stranger sees no markup in plain text, and in
// CommonMark only the links that CommonMark had.
func FuzzInert(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		if kinds := found(inertStyle.Text(s, nil, 1000)); len(kinds) > 0 {
			t.Fatalf("%q became %q, which holds %v", s, inertStyle.Text(s, nil, 1000), kinds)
		}
		out := inertStyle.Markdown(s, nil, 1000)
		for kind := range found(out) {
			switch kind {
			case ast.KindLink, ast.KindEmphasis, ast.KindCodeBlock: // code keeps its indentation
			default:
				t.Fatalf("%q became %q, which holds %v", s, out, kind)
			}
		}
	})
}
