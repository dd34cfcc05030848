package markup

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// closeAll writes the closing marks, innermost first; their room is owed.
func (w *writer) closeAll(open []mark) {
	for i := len(open) - 1; i >= 0; i-- {
		w.out = append(w.out, open[i].Close...)
		w.used += open[i].units
		w.owed -= open[i].units
	}
}

// reopen writes opening marks whose room was claimed.
func (w *writer) reopen(open []mark) {
	for _, m := range open {
		m.begin, m.before = len(w.out), w.before
		w.out = append(w.out, m.Open...)
		m.start = len(w.out)
		w.used += w.style.Unit.Len(m.Open)
		w.owed += m.units
		w.open = append(w.open, m)
		w.after(m.Open)
	}
}

// after notes that markup was written, for the character that follows.
func (w *writer) after(markup string) {
	if r, _ := utf8.DecodeLastRuneInString(markup); r != utf8.RuneError {
		w.before = r
	}
	if w.before == '\n' {
		w.before = 0
	}
}

// push opens a mark; the same mark inside itself does nothing.
func (w *writer) push(m Marks, lines bool) bool {
	if w.full || m.Open == "" && m.Close == "" {
		return false
	}
	for _, o := range w.open {
		if o.Marks == m || o.lines {
			return false
		}
	}
	w.flush()
	units := w.style.Unit.Len(m.Close)
	joint := ""
	if !lines && wordRune(w.before) {
		joint = w.style.Joint
	}
	if !w.claim(w.style.Unit.Len(joint) + w.style.Unit.Len(m.Open) + units) {
		return false
	}
	w.out = append(w.out, joint...)
	w.used += w.style.Unit.Len(joint)
	w.reopen([]mark{{Marks: m, units: units, lines: lines}})
	w.closed = false
	return true
}

// pop closes the innermost mark, or takes it back where it is empty.
func (w *writer) pop() {
	if w.full {
		return
	}
	last := len(w.open) - 1
	m := w.open[last]
	w.open = w.open[:last]
	if content := w.out[m.start:]; len(bytes.TrimSpace(content)) == 0 {
		w.used -= w.style.Unit.Len(m.Open) + w.style.Unit.Len(string(content))
		w.out = w.out[:m.begin]
		w.before = m.before
		w.owed -= m.units
		if w.safe.out > len(w.out) {
			w.safe = place{}
		}
		return
	}
	w.closeAll([]mark{m})
	w.closed = !m.lines
	w.after(m.Close)
}

// separate asks for n line breaks before what comes next.
func (w *writer) separate(n int) {
	if !w.fresh {
		w.pending = max(w.pending, n)
	}
}

// flush writes the line breaks that are due, with the prefix of the new line.
func (w *writer) flush() {
	if len(w.out) == 0 { // the text begins
		w.pending, w.fresh = 0, false
		if w.prefix != "" {
			w.putLineStart(w.prefix)
		}
		return
	}
	if w.pending == 0 {
		w.fresh = false
		return
	}
	n := w.pending
	w.pending, w.fresh = 0, false
	common := w.prefix
	if len(w.lastPrefix) < len(common) {
		common = w.lastPrefix
	}
	gap := strings.Repeat("\n"+strings.TrimRight(common, " "), max(n-1, 0))
	end := "\n"
	if n == 1 {
		end = w.lineEnd()
	}
	w.putLineStart(gap + end + w.prefix)
}

// lineEnd ends a line inside a paragraph, and as it is inside a code block.
func (w *writer) lineEnd() string {
	if w.style.Break == "" || len(w.open) > 0 && w.open[0].lines {
		return "\n"
	}
	return w.style.Break
}

// putLineStart writes line breaks and a prefix, unless a new piece begins just
// there, which has its prefix.
func (w *writer) putLineStart(s string) {
	pieces, units := len(w.done), w.style.Unit.Len(s)
	if w.full || !w.claim(units) {
		return
	}
	if len(w.done) == pieces || w.moved {
		w.out = append(w.out, s...)
		w.used += units
	}
	w.before, w.closed, w.lastPrefix = 0, false, w.prefix
}

// lineBreak begins a new line in running text. Marks that do not span lines
// are closed before it and opened again after it.
func (w *writer) lineBreak() {
	w.flush()
	if w.full {
		return
	}
	if len(w.open) == 0 || w.open[0].lines {
		w.pending = max(w.pending, 1)
		w.flush()
		return
	}
	open := w.open
	for _, m := range open {
		if len(bytes.TrimSpace(w.out[m.start:])) == 0 {
			return // nothing was written in it yet: the break would stand alone
		}
	}
	again := 0
	for _, m := range open {
		again += w.style.Unit.Len(m.Open) + m.units
	}
	end := w.lineEnd() + w.prefix
	units := w.style.Unit.Len(end)
	if !w.claim(again + units) {
		return
	}
	open = w.open // part may have begun a new piece
	w.open = nil
	w.closeAll(open)
	w.out = append(w.out, end...)
	w.used += units
	w.before, w.lastPrefix = 0, w.prefix
	w.reopen(open)
}
