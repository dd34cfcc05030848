package scripts

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
)

// Limits of source, held before any compiler reads it.
const (
	// maxSource is the longest file: a template is a page or two.
	maxSource = 256 << 10
	// maxNesting is the deepest nesting of brackets. Compilers recurse, and
	// source that is deep enough ends their process.
	maxNesting = 1000
	// maxOperators is the most operators, parentheses and spaces between two of
	// ; , { }. A chain such as !!!!… nests as deep without a bracket; 150,000
	// end the process.
	maxOperators = 20_000
	// maxCommas is the most commas side by side. The bundler takes minutes for a
	// chain of 100,000 (its time grows with the square), half a second for this.
	maxCommas = 5000
	// maxBundle is the longest program: it is sent to every plugin.
	maxBundle = 1 << 20
)

// scan says what is wrong with a file before it is compiled. It counts brackets
// in strings and comments too: the limit is far above what is written by hand.
func scan(name string, source []byte) []relay.TemplateError {
	if len(source) > maxSource {
		return []relay.TemplateError{{File: name, Message: fmt.Sprintf(
			"it is longer than %d KiB; a template is a page or two", maxSource>>10)}}
	}
	if !utf8.Valid(source) {
		return []relay.TemplateError{{File: name, Message: "it is not UTF-8"}}
	}
	code := isScript(name) // and no JSON, whose lists may be long
	depth, operators := 0, 0
	var commas [maxNesting + 2]int // by depth
	for i, c := range source {
		switch c {
		case '(', '[', '{':
			depth++
			commas[depth] = 0
		case ';':
			commas[depth] = 0
		case ',':
			commas[depth]++
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
		switch c {
		case ';', ',', '{', '}':
			operators = 0
		case '!', '~', '+', '-', '*', '/', '%', '=', '<', '>', '&', '|', '^', '?', ':', '.', '$', '`', '(', ' ', '\t', '\n':
			operators++
		}
		switch {
		case depth > maxNesting:
			return tooDeep(name, source, i, fmt.Sprintf("brackets are nested deeper than %d levels", maxNesting))
		case code && commas[depth] > maxCommas:
			return tooDeep(name, source, i, fmt.Sprintf("there are more than %d commas in one list; import large data from a .json file", maxCommas))
		case code && operators > maxOperators:
			return tooDeep(name, source, i, fmt.Sprintf("there are more than %d operators in one expression", maxOperators))
		}
	}
	return nil
}

func tooDeep(name string, source []byte, at int, message string) []relay.TemplateError {
	line := bytes.Count(source[:at], []byte("\n")) + 1
	begin := bytes.LastIndexByte(source[:at], '\n') + 1
	return []relay.TemplateError{{File: name, Line: line, Column: utf8.RuneCount(source[begin:at]) + 1, Message: message}}
}
