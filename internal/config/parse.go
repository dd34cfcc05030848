package config

import (
	"bytes"
	"errors"
	"io"
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
		l.syntax(data)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		l.problem(l.here(second.Line, 1), "", "a second document begins here; a configuration is one document, so take out the ---")
		return nil
	case !errors.Is(err, io.EOF):
		l.syntax(data)
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
