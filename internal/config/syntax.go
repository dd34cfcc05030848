package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The parser's own lines are those of the block around a fault, and mostly one
// too low. So the place is found anew: nearly every fault stands in the last
// line of the shortest beginning of the file that has it. What a cut-off file
// has, too, an open bracket or quote, stands where the parser says that it opens.

// syntax reports why a text is no YAML, and where.
func (l *loader) syntax(data []byte) {
	at, words := whyNoYAML(data)
	l.problem(l.here(at.line, at.column), "", "not YAML: %s", words)
}

// trickle hands out byte by byte, so that it tells how far the parser has read.
type trickle struct {
	data []byte
	read int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.read == len(t.data) || len(p) == 0 {
		return 0, io.EOF
	}
	p[0] = t.data[t.read]
	t.read++
	return 1, nil
}

var yamlWords = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parseError is what the parser says of a text: a line, its words, and how many
// lines it had read by then. It leaves out the line of what begins in the first
// one, so the text gets one before it.
func parseError(lines []string) (line int, words string, read int) {
	t := &trickle{data: []byte("\n" + strings.Join(lines, "\n") + "\n")}
	decoder := yaml.NewDecoder(t)
	var err error
	for range 2 { // a third document is not looked at
		var document yaml.Node
		if err = decoder.Decode(&document); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		return 0, "", len(lines)
	}
	words = err.Error()
	if m := yamlWords.FindStringSubmatch(words); m != nil {
		line, _ = strconv.Atoi(m[1]) // no line: 0
		words = m[2]
	}
	return line, words, min(len(lines), max(1, bytes.Count(t.data[:t.read], []byte("\n"))))
}

