package scripts

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// Set is everything that can be run, as of one load. It never changes and is
// safe for concurrent use.
type Set struct {
	Revision string // names the content of all programs together

	own, builtIn index
	programs     []*relay.Program
	problems     []relay.Problem
	broken       map[string]relay.TemplateError // by path: there is no program, and why
}

// defaultName is the template for everything that has none of its own.
const defaultName = "default"

// index finds the programs of one directory.
type index struct {
	files  map[string]*relay.Program            // path → program
	byName map[string]map[string]*relay.Program // directory → name without extension → template
}

func newSet(old *Set, builtIn, own *shelf, locales *relay.Locales, problems []relay.Problem) *Set {
	if old == nil {
		old = &Set{}
	}
	s := &Set{
		own:      newIndex(own.programs(old.own.files, locales)),
		builtIn:  newIndex(builtIn.programs(old.builtIn.files, locales)),
		problems: problems,
	}
	s.broken = own.broken()
	var all [][]byte
	for _, i := range []index{s.own, s.builtIn} {
		for _, name := range slices.Sorted(maps.Keys(i.files)) {
			all = append(all, []byte(name), []byte(i.files[name].Revision))
			if !strings.HasPrefix(name, sourcesDirectory) {
				s.programs = append(s.programs, i.files[name])
			}
		}
		all = append(all, nil)
	}
	s.Revision = digest(all...)
	return s
}

func newIndex(files map[string]*relay.Program) index {
	i := index{files: files, byName: make(map[string]map[string]*relay.Program)}
	for _, file := range slices.Sorted(maps.Keys(files)) { // .ts comes after .js and wins
		directory, base := path.Split(file)
		directory = strings.TrimSuffix(directory, "/")
		if i.byName[directory] == nil {
			i.byName[directory] = make(map[string]*relay.Program)
		}
		i.byName[directory][strings.TrimSuffix(base, path.Ext(base))] = files[file]
	}
	return i
}

func (i index) find(provider, eventType string) *relay.Program {
	for _, directory := range []string{provider, ""} {
		if directory+"/" == sourcesDirectory {
			continue
		}
		for _, name := range []string{eventType, defaultName} {
			if p := i.byName[directory][name]; p != nil {
				return p
			}
		}
	}
	return nil
}

// named finds a path with or without its extension.
func (i index) named(file string) *relay.Program {
	if p := i.files[file]; p != nil {
		return p
	}
	directory, base := path.Split(file)
	return i.byName[strings.TrimSuffix(directory, "/")][base]
}

// Find is the template of an event type for a provider: <provider>/<type>,
// <provider>/default, <type>, default, all four in the operator's directory
// first and then among the built-in ones. It is nil only where there is no
// built-in default.
func (s *Set) Find(provider, eventType string) *relay.Program {
	name := strings.ReplaceAll(eventType, "/", ".")
	if p := s.own.find(provider, name); p != nil {
		return p
	}
	return s.builtIn.find(provider, name)
}

// BuiltIn is what Find falls back to: the built-in template, whatever is in the
// operator's directory.
func (s *Set) BuiltIn(provider, eventType string) *relay.Program {
	return s.builtIn.find(provider, strings.ReplaceAll(eventType, "/", "."))
}

// Named is the template with a path below the templates directory, with or
// without its extension; the operator's first. It is nil where there is none.
func (s *Set) Named(file string) *relay.Program {
	file = path.Clean(file)
	if strings.HasPrefix(file, sourcesDirectory) {
		return nil
	}
	if p := s.own.named(file); p != nil {
		return p
	}
	return s.builtIn.named(file)
}

// Broken is why Named finds no template at a path: what is wrong with the file
// that is there, or that there is none.
func (s *Set) Broken(file string) *relay.TemplateError {
	file = path.Clean(file)
	for _, name := range []string{file, file + ".ts", file + ".js"} {
		if e, ok := s.broken[name]; ok {
			return &e
		}
	}
	return &relay.TemplateError{File: file, Message: noTemplate}
}

// Missing reports whether there is nothing at a template's path: no program, nor
// a file that could not be compiled.
func (s *Set) Missing(file string) bool {
	return s.Named(file) == nil && s.Broken(file).Message == noTemplate
}

const noTemplate = "there is no such template"

// Source is the source script of a name such as "bytebase", or of a path such
// as "sources/github.ts"; the operator's first. It is nil where there is none.
func (s *Set) Source(name string) *relay.Program {
	file := sourcesDirectory + strings.TrimPrefix(path.Clean(name), sourcesDirectory)
	if p := s.own.named(file); p != nil {
		return p
	}
	return s.builtIn.named(file)
}

// BrokenSource reports whether there is a source script of a name and no good
// version of it.
func (s *Set) BrokenSource(name string) bool {
	file := sourcesDirectory + path.Clean(name)
	for _, extension := range []string{".ts", ".js"} {
		if _, ok := s.broken[file+extension]; ok {
			return true
		}
	}
	return false
}

// Sources lists the names of every source script, sorted.
func (s *Set) Sources() []string {
	all := map[string]bool{}
	for _, i := range []index{s.own, s.builtIn} {
		for name := range i.byName[strings.TrimSuffix(sourcesDirectory, "/")] {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Own reports whether a template of this set is the operator's.
func (s *Set) Own(p *relay.Program) bool { return p != nil && s.own.files[p.Name] == p }

// Programs lists every template, the operator's first and each part sorted by
// name. Source scripts are not among them. The slice belongs to the set.
func (s *Set) Programs() []*relay.Program { return s.programs }

// Problems lists what is wrong with files, sorted by place. The slice belongs
// to the set.
func (s *Set) Problems() []relay.Problem { return s.problems }
