package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// replace puts a file in the place of another, as editors and deploy tools do.
func replace(t testing.TB, path, content string) {
	t.Helper()
	writeFile(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// volume is a directory that Kubernetes mounts: relay.yaml in it is a link to a
// file in ..data, which is a link to the directory of the version.
type volume struct {
	dir     string
	version int
}

func (v *volume) set(t testing.TB, content string) {
	t.Helper()
	before := fmt.Sprintf("..v%d", v.version)
	v.version++
	next := fmt.Sprintf("..v%d", v.version)
	writeFile(t, filepath.Join(v.dir, next, "relay.yaml"), content)
	must(t, os.Symlink(next, filepath.Join(v.dir, "..data_tmp")))
	must(t, os.Rename(filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data")))
	if v.version == 1 {
		must(t, os.Symlink("..data/relay.yaml", filepath.Join(v.dir, "relay.yaml")))
	}
	must(t, os.RemoveAll(filepath.Join(v.dir, before)))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestReloadsUnderLoad changes the configuration a hundred times by swapped
// links, and a hundred times by renaming over the file, while events pour in.
func TestReloadsUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Run("a hundred swapped links", func(t *testing.T) {
		t.Parallel()
		v := &volume{dir: filepath.Join(workDir(t, nil), "config")}
		reloadUnderLoad(t, v.dir, func(content string) { v.set(t, content) })
	})
	t.Run("a hundred renames", func(t *testing.T) {
		t.Parallel()
		dir := workDir(t, nil)
		reloadUnderLoad(t, dir, func(content string) { replace(t, filepath.Join(dir, "relay.yaml"), content) })
	})
}

func reloadUnderLoad(t *testing.T, dir string, set func(content string)) {
	const (
		reloads = 100
		// More than 500 events a second, less what tickers leave out.
		workers = 5
		every   = 8 * time.Millisecond
	)
	steady, changing := newHook(t), newHook(t)
	var connections sync.Map // of the destination that does not change
	steady.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) { connections.Store(r.RemoteAddr, true) }
	revisions := map[string]bool{} // that the other destination saw
	var mu sync.Mutex
	changing.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		revisions[r.Header.Get("X-Revision")] = true
	}
	content := func(n int) string {
		return fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: %s}
destinations:
  steady: {provider: custom, url: %q, format: event}
  changing: {provider: custom, url: %q, format: event, headers: {X-Revision: "%d"}}
`, filepath.Join(dir, "..", filepath.Base(dir)+"-store"), steady.URL, changing.URL, n)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Join(dir, "..", filepath.Base(dir)+"-store")) })
	must(t, os.MkdirAll(dir, 0o700))
	set(content(0))
	p := startRelay(t, dir)

	var accepted atomic.Int64
	stop := make(chan struct{})
	var posting sync.WaitGroup
	for w := range workers {
		posting.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				status, answer, err := call(p.base, "POST", "/v1/events", fmt.Sprintf(`{"id":"%d-%d","type":"issue.created","title":"t"}`, w, i))
				if err != nil || status != http.StatusAccepted {
					t.Errorf("an event was answered %d %s, %v", status, answer, err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	began := time.Now()
	var slowest time.Duration
	running := p.status().Config.Revision
	for n := 1; n <= reloads; n++ {
		set(content(n))
		changed := time.Now()
		p.until("the new revision runs", func() bool { return p.status().Config.Revision != running })
		slowest = max(slowest, time.Since(changed))
		status := p.status().Config
		if running = status.Revision; status.Refused != nil {
			t.Errorf("refused: %+v", status.Refused)
		}
	}
	took := time.Since(began)
	close(stop)
	posting.Wait()
	for name, h := range map[string]*hook{"steady": steady, "changing": changing} {
		p.until(name+" got everything", func() bool {
			got, _ := h.counts()
			return got == int(accepted.Load())
		})
		if _, doubles := h.counts(); doubles > 0 {
			t.Errorf("%s got %d events twice", name, doubles)
		}
	}
	p.stop()
	opened := 0
	connections.Range(func(any, any) bool { opened++; return true })
	mu.Lock()
	seen := len(revisions)
	mu.Unlock()
	t.Logf("%d reloads in %s, %.0f events/s, slowest %s; %d revisions seen, %d connections", reloads, took.Round(time.Millisecond),
		float64(accepted.Load())/took.Seconds(), slowest.Round(time.Millisecond), seen, opened)
	if slowest > time.Second {
		t.Errorf("a revision was live after %s", slowest)
	}
	if seen < reloads*9/10 {
		t.Errorf("deliveries saw %d of %d revisions", seen, reloads)
	}
	if opened > 2*32 { // its deliveries at a time, and room for chance
		t.Errorf("the destination that does not change was connected to %d times", opened)
	}
}

// hookConfig has one receiver and one header, which tells who is running.
const hookConfig = `server: {listen: 127.0.0.1:0}
store: {path: %s}
destinations:
  hook: {provider: custom, url: %q, format: event, headers: {X-Key: %q}}
`

// TestReloadFromEveryKindOfChange looks at what the next delivery carries.
func TestReloadFromEveryKindOfChange(t *testing.T) {
	h := newHook(t)
	keys := make(chan string, 1000)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) { keys <- r.Header.Get("X-Key") }
	dir := workDir(t, nil)
	place := filepath.Join(dir, "place", "relay.yaml")
	content := func(key string) string { return fmt.Sprintf(hookConfig, filepath.Join(dir, "store"), h.URL, key) }
	replace(t, place, content("first-key"))
	p := startRelay(t, dir, "-c", "place/relay.yaml")
	n := 0
	arrives := func(how, key string) {
		t.Helper()
		p.until(how, func() bool {
			n++
			p.accept(fmt.Sprintf(`{"type":"issue.created","title":"event %d"}`, n))
			return <-keys == key
		})
	}
	refused := func(how, words string) {
		t.Helper()
		p.until(how, func() bool {
			r := p.status().Config.Refused
			return r != nil && strings.Contains(r.Problems[0].Message, words)
		})
	}
	arrives("the start", "first-key")
	writeFile(t, place, content("in-place"))
	arrives("written in place", "in-place")
	replace(t, place, content("renamed-over"))
	arrives("renamed over", "renamed-over")

	// What is no configuration changes nothing, and is told until it is mended,
	// also by going back to what runs.
	writeFile(t, place, "")
	refused("emptied", "the file is empty")
	arrives("while it is empty", "renamed-over")
	half, _, _ := strings.Cut(content("half-written"), ", format")
	writeFile(t, place, half)
	refused("cut off", "not YAML")
	arrives("while it is cut off", "renamed-over")
	writeFile(t, place, content("renamed-over"))
	p.until("what runs is back", func() bool { return p.status().Config.Refused == nil })

	// Gone with its directory, and there again.
	must(t, os.RemoveAll(filepath.Dir(place)))
	refused("the directory is gone", "there is no such file")
	arrives("without a file", "renamed-over")
	writeFile(t, place, content("directory-is-back"))
	arrives("the directory is there again", "directory-is-back")

	// A volume that takes the place of the directory.
	v := &volume{dir: filepath.Join(dir, "volume")}
	v.set(t, content("a-volume"))
	must(t, os.RemoveAll(filepath.Dir(place)))
	must(t, os.Symlink("volume", filepath.Dir(place)))
	arrives("a link takes the directory's place", "a-volume")
	v.set(t, content("swapped"))
	arrives("..data is swapped", "swapped")

	v.set(t, content("on-hangup"))
	must(t, p.cmd.Process.Signal(syscall.SIGHUP))
	arrives("SIGHUP", "on-hangup")
	v.set(t, content("on-request"))
	if status := p.call("POST", "/v1/reload", "", nil); status != http.StatusOK {
		t.Errorf("POST /v1/reload answered %d", status)
	}
	n++
	p.accept(fmt.Sprintf(`{"type":"issue.created","title":"event %d"}`, n))
	if key := <-keys; key != "on-request" {
		t.Errorf("after POST /v1/reload the next delivery had the key %q", key)
	}
	p.stop()
}

// TestReloadOfABindMountedFile writes a file that relay sees through a mount of
// that file alone, as containers have it: neither its directory nor its name
// tells of the change.
func TestReloadOfABindMountedFile(t *testing.T) {
	if exec.Command("unshare", "--mount", "true").Run() != nil {
		t.Skip("no mounts without privileges")
	}
	h := newHook(t)
	keys := make(chan string, 1000)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) { keys <- r.Header.Get("X-Key") }
	dir := workDir(t, map[string]string{"relay.yaml": ""})
	outside := filepath.Join(workDir(t, nil), "outside.yaml")
	content := func(key string) string { return fmt.Sprintf(hookConfig, filepath.Join(dir, "store"), h.URL, key) }
	writeFile(t, outside, content("first-key"))
	p := startWrapped(t, dir, "unshare", "--mount", "sh", "-c", `mount --bind "$0" relay.yaml && exec relay run`, outside)
	p.accept(`{"type":"issue.created","title":"one"}`)
	if key := <-keys; key != "first-key" {
		t.Fatalf("the key is %q", key)
	}
	writeFile(t, outside, content("second-key"))
	n := 0
	p.until("the change is live", func() bool {
		n++
		p.accept(fmt.Sprintf(`{"type":"issue.created","title":"event %d"}`, n))
		return <-keys == "second-key"
	})
	p.stop()
}

// TestRotatedSecret replaces a secret in its file: the next delivery has it,
// and neither ever shows.
func TestRotatedSecret(t *testing.T) {
	h := newHook(t)
	keys := make(chan string, 1000)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		keys <- r.Header.Get("X-Key")
		fmt.Fprintf(w, `{"code":0,"message":"hello, %s"}`, r.Header.Get("X-Key"))
	}
	dir := workDir(t, map[string]string{
		"relay.yaml":  fmt.Sprintf(hookConfig, "./store", h.URL, "${file:secrets/key}"),
		"secrets/key": "the-first-secret\n",
	})
	p := startRelay(t, dir)
	p.accept(`{"type":"issue.created","title":"one"}`)
	if key := <-keys; key != "the-first-secret" {
		t.Fatalf("the key is %q", key)
	}
	before := p.status().Config.Revision
	replace(t, filepath.Join(dir, "secrets", "key"), "the-other-secret\n")
	p.until("the secret is taken up", func() bool { return p.status().Config.Revision != before })
	p.accept(`{"type":"issue.created","title":"two"}`)
	if key := <-keys; key != "the-other-secret" {
		t.Errorf("the next delivery has %q", key)
	}
	p.until("both are recorded", func() bool { return len(p.deliveries("state=delivered")) == 2 })
	kept := p.everything()
	p.stop()
	kept += p.log.String() + storeText(t, dir)
	if !strings.Contains(kept, "hello, <secret>") {
		t.Errorf("the vendor's answers are not kept: the test shows nothing: %s", kept)
	}
	for _, secret := range []string{"the-first-secret", "the-other-secret"} {
		if strings.Contains(kept, secret) {
			t.Errorf("%s is kept", secret)
		}
	}
}
