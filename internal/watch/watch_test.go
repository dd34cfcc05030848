package watch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/relay-sidecar/relay/internal/watch"
)

// patience is how long a test waits for what has to come; it comes much sooner.
const patience = 5 * time.Second

// quiet keeps tests quick.
const quiet = 20 * time.Millisecond

// run watches paths until the test ends and takes the first signal, which is
// about paths being new.
func run(t *testing.T, o watch.Options, paths ...string) *watch.Watcher {
	t.Helper()
	if o.Quiet == 0 {
		o.Quiet = quiet
	}
	w := watch.New(o)
	w.Set(paths)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	yields(t, w, "the first look")
	return w
}

func yields(t *testing.T, w *watch.Watcher, what string) {
	t.Helper()
	select {
	case <-w.C():
	case <-time.After(patience):
		t.Fatalf("%s was not noticed", what)
	}
}

// yieldsNothing waits until a change would have settled twice over.
func yieldsNothing(t *testing.T, w *watch.Watcher, what string) {
	t.Helper()
	yieldsNothingFor(t, w, 5*quiet, what)
}

func yieldsNothingFor(t *testing.T, w *watch.Watcher, d time.Duration, what string) {
	t.Helper()
	select {
	case <-w.C():
		t.Fatalf("%s was taken for a change", what)
	case <-time.After(d):
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ways are the ways in which files change. Each prepares a directory, says what
// in it is watched, and makes the change number n.
var ways = map[string]struct {
	prepare func(t *testing.T, dir string) (watched string)
	change  func(t *testing.T, dir string, n int)
}{
	"written in place": {oneFile, func(t *testing.T, dir string, n int) {
		write(t, dir+"/relay.yaml", fmt.Sprint("text ", n))
	}},
	"written in place with the same length": {oneFile, func(t *testing.T, dir string, n int) {
		write(t, dir+"/relay.yaml", fmt.Sprintf("tex%d", n))
	}},
	"renamed over": {oneFile, func(t *testing.T, dir string, n int) {
		write(t, dir+"/relay.tmp", fmt.Sprint("text ", n))
		must(t, os.Rename(dir+"/relay.tmp", dir+"/relay.yaml"))
	}},
	"as vim does": {oneFile, func(t *testing.T, dir string, n int) {
		must(t, os.Rename(dir+"/relay.yaml", dir+"/relay.yaml~"))
		write(t, dir+"/relay.yaml", fmt.Sprint("text ", n))
		must(t, os.Remove(dir+"/relay.yaml~"))
	}},
	"as sed does": {oneFile, func(t *testing.T, dir string, n int) {
		write(t, dir+"/sedXYZ", fmt.Sprint("text ", n))
		must(t, os.Chmod(dir+"/sedXYZ", 0o644))
		must(t, os.Rename(dir+"/sedXYZ", dir+"/relay.yaml"))
	}},
	"removed and written": {oneFile, func(t *testing.T, dir string, n int) {
		must(t, os.Remove(dir+"/relay.yaml"))
		write(t, dir+"/relay.yaml", fmt.Sprint("text ", n))
	}},
	"by another name of the file": {func(t *testing.T, dir string) string {
		// What a single-file bind mount sees: notices come on the file only.
		write(t, dir+"/elsewhere/relay.yaml", "text")
		must(t, os.Link(dir+"/elsewhere/relay.yaml", dir+"/relay.yaml"))
		return dir + "/relay.yaml"
	}, func(t *testing.T, dir string, n int) {
		write(t, dir+"/elsewhere/relay.yaml", fmt.Sprint("text ", n))
	}},
	"ConfigMap swap": {func(t *testing.T, dir string) string {
		write(t, dir+"/..1/relay.yaml", "text")
		must(t, os.Symlink("..1", dir+"/..data"))
		must(t, os.Symlink("..data/relay.yaml", dir+"/relay.yaml"))
		return dir + "/relay.yaml"
	}, func(t *testing.T, dir string, n int) { swap(t, dir, n) }},
	"ConfigMap swap of a directory": {func(t *testing.T, dir string) string {
		write(t, dir+"/..1/default.ts", "text")
		must(t, os.Symlink("..1", dir+"/..data"))
		must(t, os.Symlink("..data/default.ts", dir+"/default.ts"))
		return dir
	}, func(t *testing.T, dir string, n int) { swap(t, dir, n) }},
	"release directory behind a link": {func(t *testing.T, dir string) string {
		write(t, dir+"/releases/1/etc/relay.yaml", "text")
		must(t, os.Symlink("releases/1", dir+"/current"))
		return dir + "/current/etc/relay.yaml"
	}, func(t *testing.T, dir string, n int) {
		write(t, fmt.Sprintf("%s/releases/%d/etc/relay.yaml", dir, n), fmt.Sprint("text ", n))
		must(t, os.Symlink(fmt.Sprintf("releases/%d", n), dir+"/next"))
		must(t, os.Rename(dir+"/next", dir+"/current"))
	}},
	"directory that did not exist": {func(t *testing.T, dir string) string { return dir + "/a/b/templates" },
		func(t *testing.T, dir string, n int) {
			must(t, os.RemoveAll(dir+"/a"))
			write(t, dir+"/a/b/templates/slack/default.ts", fmt.Sprint("text ", n))
		}},
	"file in a new directory of a tree": {func(t *testing.T, dir string) string { return dir },
		func(t *testing.T, dir string, n int) { write(t, fmt.Sprintf("%s/%d/x/default.ts", dir, n), "text") }},
	"file of a tree removed": {func(t *testing.T, dir string) string {
		for n := range 5 {
			write(t, fmt.Sprintf("%s/slack/%d.ts", dir, n), "text")
		}
		return dir
	}, func(t *testing.T, dir string, n int) { must(t, os.Remove(fmt.Sprintf("%s/slack/%d.ts", dir, n))) }},
	"directory of a tree behind a link": {func(t *testing.T, dir string) string {
		write(t, dir+"/common/default.ts", "text")
		must(t, os.MkdirAll(dir+"/templates", 0o700))
		must(t, os.Symlink("../common", dir+"/templates/slack"))
		return dir + "/templates"
	}, func(t *testing.T, dir string, n int) { write(t, dir+"/common/default.ts", fmt.Sprint("text ", n)) }},
}

func oneFile(t *testing.T, dir string) string {
	write(t, dir+"/relay.yaml", "text")
	return dir + "/relay.yaml"
}

// swap is what a kubelet does when a ConfigMap changes.
func swap(t *testing.T, dir string, n int) {
	old, err := os.Readlink(dir + "/..data")
	must(t, err)
	name := fmt.Sprintf("..%d", n+1)
	for _, file := range []string{"relay.yaml", "default.ts"} {
		write(t, filepath.Join(dir, name, file), fmt.Sprint("text ", n))
	}
	must(t, os.Symlink(name, dir+"/..data_tmp"))
	must(t, os.Rename(dir+"/..data_tmp", dir+"/..data"))
	must(t, os.RemoveAll(filepath.Join(dir, old)))
}

func TestEveryWayIsNoticed(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Run("notices", func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				w := run(t, watch.Options{Poll: time.Hour}, way.prepare(t, dir))
				for n := 2; n < 5; n++ { // again: the watches have to survive the first change
					way.change(t, dir, n)
					yields(t, w, fmt.Sprint("change ", n))
				}
			})
			t.Run("poll", func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				o := watch.Options{Poll: quiet, Logger: slog.New(slog.DiscardHandler)}
				o.Notify(refused)
				w := run(t, o, way.prepare(t, dir))
				for n := 2; n < 5; n++ {
					way.change(t, dir, n)
					yields(t, w, fmt.Sprint("change ", n))
				}
			})
		})
	}
}

