package watch

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bounds of one tree: a templates directory has tens of files. What lies
// beyond them is not watched.
const (
	maxFiles = 10_000
	maxDepth = 32
)

// settled is how old a file must be before its time stamp is trusted to tell
// the next change: clocks of file systems are as coarse as two seconds.
const settled = 3 * time.Second

type digest [sha256.Size]byte

// sight sees what paths hold, and reads only files whose stat changed.
type sight struct{ seen map[string]glance }

// glance is what a file was when it was read.
type glance struct {
	info     fs.FileInfo
	sum      string
	trusted  bool
	thisTime bool // it was looked at in the look that goes on now
}

func newSight() *sight { return &sight{seen: map[string]glance{}} }

// see gives the digest of each path now.
func (s *sight) see(paths []string) state {
	for path, g := range s.seen {
		g.thisTime = false
		s.seen[path] = g
	}
	now := state{}
	for _, path := range paths {
		var lines []string
		left := maxFiles
		s.walk(path, nil, &left, &lines)
		slices.Sort(lines)
		h := sha256.New()
		for _, line := range lines {
			fmt.Fprintf(h, "%d %s\n", len(line), line)
		}
		now[path] = digest(h.Sum(nil))
	}
	for path, g := range s.seen {
		if !g.thisTime {
			delete(s.seen, path)
		}
	}
	return now
}

// walk adds a line for the file at path, or for each file below it. It follows
// links, as those who read the files do; above is the chain of directories that
// led here, against links that lead in circles.
func (s *sight) walk(path string, above []fs.FileInfo, left *int, lines *[]string) {
	if *left--; *left < 0 {
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		*lines = append(*lines, path+" missing") // also: not to be reached
	case info.IsDir():
		circle := slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) })
		if circle || len(above) >= maxDepth {
			return
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			*lines = append(*lines, path+" unreadable")
			return
		}
		*lines = append(*lines, path+" directory")
		for _, entry := range entries {
			if !hidden(entry.Name()) {
				s.walk(filepath.Join(path, entry.Name()), append(above[:len(above):len(above)], info), left, lines)
			}
		}
	case info.Mode().IsRegular():
		*lines = append(*lines, path+" "+s.sum(path, info))
	default:
		*lines = append(*lines, path+" "+info.Mode().Type().String()) // reading a pipe would wait
	}
}

// hidden tells what is no part of a tree: swap files of editors, .git, and the
// ..data of a ConfigMap, whose files show under their own names as well.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || name == "node_modules" }

// sum is the hash of a file, read anew only where its stat is another one.
func (s *sight) sum(path string, info fs.FileInfo) string {
	if g, ok := s.seen[path]; ok && g.trusted && os.SameFile(g.info, info) &&
		g.info.Size() == info.Size() && g.info.ModTime().Equal(info.ModTime()) && g.info.Mode() == info.Mode() {
		g.thisTime = true
		s.seen[path] = g
		return g.sum
	}
	g := glance{info: info, thisTime: true, trusted: time.Since(info.ModTime()) > settled}
	if f, err := os.Open(path); err != nil {
		g.sum, g.trusted = "unreadable", false
	} else {
		h := sha256.New()
		_, err := io.Copy(h, f)
		f.Close()
		g.sum = string(h.Sum(nil))
		if err != nil {
			g.sum, g.trusted = "unreadable", false
		}
	}
	s.seen[path] = g
	return g.sum
}
