package config

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/relay-sidecar/relay"
)

// Limits of what comes from outside. A relay.yaml with a thousand destinations
// is about 200 KiB.
const (
	maxFile      = 1 << 20
	maxReference = 64 << 10 // a value from a file: a key or a certificate, not a document
	maxNodes     = 50_000   // after aliases are expanded
	maxText      = 4 << 20  // of all scalars, after aliases and references are expanded
	maxDepth     = 100
)

// loader is one load: what was read, and what was found on the way.
type loader struct {
	o    Options
	path string // as problems name it
	dir  string // relative paths of the file start here

	reading string // the file that is being read, as the main file names it; empty: the main file

	problems []relay.Problem
	warnings []relay.Problem

	absent  map[string]string  // executables of plugins that there are not, by provider
	schema  schema             // what the file has to fit
	read    map[string]content // by absolute path
	env     map[string]string  // what was asked of the environment → what it answered
	secrets map[string]bool
	nodes   int // spent of maxNodes
	text    int // spent of maxText
	spent   bool

	certificate tls.Certificate // of server.tls
	authorities []byte          // of egress.ca_file
}

type content struct {
	data []byte
	err  error
}

func newLoader(path string, o Options) *loader {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = readBounded
	}
	if o.Provider == nil {
		o.Provider = func(string) (Schemas, bool) { return Schemas{}, false }
	}
	l := &loader{o: o, path: path, dir: filepath.Dir(path), read: map[string]content{}, env: map[string]string{}, secrets: map[string]bool{}}
	if abs, err := filepath.Abs(l.dir); err == nil {
		l.dir = abs
	}
	return l
}

// readBounded reads no more than tells that a file is too large, and never
// waits for a pipe that nobody writes.
func readBounded(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, errors.New("it is a directory")
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// file reads a file once, however often it is named.
func (l *loader) file(path string) ([]byte, error) {
	c, known := l.read[path]
	if !known {
		c.data, c.err = l.o.ReadFile(path)
		if c.err != nil {
			c.err = plainError(c.err)
		}
		l.read[path] = c
	}
	return c.data, c.err
}

// plainError leaves out the path, which the problem names anyway.
func plainError(err error) error {
	switch pathError := (*fs.PathError)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("relay may not read it")
	case errors.As(err, &pathError):
		return pathError.Err
	}
	return err
}

func (l *loader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(l.dir, path)
}

func (l *loader) mainFile() string { return filepath.Join(l.dir, filepath.Base(l.path)) }

func (l *loader) files() []string {
	all := []string{l.mainFile()}
	for path := range l.read {
		all = append(all, path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// revision hashes all that the configuration is made from; lengths stand in
// between, so that nothing can pass for something else.
func (l *loader) revision() string {
	h := sha256.New()
	for _, path := range l.files() {
		c := l.read[path]
		fmt.Fprintf(h, "file %d %s %d %t\n", len(path), path, len(c.data), c.err != nil)
		h.Write(c.data)
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		fmt.Fprintf(h, "env %s %s\n", name, strconv.Quote(l.env[name]))
	}
	return shortHash(h.Sum(nil))
}

// shortHash is enough to tell contents apart; it protects nothing.
func shortHash(sum []byte) string { return hex.EncodeToString(sum)[:12] }

func (l *loader) allSecrets() []string { return slices.Sorted(maps.Keys(l.secrets)) }

// markOf names the byte order mark that a text begins with.
func markOf(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "UTF-8"
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "UTF-16"
	}
	return ""
}
