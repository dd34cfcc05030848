package scripts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/relay-sidecar/relay"
)

// Options say where scripts come from.
type Options struct {
	BuiltIn  fs.FS        // the files that ship with relay
	Dir      string       // the operator's directory; it need not exist
	Compiler Compiler     // usually a Client
	Logger   *slog.Logger // default: slog.Default()
}

// Library holds the last good state of every template and source script. Its
// methods may be called concurrently; loads run one after the other.
type Library struct {
	options Options

	mu             sync.Mutex // guards the fields below
	builtIn        shelf
	own            shelf
	builtInLocales translations
	ownLocales     translations
	ownFiles       map[string][]byte // of the last time that the directory could be read
	set            *Set
}

// NewLibrary makes an empty library; nothing is read before [Library.Load].
func NewLibrary(o Options) *Library {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Library{options: o}
}

// Load reads all files, compiles what changed, and answers what to run from now
// on. Faults of files are no error: the set lists them. An error means that
// nothing could be compiled at all; the library is as before.
//
// Built-in templates are compiled from the built-in files alone, so that
// nothing in the operator's directory can break what relay falls back to. The
// operator's may import both, and theirs win where names are the same.
func (l *Library) Load(ctx context.Context) (*Set, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	builtIn, problems, err := readFiles(l.options.BuiltIn)
	if err != nil {
		return nil, fmt.Errorf("read the built-in templates: %w", err)
	}
	own, ownProblems := l.readOwn()
	merged := maps.Clone(builtIn)
	maps.Copy(merged, own)
	l.own.path = func(name string) string { return l.path(name, own, builtIn) }
	if err := l.builtIn.update(ctx, l.options.Compiler, builtIn, entries(builtIn)); err != nil {
		return nil, err
	}
	if err := l.own.update(ctx, l.options.Compiler, merged, entries(own)); err != nil {
		return nil, err
	}
	l.ownFiles = own

	problems = append(problems, l.builtInLocales.update(builtIn)...)
	problems = append(problems, l.builtIn.problems()...)
	ownProblems = append(ownProblems, l.ownLocales.update(own)...)
	ownProblems = append(ownProblems, l.own.problems()...)
	for _, p := range ownProblems {
		p.File = l.path(p.File, own, builtIn)
		problems = append(problems, p)
	}
	slices.SortFunc(problems, func(a, b relay.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	// A fault in a file that several templates import is one fault.
	problems = slices.Compact(problems)

	set := newSet(l.set, &l.builtIn, &l.own, mergeLocales(l.builtInLocales.good, l.ownLocales.good), problems)
	l.log(set)
	l.set = set
	return set, nil
}

// path is a file as a person finds it: built-in ones are nowhere on the disk.
func (l *Library) path(name string, own, builtIn map[string][]byte) string {
	if _, theirs := own[name]; !theirs {
		if _, shipped := builtIn[name]; shipped {
			return name
		}
	}
	return filepath.Join(l.options.Dir, filepath.FromSlash(name))
}

// readOwn reads the operator's directory. One that cannot be read is a problem,
// and the files stay what they were.
func (l *Library) readOwn() (map[string][]byte, []relay.Problem) {
	if l.options.Dir == "" {
		return nil, nil
	}
	files, problems, err := readFiles(os.DirFS(l.options.Dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return l.ownFiles, []relay.Problem{{File: ".", Message: fmt.Sprintf("the templates directory cannot be read: %v", bare(err))}}
	}
	return files, problems
}

// log says what changed since the last load: each problem once, and that they
// are over.
func (l *Library) log(set *Set) {
	var before []relay.Problem
	if l.set != nil {
		before = l.set.problems
	}
	for _, p := range set.problems {
		if !slices.Contains(before, p) {
			l.options.Logger.Error("template problem", "problem", p.Error(), "frame", p.Frame)
		}
	}
	if l.set == nil || l.set.Revision != set.Revision || len(before) > 0 && len(set.problems) == 0 {
		l.options.Logger.Info("templates loaded", "revision", set.Revision, "templates", len(set.programs), "problems", len(set.problems))
	}
}

// entries are the files that are compiled, sorted.
func entries(files map[string][]byte) []string {
	var names []string
	for name := range files {
		if isEntry(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
