package watch

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// notices is the part that the system may refuse: it asks for notices about all
// that can change what the paths hold. Without it, polling goes on.
type notices struct {
	logger  *slog.Logger
	watcher *fsnotify.Watcher
	warned  bool
	asked   map[string]fs.FileInfo // real path → what was there when it was asked for
}

func newNotices(o Options) *notices {
	n := &notices{logger: o.Logger, asked: map[string]fs.FileInfo{}}
	watcher, err := o.testOnlyNotify()
	if err != nil {
		n.warn(err)
		return n
	}
	n.watcher = watcher
	return n
}

// warn says once that changes are noticed late.
func (n *notices) warn(err error) {
	if !n.warned {
		n.warned = true
		n.logger.Warn("no notices of changed files; polling instead", "error", err)
	}
}

func (n *notices) close() {
	if n.watcher != nil {
		n.watcher.Close() // its only error is to be closed already
	}
}

// events is nil, which never comes, where there are no notices.
func (n *notices) events() chan fsnotify.Event {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Events
}

func (n *notices) errors() chan error {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Errors
}

// follows tells whether the path itself is watched, not only what is around it.
func (n *notices) follows(path string) bool {
	_, asked := n.asked[path]
	return asked
}

// forget makes follow ask again for what was replaced: the system's watch goes
// with the old file.
func (n *notices) forget(event fsnotify.Event) {
	if n.follows(event.Name) && event.Op&(fsnotify.Remove|fsnotify.Rename|fsnotify.Chmod) != 0 {
		n.drop(event.Name)
	}
}

func (n *notices) drop(path string) {
	_ = n.watcher.Remove(path) // gone with the file, perhaps
	delete(n.asked, path)
}

// follow asks for notices about all places of the paths and no others.
func (n *notices) follow(paths []string) {
	if n.watcher == nil {
		return
	}
	wanted := map[string]fs.FileInfo{}
	for _, path := range paths {
		places(path, wanted)
	}
	for path, was := range n.asked {
		if is, still := wanted[path]; !still || !os.SameFile(was, is) {
			n.drop(path)
		}
	}
	for path, info := range wanted {
		if _, asked := n.asked[path]; asked {
			continue
		}
		if err := n.watcher.Add(path); err == nil {
			n.asked[path] = info
		} else if !os.IsNotExist(err) {
			n.warn(err)
		}
	}
}

// places adds every directory and file whose change can change what path
// holds: each directory on the way that holds a link, the directory around the
// file and the file itself (a single-file bind mount sends its notices there);
// of a tree all its directories and files; of what does not exist, the nearest
// directory that does.
func places(path string, all map[string]fs.FileInfo) {
	add := func(place string) fs.FileInfo {
		info, err := os.Stat(place)
		if err != nil || len(all) > maxFiles {
			return nil
		}
		all[place] = info
		return info
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	const separator = string(filepath.Separator)
	rest := strings.Split(strings.Trim(path, separator), separator)
	at := separator
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			add(at)
			return
		case info.Mode()&fs.ModeSymlink != 0:
			add(at)
			target, err := os.Readlink(next)
			if links++; err != nil || links > 40 { // as many as the kernel follows
				return
			}
			if filepath.IsAbs(target) {
				at = separator
			}
			rest = append(strings.Split(strings.Trim(filepath.Clean(target), separator), separator), rest...)
		default:
			at = next
		}
	}
	add(filepath.Dir(at))
	if info := add(at); info != nil && info.IsDir() {
		tree(at, []fs.FileInfo{info}, all)
	}
}

// tree adds what is below a directory, also through links.
func tree(directory string, above []fs.FileInfo, all map[string]fs.FileInfo) {
	entries, err := os.ReadDir(directory)
	if err != nil || len(above) > maxDepth {
		return
	}
	for _, entry := range entries {
		if hidden(entry.Name()) || len(all) > maxFiles {
			continue
		}
		path := filepath.Join(directory, entry.Name())
		if entry.Type()&fs.ModeSymlink != 0 {
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				continue
			}
			path = real
		}
		info, err := os.Stat(path)
		if _, known := all[path]; err != nil || known {
			continue
		}
		if info.IsDir() || info.Mode().IsRegular() {
			all[path] = info
		}
		if info.IsDir() {
			tree(path, append(above[:len(above):len(above)], info), all)
		}
	}
}
