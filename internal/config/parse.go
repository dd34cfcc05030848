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

// parse reads the main file as one YAML document. nil: it is none, and a problem says why.
func (l *loader) parse() *yaml.Node {
	data, err := l.file(l.mainFile())
	if err != nil {
		l.problem(l.here(0, 0), "", "cannot be read: %s", err)
		return nil
	}
	return l.document(data)
}

// document reads the text of a file as one YAML document. nil: it is none, and
// a problem says why.
func (l *loader) document(data []byte) *yaml.Node {
	whole := func(format string, args ...any) *yaml.Node {
		l.problem(l.here(1, 1), "", format, args...)
		return nil
	}
	switch {
	case len(data) > maxFile:
		return whole("is larger than 1 MiB; take out what does not belong to it")
	case markOf(data) != "":
		return whole("the file begins with a byte order mark; save it as UTF-8 without one")
	case !utf8.Valid(data):
		line, column := badByte(data)
		l.problem(l.here(line, column), "", "the text is not UTF-8; save the file as UTF-8")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return whole("%s", emptyFile)
	case err != nil:
		l.syntax(data, err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		l.problem(l.here(second.Line, 1), "", "a second document begins here; a configuration is one document, so take out the ---")
		return nil
	case !errors.Is(err, io.EOF):
		l.syntax(data, err)
		return nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return whole("%s", emptyFile)
	}
	return root
}

// emptyFile is no configuration: it may be half of a write.
const emptyFile = "the file is empty; write {} where nothing but defaults is wanted"

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax reports what the parser says. Its line is often that of the block in
// which the fault is, so a tab, the usual culprit, is looked for.
func (l *loader) syntax(data []byte, err error) {
	line, message := 0, err.Error()
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1]) // no line: 0
		message = m[2]
	}
	for i, text := range strings.Split(string(data), "\n") {
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && i+1 >= line {
			l.problem(l.here(i+1, tab+1), "", "a tab in the indentation; YAML is indented by spaces")
			return
		}
	}
	hint := ""
	line = max(line, 1) // the parser leaves out the first one
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		if parts := strings.SplitN(message, "'", 3); len(parts) == 3 {
			before, _, _ := strings.Cut(string(data), "*"+parts[1])
			line = 1 + strings.Count(before, "\n")
		}
		message = "an alias, which begins with *, of an anchor that there is not" // its name may be a secret
		hint = "; quote a value that begins with *, or write the anchor before it"
	case strings.Contains(message, "mapping values are not allowed"):
		hint = "; quote a value that holds a colon and a space"
	case strings.Contains(message, "cannot start any token"):
		hint = "; quote a value that begins with @, ` or %"
	case strings.Contains(message, "did not find expected ','") && bytes.Contains(data, []byte("${")):
		hint = "; inside { } and [ ] a ${…} is written in quotes"
	case strings.Contains(message, "unexpected end of stream"):
		hint = "; a quote or a bracket is not closed: is the file whole?"
	case strings.Contains(message, "did not find expected"):
		hint = "; look at the indentation, brackets and quotes from here on"
	}
	l.problem(l.here(line, 1), "", "not YAML: %s%s", message, hint)
}

// badByte is where the text stops being UTF-8.
func badByte(data []byte) (line, column int) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		data = data[size:]
	}
	return line, column
}

// kindOf names what a value is, in words.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "text"
}
