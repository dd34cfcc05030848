package markup

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// commonMark reads CommonMark, struck-out text and bare http links. It is
// never changed, and goldmark's parser may be used concurrently.
var commonMark = goldmark.New(goldmark.WithExtensions(
	extension.Strikethrough,
	extension.NewLinkify(extension.WithLinkifyAllowedProtocols([]string{"http:", "https:"})),
)).Parser()

const (
	// leastSource and sourceFactor bound how much text is read: so many bytes
	// for each unit that may be written. Reading made-up text can take time
	// that grows with the square of its length.
	leastSource  = 4 << 10
	sourceFactor = 4

	// maxDepth bounds the quotations and lists inside each other that show.
	maxDepth = 8
)

func (w *writer) document(source []byte) {
	longest := max(leastSource, sourceFactor*w.total)
	longer := len(source) > longest
	if longer {
		for longest > 0 && !utf8.RuneStart(source[longest]) {
			longest--
		}
		source = source[:longest]
	}
	doc := commonMark.Parse(text.NewReader(source), parser.WithContext(parser.NewContext()))
	for n := doc.FirstChild(); n != nil && !w.full; n = n.NextSibling() {
		if len(w.out) > 0 {
			w.blockCut = w.here()
		}
		w.separate(2)
		if len(w.out) == 0 {
			w.pending = 0
		}
		w.blockStart = place{}
		w.topBlock(n, source)
	}
	if longer {
		w.put([]byte(Ellipsis), w.ellipsis)
	}
}

// topBlock writes a block whose beginning is a place to part at.
func (w *writer) topBlock(n ast.Node, source []byte) {
	if w.pending > 0 && !w.prefixed(n) {
		w.flush()
		w.fresh = true // the blank line is there
		w.blockStart = w.here()
	}
	w.block(n, source)
}

// prefixed reports whether a block begins its lines with something of its own,
// which the line break before it has to know.
func (w *writer) prefixed(n ast.Node) bool { return n.Kind() == ast.KindBlockquote }

func (w *writer) block(n ast.Node, source []byte) {
	switch n := n.(type) {
	case *ast.Heading:
		w.separate(2)
		var marks Marks
		if w.style.Heading != nil {
			marks = w.style.Heading(n.Level)
		}
		w.marked(marks, n, source)
	case *ast.Paragraph:
		w.separate(2)
		w.inlines(n, source)
	case *ast.TextBlock:
		w.separate(1)
		w.inlines(n, source)
	case *ast.Blockquote:
		w.separate(2)
		if w.fresh { // on a line that has begun
			w.atom(w.style.Quote)
			w.before = 0 // what is quoted begins a line of its own
			w.fresh = true
		}
		leave := w.indent(w.style.Quote)
		w.blocks(n, source)
		leave()
		w.pending = max(w.pending, 2)
	case *ast.List:
		w.separate(2)
		w.list(n, source)
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		w.separate(2)
		w.codeBlock(n.Lines(), source)
	case *ast.HTMLBlock:
		w.separate(2)
		lines := string(n.Lines().Value(source))
		if n.HasClosure() {
			lines += string(n.ClosureLine.Value(source))
		}
		w.tokens(strings.TrimRight(lines, "\n"), false)
	case *ast.ThematicBreak:
		w.separate(2)
		rule := w.style.Rule
		if rule == "" {
			rule = "———"
		}
		w.atom(rule)
	case *ast.LinkReferenceDefinition:
	default:
		w.blocks(n, source)
	}
}

func (w *writer) blocks(n ast.Node, source []byte) {
	for c := n.FirstChild(); c != nil && !w.full; c = c.NextSibling() {
		w.block(c, source)
	}
}

func (w *writer) list(list *ast.List, source []byte) {
	bullet := w.style.Bullet
	if bullet == "" {
		bullet = "• "
	}
	number := list.Start
	for item := list.FirstChild(); item != nil && !w.full; item = item.NextSibling() {
		marker := bullet
		if list.IsOrdered() {
			marker = strconv.Itoa(number) + ". "
			number++
		}
		w.fresh = false
		if item != list.FirstChild() {
			w.separate(1)
		}
		w.atom(marker)
		w.before = 0 // what follows begins a line of its own
		leave := w.indent(strings.Repeat(" ", utf8.RuneCountInString(marker)))
		w.fresh = true
		for c := item.FirstChild(); c != nil && !w.full; c = c.NextSibling() {
			if c.Kind() == ast.KindList {
				w.separate(1)
				w.list(c.(*ast.List), source)
				continue
			}
			w.block(c, source)
		}
		leave()
		w.fresh = false
	}
}

// indent adds to the prefix of lines until leave is called.
func (w *writer) indent(by string) (leave func()) {
	prefix := w.prefix
	if w.depth++; w.depth <= maxDepth {
		w.prefix += by
	}
	return func() {
		w.depth--
		w.prefix = prefix
	}
}

func (w *writer) codeBlock(lines *text.Segments, source []byte) {
	code := strings.TrimRight(string(lines.Value(source)), "\n")
	marks := Marks{
		Open:  strings.ReplaceAll(w.style.CodeBlock.Open, "\n", "\n"+w.prefix),
		Close: strings.ReplaceAll(w.style.CodeBlock.Close, "\n", "\n"+w.prefix),
	}
	if !w.push(marks, true) {
		w.tokens(code, true)
		return
	}
	w.tokens(code, true)
	w.pop()
}
