package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/relay-sidecar/relay/plugin/launch"
)

// Source says where a provider's plugin comes from and how it is started. The
// zero File is relay's own executable.
type Source struct {
	Name   string // of the provider
	Origin string // what operators see: built-in, or the file
	File   string // absolute path of the executable
	Args   []string
	Dir    string // where it runs
	// InPlace: File is an interpreter that belongs to the system. It runs where
	// it is; anything else runs from a private copy.
	InPlace bool
	Scripts []string // absolute paths of arguments that are files: a change of one is a change of the plugin
	// SHA256 is what the executable, or an interpreter's first script, must have;
	// lower case, empty: anything.
	SHA256   string
	Env      []string // NAME=value
	AutoMTLS bool
	// Memory is how many bytes a process may have resident before another one
	// takes its place; 0: any number.
	Memory int64
}

// BuiltIn is the source of a provider that is part of relay.
func BuiltIn(name string) Source { return Source{Name: name, Origin: originBuiltIn} }

const originBuiltIn = "built-in"

func (s Source) builtIn() bool { return s.File == "" }

// said is the file that faults are said about: of an interpreter its script.
func (s Source) said() string {
	switch {
	case s.builtIn():
		return "the built-in plugin " + s.Name
	case s.InPlace && len(s.Scripts) > 0:
		return s.Scripts[0]
	}
	return s.File
}

// same reports whether both start the same thing in the same way.
func (s Source) same(o Source) bool {
	return s.File == o.File && s.Dir == o.Dir && s.InPlace == o.InPlace && s.SHA256 == o.SHA256 && s.AutoMTLS == o.AutoMTLS && s.Memory == o.Memory &&
		slices.Equal(s.Args, o.Args) && slices.Equal(s.Scripts, o.Scripts) && slices.Equal(s.Env, o.Env)
}

// Files are the files whose content the plugin is.
func (s Source) Files() []string {
	switch {
	case s.builtIn():
		return nil
	case s.InPlace:
		return s.Scripts
	}
	return append([]string{s.File}, s.Scripts...)
}

// digest names the content of the files now.
func (s Source) digest() (string, error) {
	sum := sha256.New()
	for _, path := range s.Files() {
		one, err := hashFile(path, nil)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, path, one)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// image is what a plugin is started from: an executable that was verified.
type image struct {
	source Source
	path   string // what runs
	pinned string // the file whose content sum is; empty: there is none to verify
	sum    string
	digest string // of all files, when it was made
}

// prepare verifies a source and makes the private copy that runs. Who changes
// the file afterwards changes nothing of what runs.
func (h *Host) prepare(s Source) (*image, error) {
	if s.builtIn() {
		return &image{source: s, path: h.o.Executable}, nil
	}
	if err := launch.Executable(s.File); err != nil {
		return nil, err
	}
	m := &image{source: s, path: s.File}
	var err error
	switch {
	case !s.InPlace:
		err = h.copyTo(m)
	case len(s.Scripts) > 0 && s.SHA256 != "":
		m.pinned = s.Scripts[0]
		m.sum, err = hashFile(m.pinned, nil)
	}
	if err != nil {
		return nil, err
	}
	if s.SHA256 != "" && s.SHA256 != m.sum {
		h.discard(m)
		of := s.said()
		if m.sum == "" {
			return nil, &launch.Error{File: of, What: "is an interpreter without a script, so that sha256 has nothing to pin", Hint: "name the script in command"}
		}
		return nil, &launch.Error{File: of, What: fmt.Sprintf("has the checksum %s, and sha256 wants %s", m.sum, s.SHA256),
			Hint: "if the change is yours, put the new checksum into relay.yaml"}
	}
	if m.digest, err = s.digest(); err != nil {
		h.discard(m)
		return nil, err
	}
	return m, nil
}

// intact reports whether what runs is still what was verified.
func (m *image) intact() bool {
	if m.pinned == "" {
		return true
	}
	sum, err := hashFile(m.pinned, nil)
	return err == nil && sum == m.sum
}

// copyTo gives an image a copy of its executable in relay's own directory, under
// a name that its content gives.
func (h *Host) copyTo(m *image) error {
	file := m.source.File
	if err := os.MkdirAll(h.o.Copies, 0o700); err != nil {
		return fmt.Errorf("make the directory of plugin copies: %w", err)
	}
	// While this file is open for writing, a fork elsewhere would inherit it, and
	// the kernel runs no file that somebody may write ("text file busy").
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	temp, err := os.CreateTemp(h.o.Copies, ".copy-")
	if err != nil {
		return fmt.Errorf("copy %s: %w", file, err)
	}
	defer os.Remove(temp.Name()) // fails once it is renamed
	sum, err := hashFile(file, temp)
	err = errors.Join(err, temp.Chmod(0o700), temp.Close())
	if err != nil {
		return fmt.Errorf("copy %s: %w", file, err)
	}
	m.sum = sum
	m.path = filepath.Join(h.o.Copies, filepath.Base(file)+"-"+sum[:12])
	m.pinned = m.path
	h.mu.Lock() // from here on nobody discards another image's copy that is this one, too
	defer h.mu.Unlock()
	if err := os.Rename(temp.Name(), m.path); err != nil {
		return fmt.Errorf("copy %s: %w", file, err)
	}
	h.copies[m] = true
	return nil
}

// maxExecutable is more than any plugin has; a file that grows for ever must
// not fill the disk.
const maxExecutable = 1 << 30

// hashFile reads a file, writes what it reads to copy (which may be nil), and
// gives its checksum.
func hashFile(path string, copy io.Writer) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var sum hash.Hash = sha256.New()
	to := io.Writer(sum)
	if copy != nil {
		to = io.MultiWriter(sum, copy)
	}
	n, err := io.Copy(to, io.LimitReader(f, maxExecutable+1))
	if err == nil && n > maxExecutable {
		err = &launch.Error{File: path, What: "is larger than 1 GiB", Hint: "is it a plugin?"}
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// discard gives an image up, unless a provider starts from it again, and removes
// its copy where that is no other image's.
func (h *Host) discard(m *image) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.providers {
		if p.image.Load() == m {
			return
		}
	}
	if !h.copies[m] {
		return
	}
	delete(h.copies, m)
	for other := range h.copies {
		if other.path == m.path {
			return
		}
	}
	os.Remove(m.path)
}

// start launches an image; a process that has not shaken hands when ctx ends is
// killed.
func (h *Host) start(ctx context.Context, m *image) (*launch.Process, error) {
	sockets, err := h.socketDir()
	if err != nil {
		return nil, fmt.Errorf("make a socket directory: %w", err)
	}
	s := m.source
	c := launch.Command{
		File: s.said(), Path: m.path, Args: s.Args, Dir: s.Dir, Env: s.Env, AutoMTLS: s.AutoMTLS,
		Sockets: sockets, Parent: h.parent, Logger: h.o.Logger.With("plugin", s.Name), Mask: h.o.Mask,
	}
	if s.Memory > 0 {
		// Go's collector works harder from here on, before the bound is met.
		c.Env = append([]string{fmt.Sprintf("GOMEMLIMIT=%d", s.Memory-s.Memory/8)}, s.Env...)
	}
	if s.builtIn() {
		c.Args = []string{"plugin", "serve", s.Name}
	}
	return launch.Start(ctx, c)
}
