package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	_ "modernc.org/sqlite" // to make a store of the future
)

// refused runs relay and expects that it ends at once: its exit code, and what
// it says on standard error.
func refused(t *testing.T, dir string, args ...string) (code int, words string) {
	t.Helper()
	cmd := exec.Command("relay", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("relay %s ended with %v:\n%s", strings.Join(args, " "), err, &stderr)
	}
	return exit.ExitCode(), stderr.String()
}

// event is the body of an event that has this id, and is as large as asked.
func event(id string, size int) string {
	return fmt.Sprintf(`{"id":%q,"type":"issue.created","title":"t","description":"%s"}`, id, strings.Repeat("x", size))
}

// states counts the deliveries of the sent log by their state.
func (p *relayProcess) states() map[string]int {
	p.t.Helper()
	count := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Deliveries []struct{ State string }
			NextCursor string `json:"next_cursor"`
		}
		p.call("GET", "/v1/deliveries?limit=500"+cursor, "", &page)
		for _, d := range page.Deliveries {
			count[d.State]++
		}
		if page.NextCursor == "" {
			return count
		}
		cursor = "&cursor=" + page.NextCursor
	}
}

// expectAll waits until what was accepted, and nothing else, has arrived and
// is recorded.
func (p *relayProcess) expectAll(h *hook, accepted []string) {
	p.t.Helper()
	p.until("everything is recorded", func() bool {
		states := p.states()
		return states["pending"]+states["sending"]+states["held"] == 0
	})
	if states := p.states(); states["delivered"] != len(accepted) || len(states) != 1 {
		p.t.Errorf("of %d accepted events the log has %v", len(accepted), states)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range accepted {
		if h.byID[id] == 0 {
			p.t.Errorf("event %q was accepted and never arrived", id)
		}
	}
}

// TestFullDisk fills a small disk under a running relay.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	disk := filepath.Join(dir, "store")
	mountSmallDisk(t, disk)
	p := startRelay(t, dir)
	var accepted []string
	n := 0
	// post answers with the status of a new event of 4 KiB.
	post := func() int {
		n++
		id := fmt.Sprintf("e%d", n)
		status := p.call("POST", "/v1/events", event(id, 4<<10), nil)
		if status == http.StatusAccepted {
			accepted = append(accepted, id)
		}
		return status
	}
	for range 20 {
		if status := post(); status != http.StatusAccepted {
			t.Fatalf("POST answered %d", status)
		}
	}
	p.expectAll(h, accepted)

	// Some deliveries are on their way when the last byte is taken. Their
	// verdicts find no room, and wait.
	const inFlight = 5
	arrived, release := make(chan struct{}, inFlight), make(chan struct{})
	h.mu.Lock()
	h.answer = func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		arrived <- struct{}{}
		<-release
		w.Write([]byte(`{"code":0}`))
	}
	h.mu.Unlock()
	for range inFlight {
		post()
		<-arrived
	}
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	h.mu.Lock()
	h.answer = nil
	h.mu.Unlock()
	close(release)
	p.until("verdicts find no room", func() bool { return strings.Contains(p.log.String(), "cannot record deliveries") })
	for _, body := range []string{event("refused", 4<<10), "[" + event("half-1", 10) + "," + event("half-2", 4<<10) + "]"} {
		resp, err := httpClient.Post(p.base+"/v1/events", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var problem struct {
			Status int
			Detail string
		}
		err = json.NewDecoder(resp.Body).Decode(&problem)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Content-Type") != "application/problem+json" ||
			problem.Status != resp.StatusCode || problem.Detail != "the disk is full; nothing was stored, send the event again later" {
			t.Errorf("on a full disk POST answered %s %+v (%v)", resp.Status, problem, err)
		}
	}
	for _, key := range []string{"refused", "half-1", "half-2"} {
		if status := p.call("GET", "/v1/events?source=events&key="+key, "", nil); status != http.StatusNotFound {
			t.Errorf("event %s was refused, and asking for it answers %d", key, status)
		}
	}
	if status := p.call("GET", "/healthz", "", nil); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}

	if status := p.call("GET", "/readyz", "", nil); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d on a full disk", status)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.until("relay accepts again", func() bool { return post() == http.StatusAccepted })
	if status := p.call("GET", "/readyz", "", nil); status != http.StatusOK {
		t.Errorf("/readyz answers %d when there is room again", status)
	}
	p.expectAll(h, accepted)
	if _, doubles := h.counts(); doubles > 0 {
		t.Errorf("%d events were sent twice", doubles)
	}
	t.Logf("%d events accepted, the last after the disk had room again", len(accepted))
	p.stop()

	// The next relay finds a store in order.
	p = startRelay(t, dir)
	p.expectAll(h, accepted)
	p.stop()
}

