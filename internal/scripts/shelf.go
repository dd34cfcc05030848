package scripts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/relay-sidecar/relay"
)

// Compiler compiles entries as [Compile] does. An error means that it could not
// be asked, or that its process ended.
type Compiler interface {
	Compile(ctx context.Context, files map[string][]byte, entries []string) ([]Compiled, error)
}

// shelf is one directory's scripts, each in its last good state.
type shelf struct {
	path    func(name string) string     // a file as a person finds it; nil: by its name
	seen    map[string][sha256.Size]byte // every file of the last update
	records map[string]*record
}

// record is what is known of one entry.
type record struct {
	code     []byte                  // of the last good version; nil: there was none yet
	sources  map[string]relay.Source // that it was made of
	inputs   []string                // nil: the newest version could not be compiled at all
	failures int                     // how often that happened
	problems []relay.TemplateError   // of the newest version
}

// maxFailures is how often an entry may make the compiler fail before it is
// left alone until some file changes: the compiler may have been ended by
// something else, but it must not be crashed over and over.
const maxFailures = 3

// batch is how many entries are compiled by one call: their programs are at
// most 1 MiB each and must fit into one message.
const batch = 12

// update compiles the entries whose files have changed. files holds everything
// that they may import.
func (s *shelf) update(ctx context.Context, compiler Compiler, files map[string][]byte, entries []string) error {
	seen := make(map[string][sha256.Size]byte, len(files))
	for name, contents := range files {
		seen[name] = sha256.Sum256(contents)
	}
	// A file that came or went can change what any import means.
	renamed := len(seen) != len(s.seen)
	for name := range seen {
		if _, ok := s.seen[name]; !ok {
			renamed = true
		}
	}
	records := make(map[string]*record, len(entries))
	var stale []string
	for _, entry := range entries {
		r := s.records[entry]
		if r == nil {
			r = &record{}
		}
		records[entry] = r
		changed := r.inputs == nil && r.failures < maxFailures || renamed
		for _, input := range r.inputs {
			changed = changed || seen[input] != s.seen[input]
		}
		if changed || len(r.problems) > 0 && !maps.Equal(seen, s.seen) {
			stale = append(stale, entry)
		}
	}
	compiled, err := compileAll(ctx, compiler, files, stale)
	if err != nil {
		return err
	}
	for _, c := range compiled {
		r := &record{code: c.Code, inputs: c.Inputs, problems: c.Problems}
		if c.Inputs == nil {
			r.failures = records[c.Name].failures + 1
		}
		if len(c.Problems) > 0 {
			r.code, r.sources = records[c.Name].code, records[c.Name].sources
			for i := range r.problems {
				p := &r.problems[i]
				p.Frame = frame(files[p.File], p.Line, p.Column)
				p.Hint = hint(p.Message, lineOf(files[p.File], p.Line), nil)
			}
		} else {
			r.sources = s.sources(files, c.Inputs)
		}
		records[c.Name] = r
	}
	s.seen, s.records = seen, records
	return nil
}

// sources are the files that a program was made of.
func (s *shelf) sources(files map[string][]byte, inputs []string) map[string]relay.Source {
	all := make(map[string]relay.Source, len(inputs))
	for _, name := range inputs {
		source := relay.Source{Path: name, Text: files[name]}
		if s.path != nil {
			source.Path = s.path(name)
		}
		all[name] = source
	}
	return all
}

// compileAll compiles in batches. Where a batch fails as a whole, perhaps
// because one entry ended the compiler's process, each of its entries is tried
// alone.
func compileAll(ctx context.Context, compiler Compiler, files map[string][]byte, entries []string) ([]Compiled, error) {
	var all []Compiled
	good := 0
	var last error
	for chunk := range slices.Chunk(entries, batch) {
		compiled, err := compiler.Compile(ctx, files, chunk)
		if err == nil && len(compiled) == len(chunk) {
			all = append(all, compiled...)
			good += len(chunk)
			continue
		}
		for _, entry := range chunk {
			compiled, err := compiler.Compile(ctx, files, []string{entry})
			if ctx.Err() != nil {
				return nil, fmt.Errorf("compile templates: %w", ctx.Err())
			}
			if err == nil && len(compiled) == 1 {
				all = append(all, compiled[0])
				good++
				continue
			}
			last = err
			all = append(all, Compiled{Name: entry, Problems: []relay.TemplateError{{File: entry,
				Message: fmt.Sprintf("the compiler failed on it: %v", err)}}})
		}
	}
	if len(entries) > 1 && good == 0 {
		return nil, fmt.Errorf("compile templates: %w", last)
	}
	return all, nil
}

// programs makes the shelf's programs. Those that did not change stay the same
// values.
func (s *shelf) programs(old map[string]*relay.Program, locales *relay.Locales) map[string]*relay.Program {
	programs := make(map[string]*relay.Program, len(s.records))
	for name, r := range s.records {
		if r.code == nil {
			continue
		}
		p := &relay.Program{Name: name, Revision: digest(r.code, []byte(locales.Revision)), Code: r.code, Locales: locales, Sources: r.sources}
		if before := old[name]; before != nil && before.Revision == p.Revision {
			p = before
		}
		programs[name] = p
	}
	return programs
}

// broken is what is wrong with scripts of which there is no good version.
func (s *shelf) broken() map[string]relay.TemplateError {
	all := make(map[string]relay.TemplateError)
	for name, r := range s.records {
		if r.code == nil && len(r.problems) > 0 {
			all[name] = r.problems[0]
		}
	}
	return all
}

// problems lists what is wrong with the newest versions, and what runs instead.
func (s *shelf) problems() []relay.Problem {
	var all []relay.Problem
	for _, name := range slices.Sorted(maps.Keys(s.records)) {
		r := s.records[name]
		for _, e := range r.problems {
			message := e.Message + " (left out until it is repaired)"
			if r.code != nil {
				message = e.Message + " (the last good version goes on)"
			}
			all = append(all, relay.Problem{File: e.File, Line: e.Line, Column: e.Column, Message: message, Frame: e.Frame, Hint: e.Hint})
		}
	}
	return all
}

// digest names content: 128 bits are far more than enough to tell versions of
// files apart.
func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
