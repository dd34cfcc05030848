package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary relay itself, so that every test runs real
// processes: relay, and the plugins that it starts.
func TestMain(m *testing.M) {
	// A program with the race detector in it sleeps for a second before it ends,
	// and these tests end hundreds.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	atPoint = crashAt(os.Getenv("RELAY_CRASH_AT"))
	testscript.Main(m, map[string]func(){"relay": main, "badplugin": badPlugin})
}

// patience bounds every wait of these tests; what they wait for takes
// milliseconds on a machine that is not overloaded.
const patience = 60 * time.Second

// relayProcess is a relay that a test started.
type relayProcess struct {
	t     testing.TB
	cmd   *exec.Cmd
	base  string
	token string // that calls carry
	log   *logBuffer
	done  chan error
}

// logBuffer keeps what relay logs, for the moment when a test fails.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// startRelay runs relay in a directory that holds a relay.yaml, and waits until
// it listens.
func startRelay(t testing.TB, dir string, args ...string) *relayProcess {
	t.Helper()
	return startWrapped(t, dir, append([]string{"relay", "run"}, args...)...)
}

// startWrapped is startRelay for a command that runs relay within something else.
func startWrapped(t testing.TB, dir string, command ...string) *relayProcess {
	t.Helper()
	p := &relayProcess{t: t, log: &logBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir = dir
	// A group of its own, so that kill reaches what the command started.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			fmt.Fprintln(p.log, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	select {
	case a := <-address:
		p.base = "http://" + a
	case err := <-p.done:
		t.Fatalf("relay ended with %v:\n%s", err, p.log)
	case <-time.After(patience):
		t.Fatalf("relay does not listen:\n%s", p.log)
	}
	return p
}

// kill is the plug that is pulled. It returns when the process is gone.
func (p *relayProcess) kill() {
	if syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) == nil {
		p.wait()
	}
}

func (p *relayProcess) wait() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.t.Fatalf("relay does not end:\n%s", p.log)
		return nil
	}
}

// stop asks relay to end and expects that it ends well.
func (p *relayProcess) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		p.t.Errorf("relay ended with %v:\n%s", err, p.log)
	}
}

// httpClient posts without keeping a connection to a relay that is gone.
var httpClient = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}}

// call makes a request and decodes the JSON answer into out, which may be nil.
func (p *relayProcess) call(method, path, body string, out any) int {
	p.t.Helper()
	status, answer, err := callAs(p.token, p.base, method, path, body)
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", method, path, err, p.log)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			p.t.Fatalf("%s %s answered %d %s: %v", method, path, status, answer, err)
		}
	}
	return status
}

func call(base, method, path, body string) (int, []byte, error) {
	return callAs("", base, method, path, body)
}

func callAs(token, base, method, path, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// accept posts an event and expects a 202.
func (p *relayProcess) accept(body string) {
	p.t.Helper()
	var answer json.RawMessage
	if status := p.call("POST", "/v1/events", body, &answer); status != http.StatusAccepted {
		p.t.Fatalf("POST answered %d %s", status, answer)
	}
}

// until waits for a condition that relay's API tells.
func (p *relayProcess) until(what string, condition func() bool) {
	p.t.Helper()
	poll(p.t, what, condition, p.log)
}

func poll(t testing.TB, what string, condition func() bool, log fmt.Stringer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %s\n%s", what, patience, log)
		}
	}
}

type statusAnswer struct {
	Config struct {
		Revision string
		Refused  *struct{ Problems []placedProblem }
	}
	Templates struct{ Problems []placedProblem }
	Plugins   []struct {
		Name     string
		PID      int
		State    string
		Restarts int
	}
}

type placedProblem struct {
	File    string
	Line    int
	Column  int
	Path    string
	Message string
}

func (p *relayProcess) status() statusAnswer {
	p.t.Helper()
	var s statusAnswer
	p.call("GET", "/v1/status", "", &s)
	return s
}

// listed is a row of the sent log.
type listed struct{ ID, Destination, State, Reason string }

// deliveries are rows of the sent log.
func (p *relayProcess) deliveries(query string) []listed {
	p.t.Helper()
	var page struct{ Deliveries []listed }
	p.call("GET", "/v1/deliveries?"+query, "", &page)
	return page.Deliveries
}

// everything is what relay tells of its deliveries, itself and its destinations.
func (p *relayProcess) everything() string {
	p.t.Helper()
	paths := []string{"/v1/status", "/v1/destinations", "/v1/deliveries", "/readyz"}
	for _, d := range p.deliveries("limit=100") {
		paths = append(paths, "/v1/deliveries/"+d.ID)
	}
	var all strings.Builder
	for _, path := range paths {
		_, answer, err := callAs(p.token, p.base, "GET", path, "")
		if err != nil {
			p.t.Fatal(err)
		}
		all.Write(answer)
	}
	return all.String()
}

// storeText is every byte that a store holds.
func storeText(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "store", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no store below %s: %v", dir, err)
	}
	var all strings.Builder
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil {
			all.Write(text)
		}
	}
	return all.String()
}

// plugin is the process of a plugin once it is ready.
func (p *relayProcess) plugin(name string) (pid, restarts int) {
	p.t.Helper()
	p.until("plugin "+name+" is ready", func() bool {
		for _, one := range p.status().Plugins {
			if one.Name == name && one.State == "ready" {
				pid, restarts = one.PID, one.Restarts
			}
		}
		return pid != 0
	})
	return pid, restarts
}

// hook is a receiver that counts what arrives by a key of the body.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	byID   map[string]int
	answer func(w http.ResponseWriter, r *http.Request, body []byte)
}

func newHook(t testing.TB) *hook {
	h := &hook{byID: map[string]int{}}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "cut short", http.StatusBadRequest)
			return
		}
		answer := h.note(body)
		switch {
		case answer != nil:
			answer(w, r, body)
		case strings.HasPrefix(r.URL.Path, "/services/"): // as Slack answers
			io.WriteString(w, "ok")
		default:
			io.WriteString(w, `{"code":0,"message":""}`)
		}
	}))
	// Idle connections of killed relays would hold Close up.
	h.Config.ConnState = nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.Listener.Close()
	h.Listener = l
	h.Start()
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	return h
}

// note counts a body, and tells how it is to be answered.
func (h *hook) note(body []byte) func(http.ResponseWriter, *http.Request, []byte) {
	var e struct{ ID string }
	json.Unmarshal(body, &e) // other bodies count as ""
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, string(body))
	h.byID[e.ID]++
	return h.answer
}

func (h *hook) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.bodies...)
}

// counts is how many different ids arrived, and how many arrivals were doubles.
func (h *hook) counts() (unique, doubles int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.byID {
		unique++
		doubles += n - 1
	}
	return unique, doubles
}

// workDir is a short directory for a relay: its sockets must fit into 104 bytes.
func workDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, content := range files {
		writeFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
