package markup

import (
	"net/url"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"

	"github.com/relay-sidecar/relay"
)

func (w *writer) inlines(n ast.Node, source []byte) {
	for c := n.FirstChild(); c != nil && !w.full; c = c.NextSibling() {
		w.inline(c, source)
	}
}

func (w *writer) marked(m Marks, n ast.Node, source []byte) {
	pushed := w.push(m, false)
	w.inlines(n, source)
	if pushed && !w.full {
		w.pop()
	}
}

func (w *writer) inline(n ast.Node, source []byte) {
	switch n := n.(type) {
	case *ast.Text:
		value := string(n.Value(source))
		if n.IsRaw() {
			w.tokens(value, false)
		} else {
			w.escaped(value)
		}
		if n.SoftLineBreak() || n.HardLineBreak() {
			w.lineBreak()
		}
	case *ast.String:
		w.tokens(string(n.Value), false)
	case *ast.Emphasis:
		if n.Level == 1 {
			w.marked(w.style.Emphasis, n, source)
		} else {
			w.marked(w.style.Strong, n, source)
		}
	case *east.Strikethrough:
		w.marked(w.style.Strike, n, source)
	case *ast.CodeSpan:
		pushed := w.push(w.style.Code, false)
		w.tokens(w.label(n, source), true)
		if pushed && !w.full {
			w.pop()
		}
	case *ast.Link:
		w.link(string(util.URLEscape(n.Destination, true)), w.label(n, source), n, source)
	case *ast.Image:
		w.link(string(util.URLEscape(n.Destination, true)), w.label(n, source), n, source)
	case *ast.AutoLink:
		target := string(util.URLEscape(n.URL(source), false))
		if n.AutoLinkType == ast.AutoLinkEmail && !strings.HasPrefix(strings.ToLower(target), "mailto:") {
			target = "mailto:" + target
		}
		w.link(target, string(n.Label(source)), n, source)
	case *ast.RawHTML:
		w.tokens(string(n.Segments.Value(source)), false)
	default:
		w.inlines(n, source)
	}
}

// link writes a link, or only its text where the URL is none that may be
// linked or is too long for any piece.
func (w *writer) link(target, label string, n ast.Node, source []byte) {
	label = strings.Join(strings.Fields(label), " ")
	if !Linkable(target) {
		if n.HasChildren() {
			w.inlines(n, source)
		} else {
			w.tokens(label, false)
		}
		return
	}
	if label == "" {
		label = target
	}
	var markup string
	if w.style.Link != nil {
		markup = w.style.Link(target, label)
	} else if label == target {
		w.plain(target, false)
		return
	} else {
		w.plain(label, false)
		w.plain(" ("+target+")", false)
		return
	}
	if w.style.Unit.Len(markup) > w.each-w.owed-w.ellipsis {
		w.plain(label, false)
		return
	}
	w.atom(markup)
	w.closed = false
}

// Linkable reports whether a URL may become a link: http, https and mailto.
func Linkable(target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return u.Host != ""
	case "mailto":
		return u.Opaque != ""
	}
	return false
}

// label is the text of a node's children without any markup, with names for
// mentions.
func (w *writer) label(n ast.Node, source []byte) string {
	var b strings.Builder
	w.gather(&b, n, source)
	return b.String()
}

func (w *writer) gather(b *strings.Builder, n ast.Node, source []byte) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			if c.IsRaw() {
				b.WriteString(w.named(string(c.Value(source))))
			} else {
				for part, literal := range unescape(string(c.Value(source))) {
					if literal {
						b.WriteString(withoutTokens(part))
					} else {
						b.WriteString(w.named(part))
					}
				}
			}
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.AutoLink:
			b.Write(c.Label(source))
		case *ast.RawHTML:
			b.Write(c.Segments.Value(source))
		default:
			w.gather(b, c, source)
		}
	}
}

func withoutTokens(s string) string {
	return strings.Map(func(r rune) rune {
		if r == relay.MentionOpen || r == relay.MentionClose {
			return -1
		}
		return r
	}, s)
}