// shortest is the number of lines of the shortest beginning of a text that has
// the fault. The parser reads a little further than to the fault, or past many
// comments.
func shortest(lines []string, words string, read int) int {
	has := func(n int) bool {
		_, w, _ := parseError(lines[:n])
		return w == words
	}
	low, high := 0, read // none of low lines has it, all of high lines have it
	for step := 1; high-step > low; step *= 2 {
		if !has(high - step) {
			low = high - step
			break
		}
		high -= step
	}
	for low+1 < high {
		if middle := (low + high) / 2; has(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

var (
	keyWithoutSpace = regexp.MustCompile(`^\s*(?:- +)*["']?[\w.-]+["']?:[^\s/]|^\s*(?:- +)*(?:url|[\w.-]+_(?:url|base)):https?://`)
	badStart        = regexp.MustCompile("(?:^|[:,\\[{-])\\s*([@`%])")
	bareReference   = regexp.MustCompile("^[^\"'#]*[\\[{][^\"'#]*(\\$\\{)")
	starStart       = regexp.MustCompile(`(?:^|[:,\[{-])\s*([*&])(?:[^A-Za-z0-9_-]|$)`)
)

// whyNoYAML finds the place of what the parser does not take, and words for it
// that hold nothing of the text.
func whyNoYAML(data []byte) (place, string) {
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"), "\n")
	said, words, read := parseError(lines)
	within := func(line int) int { return min(max(line, 1), len(lines)) }
	switch words {
	case "control characters are not allowed":
		return control(data), "a control character, which editors may not show; take it out"
	case "did not find expected ',' or ']'", "did not find expected ',' or '}'":
		return unclosed(lines, words, within(said), read)
	case "found unexpected end of stream", "found unexpected document indicator":
		opens := within(said - 1) // it is the scanner's, which counts otherwise
		quote := max(0, strings.LastIndexAny(lines[opens-1], `"'`))
		return place{line: opens, column: columnOf(lines[opens-1], quote)}, "the quote that opens here is not closed; is the file whole?"
	case "did not find expected node content":
		if said > len(lines) {
			return beginOf(lines, len(lines)), "the file ends within brackets that are not closed; is it whole?"
		}
		return beginOf(lines, within(said)), "a value is missing here, or a quote around one that begins with ] } or ,"
	}
	n := shortest(lines, words, read)
	line := lines[n-1]
	at := beginOf(lines, n)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
		return place{line: n, column: tab + 1}, "a tab in the indentation; YAML is indented by spaces"
	}
	start := func(re *regexp.Regexp) (place, bool) {
		m := re.FindStringSubmatchIndex(line)
		if m == nil {
			return at, false
		}
		return place{line: n, column: columnOf(line, m[2])}, true
	}
	const unfit = "the line does not fit what stands above it; look at its indentation, and for a quote or bracket, at or before it"
	switch {
	case strings.HasPrefix(words, "unknown anchor"): // and the anchor's name, which may be a secret
		if _, rest, ok := strings.Cut(words, "'"); ok {
			name, _, _ := strings.Cut(rest, "'")
			at.column = columnOf(line, max(0, strings.Index(line, "*"+name)))
		}
		return at, "an alias, which begins with *, of an anchor that there is not; quote a value that begins with *, or write the anchor before it"
	case strings.Contains(words, "alphabetic or numeric character"):
		at, _ = start(starStart)
		return at, "quote a value that begins with * or &, such as \"*.created\""
	case strings.Contains(words, "cannot start any token"):
		at, _ = start(badStart)
		return at, "quote a value that begins with @, ` or %"
	case strings.Contains(words, "comment or line break"):
		return at, "quote a value that begins with | or >"
	case strings.Contains(words, "tag"), strings.Contains(words, "whitespace or line break"):
		return at, "quote a value that begins with !"
	case strings.Contains(words, "escape"), strings.Contains(words, "hexdecimal"):
		return at, `between double quotes a \ needs a second one; or use single quotes`
	case strings.Contains(words, "could not find expected ':'") && keyWithoutSpace.MatchString(line):
		return at, "put a space after the colon"
	case strings.Contains(words, "could not find expected ':'"):
		return at, "a key needs a colon and a space behind it, such as timeout: 10s"
	case strings.Contains(words, "mapping values are not allowed") && strings.Count(line+" ", ": ") > 1:
		value := strings.Index(line, ": ") + 1
		return place{line: n, column: columnOf(line, value+len(line[value:])-len(strings.TrimLeft(line[value:], " ")))}, "quote a value that holds a colon and a space"
	case strings.Contains(words, "mapping values are not allowed"),
		strings.Contains(words, "did not find expected key"), strings.Contains(words, "'-' indicator"), strings.Contains(words, "<document start>"):
		return at, unfit
	case strings.Contains(words, "sequence entries are not allowed"):
		return at, "a list begins on a line of its own; quote a value that begins with a dash and a space"
	}
	if strings.ContainsAny(words, "'`") {
		words = "the parser does not take it" // its words may repeat a part of the text
	}
	return at, words + "; look at this line and what stands before it"
}

// unclosed is for a list or mapping in brackets that does not go on as it should.
func unclosed(lines []string, words string, opens, read int) (place, string) {
	open, shut := "[", "]"
	if strings.HasSuffix(words, "'}'") {
		open, shut = "{", "}"
	}
	line := lines[opens-1]
	at := place{line: opens, column: columnOf(line, max(0, strings.Index(line, open)))}
	for n := opens; n <= read; n++ {
		if m := bareReference.FindStringSubmatchIndex(lines[n-1]); m != nil {
			return place{line: n, column: columnOf(lines[n-1], m[2])}, "inside { } and [ ] a ${…} is written in quotes"
		}
	}
	return at, "between this " + open + " and line " + strconv.Itoa(read) + " a comma, a quote or the " + shut + " is missing"
}

// beginOf is where a line has its first character.
func beginOf(lines []string, n int) place {
	line := lines[n-1]
	return place{line: n, column: columnOf(line, len(line)-len(strings.TrimLeft(line, " \t")))}
}

// columnOf counts the characters before a byte of a line.
func columnOf(line string, at int) int { return 1 + utf8.RuneCountInString(line[:at]) }

// control finds the first character that YAML does not allow.
func control(data []byte) place {
	at := place{line: 1, column: 1}
	for _, r := range string(data) {
		switch {
		case r == '\n':
			at.line, at.column = at.line+1, 1
			continue
		case r < ' ' && r != '\t' && r != '\r', r >= 0x7f && r < 0xa0 && r != 0x85, r > 0xfffd && r < 0x10000:
			return at
		}
		at.column++
	}
	return at
}