func refused() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") }

func TestNoNoticesIsOneWarning(t *testing.T) {
	var log bytes.Buffer
	o := watch.Options{Poll: quiet, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	o.Notify(refused)
	dir := t.TempDir()
	w := run(t, o, oneFile(t, dir))
	write(t, dir+"/relay.yaml", "other")
	yields(t, w, "a change")
	if got := strings.Count(log.String(), "level=WARN"); got != 1 || !strings.Contains(log.String(), "too many open files") {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestNoChangeYieldsNothing(t *testing.T) {
	dir := t.TempDir()
	file := oneFile(t, dir)
	looks := make(chan struct{}, 100)
	o := watch.Options{Poll: time.Hour}
	o.OnChecked(func() { looks <- struct{}{} })
	w := run(t, o, file)
	yieldsNothing(t, w, "nothing")
	for name, change := range map[string]func(){
		"a touch":             func() { must(t, os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour))) },
		"a mode":              func() { must(t, os.Chmod(file, 0o640)) },
		"the same text":       func() { write(t, file, "text") },
		"there and back":      func() { write(t, file, "other"); write(t, file, "text") },
		"a file next to it":   func() { write(t, dir+"/other", "text") },
		"an editor's swap":    func() { write(t, dir+"/.relay.yaml.swp", "text") },
		"a copy renamed over": func() { write(t, dir+"/tmp", "text"); must(t, os.Rename(dir+"/tmp", file)) },
	} {
		for len(looks) > 0 {
			<-looks
		}
		change()
		<-looks // it was noticed, and looked into
		yieldsNothing(t, w, name)
	}
}

func TestBackToWhatWas(t *testing.T) {
	dir := t.TempDir()
	file := oneFile(t, dir)
	w := run(t, watch.Options{Poll: time.Hour}, file)
	write(t, file, "broken")
	yields(t, w, "a bad edit")
	write(t, file, "text")
	yields(t, w, "its undoing")
}

func TestABurstIsOneChange(t *testing.T) {
	dir := t.TempDir()
	file := oneFile(t, dir)
	// A busy machine stops the writer for longer than quiet, and may take longer
	// for the burst than what never settles is given.
	const pause = time.Second
	w := run(t, watch.Options{Poll: time.Hour, Quiet: pause, Max: time.Minute}, file)
	for n := range 200 {
		write(t, file, fmt.Sprint("text ", n))
	}
	yields(t, w, "a burst")
	yieldsNothingFor(t, w, 2*pause, "the rest of the burst")
	if got, err := os.ReadFile(file); err != nil || string(got) != "text 199" {
		t.Errorf("the signal came before the end of the burst: %q, %v", got, err)
	}
}

// What never settles must not go unnoticed.
func TestEndlessChangesAreNoticed(t *testing.T) {
	dir := t.TempDir()
	file := oneFile(t, dir)
	n := 0
	o := watch.Options{Poll: time.Hour, Max: 5 * quiet}
	o.OnChecked(func() { n++; write(t, file, fmt.Sprint("text ", n)) }) // different at every look
	run(t, o, file)
}

func TestSetAndKick(t *testing.T) {
	dir := t.TempDir()
	file, secret := oneFile(t, dir), dir+"/secrets/token"
	w := run(t, watch.Options{Poll: time.Hour}, file)
	w.Set([]string{file, secret})
	yields(t, w, "a new path")
	write(t, secret, "one")
	yields(t, w, "a change of the new path")
	w.Set([]string{file})
	yieldsNothing(t, w, "a path less")
	write(t, secret, "two")
	yieldsNothing(t, w, "a path that is not watched")
	w.Kick()
	yields(t, w, "a kick")
	w.SetPoll(time.Minute)
	yieldsNothing(t, w, "another interval")
}

// A directory that others write to all the time must not put a change off.
func TestBusyDirectory(t *testing.T) {
	dir := t.TempDir()
	file := oneFile(t, dir)
	w := run(t, watch.Options{Poll: time.Hour, Max: time.Hour}, file)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			if os.WriteFile(dir+"/noise", []byte(fmt.Sprint(n)), 0o600) != nil {
				return
			}
		}
	}()
	write(t, file, "other")
	yields(t, w, "a change in a busy directory")
	cancel()
	<-done
}

func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	for n := range 50 {
		if err := os.WriteFile(fmt.Sprintf("%s/%d.ts", dir, n), bytes.Repeat([]byte("x"), 4000), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	looks := make(chan struct{})
	o := watch.Options{Poll: time.Millisecond, Quiet: time.Millisecond}
	o.OnChecked(func() { looks <- struct{}{} })
	w := watch.New(o)
	w.Set([]string{dir})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for b.Loop() {
		<-looks
	}
	cancel()
	for {
		select {
		case <-looks:
		case <-done:
			return
		}
	}
}