// mountSmallDisk makes path a disk of its own, of 24 MiB.
func mountSmallDisk(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount the small disk that this test fills")
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", path).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
}

// fill writes a file until the disk takes nothing more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		block := make([]byte, size)
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// TestFailedSync breaks every sync of the disk from some moment on: relay ends,
// since the kernel may have forgotten what it was given, and what was promised
// before is there.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace breaks the disk, and is not installed")
	}
	if out, err := exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %s", out)
	}
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	const good = 40 // syncs of one thread
	p := startWrapped(t, dir, strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d+", good), "relay", "run")
	var accepted []string
	for n := 0; ; n++ {
		id := fmt.Sprintf("e%d", n)
		status, answer, err := call(p.base, "POST", "/v1/events", event(id, 0))
		if err != nil {
			break // it has ended
		}
		switch status {
		case http.StatusAccepted:
			accepted = append(accepted, id)
		case http.StatusInternalServerError, http.StatusServiceUnavailable:
		default:
			t.Fatalf("POST answered %d %s", status, answer)
		}
	}
	var exit *exec.ExitError
	if err := p.wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("relay ended with %v, want exit code 1", err)
	}
	if !strings.Contains(p.log.String(), "relay: error: the store failed and relay ends, so that a restart recovers it: the disk failed: ") {
		t.Errorf("relay does not say why it ended:\n%s", p.log)
	}
	if len(accepted) < 5 {
		t.Fatalf("only %d events were accepted: the test shows nothing\n%s", len(accepted), p.log)
	}

	p = startRelay(t, dir)
	p.until("all of it arrives", func() bool { unique, _ := h.counts(); return unique >= len(accepted) })
	for _, id := range accepted {
		if status := p.call("GET", "/v1/events?source=events&key="+id, "", nil); status != http.StatusOK {
			t.Errorf("event %s was accepted, and asking for it answers %d", id, status)
		}
	}
	p.stop()
}

// TestSecondRelayIsRefused: a store belongs to one relay.
func TestSecondRelayIsRefused(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startRelay(t, dir)
	code, words := refused(t, dir, "run")
	want := fmt.Sprintf("another relay uses it (pid %d): stop that one, or give this one a directory of its own", p.cmd.Process.Pid)
	if code != 1 || !strings.Contains(words, "relay: error: open store ") || !strings.Contains(words, want) {
		t.Errorf("a second relay ended with %d: %s", code, words)
	}
	p.accept(event("still", 0)) // the first one does not notice
	p.until("it is delivered", func() bool { return len(h.all()) == 1 })
	p.stop()
}

// TestNewerStoreIsRefused: an older relay does not touch what it can't read.
func TestNewerStoreIsRefused(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	startRelay(t, dir).stop()
	db, err := sql.Open("sqlite", filepath.Join(dir, "store", "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	code, words := refused(t, dir, "run")
	if code != 1 || !strings.Contains(words, "a newer relay wrote it (relay devel, schema version 9000; this relay knows ") {
		t.Errorf("relay ended with %d: %s", code, words)
	}
}

// TestStoreIsPrivate: whatever the umask, only the owner may read events.
func TestStoreIsPrivate(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)})
	p := startWrapped(t, dir, "sh", "-c", "umask 0; exec relay run")
	p.accept(event("one", 0))
	p.until("it is delivered", func() bool { return len(h.all()) == 1 })
	seen := 0
	err := filepath.WalkDir(filepath.Join(dir, "store"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		switch {
		case d.IsDir():
			want = 0o700
		case !d.Type().IsRegular():
			return nil // a plugin's socket; its directory is closed
		}
		seen++
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 5 { // the directory, the database, its log and shared memory, the lock
		t.Errorf("only %d files and directories were looked at", seen)
	}
	p.stop()
}
