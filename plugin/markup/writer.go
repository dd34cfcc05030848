package markup

import "github.com/relay-sidecar/relay"

// leastPiece is the room that makes another piece worth while.
const leastPiece = 32

// writer puts atoms, what must not be cut apart, into pieces of limited
// length. At any time the marks that are open can still be closed, and there
// is a place not far behind where an ellipsis fits too: the safe place. When
// something does not fit and no other piece may begin, the writer goes back to
// the safe place, writes the ellipsis, closes what is open there, and is full.
type writer struct {
	style       *Style
	people      []relay.Person
	each, total int
	ellipsis    int // units of Ellipsis

	done  []string // finished pieces
	spent int      // units of the finished pieces
	out   []byte   // the piece that is being written
	used  int      // units of out
	owed  int      // units of the closing marks of open
	open  []mark
	safe  place
	full  bool
	moved bool // the last new piece began with what was written of the current block

	blockCut   place // the end of the block before the current one: a good place to part
	blockStart place // where the current block begins, after the blank line

	pending    int    // line breaks to write before the next atom
	depth      int    // of quotations and lists inside each other
	prefix     string // of every line: quotations, indentation of lists
	lastPrefix string // of the last line written
	fresh      bool   // a list's marker was just written: the text follows on the same line
	before     rune   // the last character, for Escape; 0: a line begins
	number     int    // at the beginning of a line: 1 within a number, 2 behind its dot
	closed     bool   // a mark was just closed: a letter needs Joint
	scratch    []byte
}

// mark is markup that is open.
type mark struct {
	Marks
	units  int  // of Close
	begin  int  // where Open begins in out
	start  int  // where its content begins in out
	lines  bool // spans lines: not closed and opened again at their ends
	before rune // the character before Open
}

// place is a place in out to go back to.
type place struct {
	ok   bool
	out  int
	used int
	owed int
	open []mark
}

func newWriter(s *Style, people []relay.Person, each, total int) *writer {
	return &writer{style: s, people: people, each: each, total: total, ellipsis: s.Unit.Len(Ellipsis)}
}

// room is how many units the current piece may have.
func (w *writer) room() int { return min(w.each, w.total-w.spent) }

func (w *writer) here() place {
	return place{ok: true, out: len(w.out), used: w.used, owed: w.owed, open: append([]mark(nil), w.open...)}
}

// fits reports whether n more units fit, and keeps the safe place when they
// would leave no room for an ellipsis.
func (w *writer) fits(n int) bool {
	need := w.used + w.owed + n
	if need > w.room() {
		return false
	}
	if need+w.ellipsis > w.room() && !w.safe.ok {
		w.safe = w.here()
	}
	return true
}

// put writes an atom of n units.
func (w *writer) put(atom []byte, n int) {
	if w.full || !w.claim(n) {
		return
	}
	w.out = append(w.out, atom...)
	w.used += n
}

// claim makes room for n units: in this piece, in the next one, or, when there
// is none, not at all.
func (w *writer) claim(n int) bool {
	if w.fits(n) {
		return true
	}
	if w.part(n) && w.fits(n) {
		return true
	}
	w.cut()
	return false
}

// part ends the current piece and begins another one, if there may be one and
// n units would fit into it.
func (w *writer) part(n int) bool {
	if w.full || w.each >= w.total {
		return false
	}
	if w.blockStart.ok && w.blockCut.ok && w.blockCut.out > 0 {
		// What was written of the current block moves to the next piece.
		cut, start := w.blockCut, w.blockStart
		left := w.total - w.spent - cut.used
		if left < leastPiece || w.used-start.used+w.owed+n+w.ellipsis > min(w.each, left) {
			w.blockStart.ok = false
			return w.part(n)
		}
		w.done = append(w.done, string(w.out[:cut.out]))
		w.spent += cut.used
		w.out = append([]byte(nil), w.out[start.out:]...)
		w.used -= start.used
		for i := range w.open {
			w.open[i].begin -= start.out
			w.open[i].start -= start.out
		}
		w.safe, w.blockCut, w.blockStart = place{}, place{}, place{}
		w.moved = true
		return true
	}
	reopened := w.style.Unit.Len(w.prefix)
	for _, m := range w.open {
		reopened += w.style.Unit.Len(m.Open) + m.units
	}
	left := w.total - w.spent - w.used - w.owed
	if left < leastPiece+reopened || len(w.out) == 0 || n+reopened+w.ellipsis > min(w.each, left) {
		return false
	}
	open := w.open
	w.closeAll(open)
	w.done = append(w.done, string(w.out))
	w.spent += w.used
	w.out, w.used = []byte(w.prefix), w.style.Unit.Len(w.prefix)
	w.owed, w.open, w.safe = 0, nil, place{}
	w.blockCut, w.blockStart = place{}, place{}
	w.before, w.lastPrefix = 0, w.prefix
	w.reopen(open)
	w.moved = false
	return true
}

// cut ends everything at the safe place.
func (w *writer) cut() {
	if w.full {
		return
	}
	w.full = true
	if w.safe.ok {
		w.out, w.used, w.owed, w.open = w.out[:w.safe.out], w.safe.used, w.safe.owed, w.safe.open
	}
	if w.used+w.owed+w.ellipsis > w.room() {
		return // no room for anything at all
	}
	if len(w.open) == 0 {
		w.out = trimRight(w.out)
	}
	w.out = append(w.out, Ellipsis...)
	w.closeAll(w.open)
	w.open = nil
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\n') {
		b = b[:len(b)-1]
	}
	return b
}

// finish ends the text.
func (w *writer) finish() []string {
	for len(w.open) > 0 && !w.full {
		w.pop()
	}
	if out := trimRight(w.out); len(out) > 0 {
		w.done = append(w.done, string(out))
	}
	w.out = nil
	return w.done
}
