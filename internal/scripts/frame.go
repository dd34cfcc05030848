package scripts

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxFrameLine bounds a line of a frame, in characters: generated files have
// lines of a megabyte.
const maxFrameLine = 120

// frame is the lines around a place, which counts from 1, with a caret below
// the place; empty where there is none.
func frame(source []byte, line, column int) string {
	lines := bytes.Split(source, []byte("\n"))
	if line < 1 || line > len(lines) {
		return ""
	}
	at := max(column, 1) - 1
	from := max(0, at-maxFrameLine*3/4) // the first character that is shown
	var b strings.Builder
	for n := max(1, line-1); n <= min(line+1, len(lines)); n++ {
		text := []rune(strings.TrimRight(string(lines[n-1]), "\r"))
		if n > line && len(text) == 0 && n == len(lines) {
			break // what follows the last line break is no line
		}
		shown := text[min(from, len(text)):min(from+maxFrameLine, len(text))]
		fmt.Fprintf(&b, "%5d | %s\n", n, string(shown))
		if n == line && column > 0 {
			b.WriteString("      | ")
			for _, r := range shown[:min(at-from, len(shown))] {
				switch {
				case r == '\t':
					b.WriteByte('\t')
				case r >= 0x1100 && utf8.RuneLen(r) >= 3: // wide, in most fonts
					b.WriteString("  ")
				default:
					b.WriteByte(' ')
				}
			}
			b.WriteString("^\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
