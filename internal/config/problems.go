package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// maxProblems bounds a report: nobody reads further, and status answers carry it.
const maxProblems = 100

// Problems is every fault of a file, in the order of the file.
type Problems []relay.Problem

var _ error = Problems(nil)

// Error prints each fault on a line of its own.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// With is the list with more faults of the file in their places, each said
// once. What is not of the file comes last.
func (p Problems) With(file string, more ...relay.Problem) Problems {
	rank := func(p relay.Problem) int {
		switch {
		case p.File != file:
			return 2
		case p.Line == 0:
			return 1 // it is of the file as a whole, or says how many more there are
		}
		return 0
	}
	all := slices.Concat(p, more)
	slices.SortStableFunc(all, func(a, b relay.Problem) int {
		if r := cmp.Compare(rank(a), rank(b)); r != 0 || rank(a) > 0 {
			return r
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(all)
}

// Unwrap takes the list apart, for answers that list faults.
func (p Problems) Unwrap() []error {
	all := make([]error, len(p))
	for i := range p {
		all[i] = p[i]
	}
	return all
}

// place is where something stands; lines and columns count from 1.
type place struct {
	line, column int
	file         string // empty: the main file
}

// here is a place in the file that is being read.
func (l *loader) here(line, column int) place { return place{line, column, l.reading} }

// name is the file that a place is in, as problems name it.
func (l *loader) name(at place) string {
	if at.file == "" {
		return l.path
	}
	return at.file
}

func (l *loader) problem(at place, path, format string, args ...any) {
	l.problems = append(l.problems, relay.Problem{File: l.name(at), Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// fault reports a value and keeps it from being judged any further.
func (l *loader) fault(n *node, format string, args ...any) {
	n.bad = true
	l.problem(n.at, n.path, format, args...)
}

func (l *loader) warn(n *node, format string, args ...any) {
	l.warnings = append(l.warnings, relay.Problem{File: l.name(n.at), Line: n.at.line, Column: n.at.column, Path: n.path, Message: fmt.Sprintf(format, args...)})
}

// report is what was found, sorted, each said once, without secrets and bounded.
func (l *loader) report() ([]relay.Problem, Problems) {
	var masker relay.Masker
	masker.Add(l.allSecrets()...)
	masker.Add(l.keys...)
	rank := func(p relay.Problem) int { // the main file's own come first
		if p.File == l.path {
			return 0
		}
		return 1
	}
	tidy := func(list []relay.Problem) []relay.Problem {
		for i := range list {
			list[i].Path = l.shownPath(list[i].Path)
		}
		slices.SortStableFunc(list, func(a, b relay.Problem) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
		})
		list = slices.Compact(list)
		if more := len(list) - maxProblems; more > 0 {
			list = append(list[:maxProblems:maxProblems], relay.Problem{File: l.path, Message: fmt.Sprintf("and %d more of these", more)})
		}
		for i := range list {
			list[i].Message = masker.Mask(list[i].Message)
		}
		return list
	}
	return tidy(l.warnings), Problems(tidy(l.problems))
}

// indexed is where something stands, and its path.
type indexed struct {
	at   place
	path string
}

// positions maps the JSON pointer of everything in the file to its place.
func positions(root *node) map[string]indexed {
	index := map[string]indexed{}
	var walk func(n *node, pointer string)
	walk = func(n *node, pointer string) {
		index[pointer] = indexed{n.at, n.path}
		for key, field := range n.fields {
			walk(field, pointer+"/"+escapePointer(key))
		}
		for i, item := range n.items {
			walk(item, fmt.Sprintf("%s/%d", pointer, i))
		}
	}
	walk(root, "")
	return index
}

func escapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

func unescapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// Problem turns what a plugin says about a destination's settings into a
// problem of the file. The pointer goes into the destination's own keys, or
// into its entry's settings; where the file has no such key, the problem stands
// at the nearest thing around it. An unknown destination gives a problem of the
// file as a whole.
func (c *Config) Problem(destination string, entrySettings bool, pointer, message string) relay.Problem {
	base := []string{"destinations", destination}
	if entrySettings {
		for _, d := range c.Destinations {
			if d.Name == destination {
				if _, written := c.index["/providers/"+escapePointer(d.Entry)]; written {
					base = []string{"providers", d.Entry}
				} else {
					pointer = "" // what is missing stands nowhere
				}
			}
		}
	}
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if token != "" {
			base = append(base, unescapePointer(token))
		}
	}
	p := c.Place(base...)
	var masker relay.Masker
	masker.Add(c.Secrets...)
	p.Message = masker.Mask(message)
	return p
}

// Place is where a key stands: a problem without words. The keys go from the
// top of the file down; where the last are not in the file, the place is that
// of the nearest one around them.
func (c *Config) Place(keys ...string) relay.Problem {
	p, pointer := relay.Problem{File: c.File}, ""
	for _, key := range keys {
		pointer += "/" + escapePointer(key)
		found, ok := c.index[pointer]
		if !ok {
			name, _ := nameOf(key)
			p.Path = strings.TrimPrefix(p.Path+"."+name, ".")
			continue
		}
		p.Path, p.Line, p.Column, p.File = found.path, found.at.line, found.at.column, c.File
		if found.at.file != "" {
			p.File = found.at.file
		}
	}
	return p
}
