package scripts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// Limits of a templates directory. They keep a directory that was named by
// mistake from being read whole, and the files within one message to the
// compiler.
const (
	maxFiles     = 2000
	maxTotal     = 8 << 20
	maxDirectory = 16 // levels
)

const (
	localesDirectory = "locales/"
	libraryDirectory = "lib/"
	testsDirectory   = "testdata" // fixtures of relay template test
)

// readFiles reads every file that matters, links followed. Problems name files
// by their path below the directory. An error means that the directory as a
// whole could not be read.
func readFiles(fsys fs.FS) (map[string][]byte, []relay.Problem, error) {
	w := walker{fsys: fsys, files: make(map[string][]byte)}
	root, err := fs.Stat(fsys, ".")
	if err != nil {
		return nil, nil, err
	}
	if err := w.directory(".", []fs.FileInfo{root}); err != nil {
		return nil, nil, err
	}
	return w.files, w.problems, nil
}

type walker struct {
	fsys     fs.FS
	files    map[string][]byte
	total    int
	problems []relay.Problem
}

func (w *walker) problem(name, format string, args ...any) {
	w.problems = append(w.problems, relay.Problem{File: name, Message: fmt.Sprintf(format, args...)})
}

// directory reads one directory; above are the ones that lead to it, itself
// included.
func (w *walker) directory(name string, above []fs.FileInfo) error {
	if len(above) > maxDirectory {
		w.problem(name, "directories are nested deeper than %d levels", maxDirectory)
		return nil
	}
	entries, err := fs.ReadDir(w.fsys, name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		// Dot files are editors' and Kubernetes' own (..data).
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		child := path.Join(name, e.Name())
		if child == testsDirectory {
			continue
		}
		info, err := fs.Stat(w.fsys, child)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a dangling link, or gone since
		}
		switch {
		case err != nil:
			w.problem(child, "%v", bare(err))
		case info.IsDir():
			if slices.ContainsFunc(above, func(i fs.FileInfo) bool { return os.SameFile(i, info) }) {
				w.problem(child, "it is a link to a directory that it is in")
				continue
			}
			if err := w.directory(child, append(slices.Clip(above), info)); errors.Is(err, errTooMuch) {
				return err
			} else if err != nil {
				w.problem(child, "%v", bare(err))
			}
		case info.Mode().IsRegular() && matters(child):
			if err := w.file(child); err != nil {
				return err
			}
		}
	}
	return nil
}

func matters(name string) bool {
	return (isScript(name) || strings.HasSuffix(name, ".json")) && !strings.HasSuffix(name, ".d.ts")
}

// file reads one file, at most one byte more than the compiler takes.
func (w *walker) file(name string) error {
	if strings.ContainsAny(name, `%?#:\"<>`) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		w.problem(name, `a name may not hold any of %% ? # : \ " < >`)
		return nil
	}
	f, err := w.fsys.Open(name)
	if err != nil {
		w.problem(name, "%v", bare(err))
		return nil
	}
	defer f.Close()
	contents, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		w.problem(name, "%v", bare(err))
		return nil
	}
	w.files[name] = contents
	w.total += len(contents)
	if len(w.files) > maxFiles || w.total > maxTotal {
		return errTooMuch
	}
	return nil
}

var errTooMuch = fmt.Errorf("there are more than %d files or %d MiB in it; is it a templates directory?", maxFiles, maxTotal>>20)

// bare is an error without the operation and the path, which the problem names.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// isEntry reports whether a file is a template or a source script itself.
func isEntry(name string) bool {
	if !isScript(name) || strings.HasSuffix(name, ".d.ts") ||
		strings.HasPrefix(name, localesDirectory) || strings.HasPrefix(name, libraryDirectory) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, "_") {
			return false
		}
	}
	return true
}

// locale is the language of a file of translations.
func locale(name string) (language string, ok bool) {
	language, ok = strings.CutPrefix(name, localesDirectory)
	if !ok || strings.Contains(language, "/") {
		return "", false
	}
	return strings.CutSuffix(language, ".json")
}
