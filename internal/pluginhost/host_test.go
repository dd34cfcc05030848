package pluginhost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// TestMain makes the test binary its own plugin: the host starts it with
// "plugin serve fake", as it would start relay.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "plugin" && os.Args[2] == "serve" {
		plugin.Serve(fake{})
		return
	}
	os.Exit(m.Run())
}

// fake does what the event's title says.
type fake struct{}

func (fake) Describe() plugin.Description {
	return plugin.Description{Name: "fake", Version: "1", DestinationSchema: json.RawMessage(`{"type":"object"}`)}
}

func (fake) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	return place{s.Logger}, nil
}

type place struct{ logger *slog.Logger }

// grow is how a plugin leaks.
var grow func()

func (place) Compose(d *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	if r.Text == "die composing" {
		os.Exit(3)
	}
	return &plugin.Request{URL: "fake:", Body: []byte(r.Text)}, nil
}

func (p place) Send(ctx context.Context, d *plugin.Delivery, r *plugin.Request) relay.Report {
	switch {
	case string(r.Body) == "hang":
		select {} // deaf to its context, as a bug would be
	case string(r.Body) == "wait":
		<-ctx.Done()
		return relay.Report{Verdict: relay.Temporary, Error: "timed out"}
	case string(r.Body) == "grow":
		grow()
	case string(r.Body) == "exit":
		os.Exit(3)
	case string(r.Body) == "mum":
		return relay.Report{Verdict: "none of the protocol's"}
	case string(r.Body) == "panic":
		panic("on purpose")
	case string(r.Body) == "env":
		return relay.Report{Verdict: relay.Delivered, Receipt: strings.Join(os.Environ(), "\n")}
	case string(r.Body) == "log":
		p.logger.Warn("a word", "fact", 7, "plugin", "mine")
		fmt.Println("stray output")
	}
	return relay.Report{Verdict: relay.Delivered, Receipt: strconv.Itoa(os.Getpid())}
}

// The program returns the event's title as a text message, without the
// compiler: it hands its default export over as compiled ones do.
const program = `$relay("default", function (event) { return event.title; });`

func newHost(t *testing.T, o pluginhost.Options) *pluginhost.Host {
	t.Helper()
	dir, err := os.MkdirTemp("", "ph") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if o.Executable, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	o.Dir = filepath.Join(dir, "run")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h, err := pluginhost.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(o.Dir); !os.IsNotExist(err) {
			t.Errorf("sockets stay behind: %v", err)
		}
	})
	return h
}

// started is a host with a running provider and a signal for each time that it
// is ready.
func started(t *testing.T) (*pluginhost.Host, *pluginhost.Provider, <-chan string) {
	t.Helper()
	ready := make(chan string, 100)
	h := newHost(t, pluginhost.Options{OnReady: func(name string) { ready <- name }})
	p := h.Provider("fake")
	if _, err := p.Apply(t.Context(), setup()); err != nil {
		t.Fatal(err)
	}
	wait(t, ready)
	return h, p, ready
}

func setup() pluginhost.Setup {
	return pluginhost.Setup{
		Settings: []*pluginpb.Settings{{Revision: "s1", Destination: "d", Entry: "fake", Provider: []byte("{}"), Target: []byte("{}")}},
		Programs: []*relay.Program{{Name: "t.ts", Revision: "t1", Code: []byte(program)}},
	}
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came in 30 s")
		panic("unreachable")
	}
}

func send(t *testing.T, p *pluginhost.Provider, title string, timeout time.Duration) <-chan relay.Report {
	t.Helper()
	return sendBy(t, p.Deliver, title, timeout)
}

func sendBy(t *testing.T, deliver func(*pluginpb.Delivery, func(relay.Report)) error, title string, timeout time.Duration) <-chan relay.Report {
	t.Helper()
	reports := make(chan relay.Report, 1)
	event, err := json.Marshal(map[string]string{"type": "x", "title": title})
	if err != nil {
		t.Fatal(err)
	}
	d := &pluginpb.Delivery{
		Id: "delivery", Attempt: 1, Settings: "s1", Template: "t1", Event: event,
		Context: &pluginpb.Context{}, TimeoutMs: timeout.Milliseconds(),
	}
	if err := deliver(d, func(r relay.Report) { reports <- r }); err != nil {
		t.Fatal(err)
	}
	return reports
}

func TestDeliver(t *testing.T) {
	h, p, _ := started(t)
	r := wait(t, send(t, p, "hello", time.Second))
	if r.Verdict != relay.Delivered || r.Template != "t.ts" || r.TemplateRevision != "t1" || string(r.Message) != `"hello"` {
		t.Fatalf("report %+v", r)
	}
	if pid, _ := strconv.Atoi(r.Receipt); pid == os.Getpid() || pid != h.Status()[0].PID {
		t.Errorf("delivered by process %s, status says %+v", r.Receipt, h.Status())
	}
}

// TestPreview: previews have a process of their own, which follows the setup and
// is another one after one of them ended it.
func TestPreview(t *testing.T) {
	h, p, _ := started(t)
	preview := func(title, template string) (relay.Report, plugin.Size, error) {
		resp, err := p.Preview(t.Context(), &pluginpb.Delivery{
			Id: "delivery", Settings: "s1", Template: template, Event: []byte(`{"title":"` + title + `"}`), Context: &pluginpb.Context{}, TimeoutMs: 1000,
		})
		r, size := plugin.DecodePreview(resp)
		return r, size, err
	}
	// Sent, it would end the process.
	r, size, err := preview("exit", "t1")
	if err != nil || r.Request == nil || r.Request.Body != "exit" || size.Used != 4 {
		t.Fatalf("report %+v, size %+v, %v", r, size, err)
	}
	all := h.Status()
	if len(all) != 2 || all[1].Name != "fake (previews)" || all[1].PID == all[0].PID {
		t.Fatalf("status %+v", all)
	}
	next := setup()
	next.Programs = append(next.Programs, &relay.Program{Name: "u.ts", Revision: "u1", Code: []byte(`$relay("default", () => "another");`)})
	if _, err := p.Apply(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if r, _, err := preview("x", "u1"); err != nil || r.Request == nil || r.Request.Body != "another" || h.Status()[1].PID != all[1].PID {
		t.Errorf("after a change of the setup: %+v, %v", r, err)
	}
	var lost *pluginhost.Lost
	if _, _, err := preview("die composing", "t1"); !errors.As(err, &lost) {
		t.Errorf("one that ends its process: %v", err)
	}
	if r, _, err := preview("again", "t1"); err != nil || r.Request.Body != "again" {
		t.Errorf("after it: %+v, %v", r, err)
	}
	if now := h.Status(); now[0].PID != all[0].PID || now[0].Restarts != 0 || now[1].PID == all[1].PID {
		t.Errorf("status %+v after %+v", now, all)
	}
}

func TestManyInFlightAreEachAnsweredOnce(t *testing.T) {
	_, p, _ := started(t)
	const n = 2000
	var answered atomic.Int64
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		d := &pluginpb.Delivery{Id: fmt.Sprint(i), Settings: "s1", Template: "t1", Event: []byte(`{"title":"x"}`), Context: &pluginpb.Context{}, TimeoutMs: 60_000}
		if err := p.Deliver(d, func(r relay.Report) {
			if r.Verdict == relay.Delivered || r.TemplateError != nil { // so many renders at a time can take their 250 ms
				answered.Add(1)
			}
			wg.Done() // panics if one is answered twice
		}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if answered.Load() != n {
		t.Errorf("%d of %d answered as they should be", answered.Load(), n)
	}
}

func TestKilledPluginGivesBackAndComesBack(t *testing.T) {
	h, p, ready := started(t)
	first, second := send(t, p, "wait", time.Minute), send(t, p, "wait", time.Minute)
	wait(t, send(t, p, "hello", time.Minute)) // the others are in the plugin by now
	if err := syscall.Kill(h.Status()[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, c := range []<-chan relay.Report{first, second} {
		if r := wait(t, c); r.Verdict != relay.Ambiguous || !r.Lost || r.Alone {
			t.Errorf("report of a delivery that was in flight: %+v", r)
		}
	}
	wait(t, ready)
	if r := wait(t, send(t, p, "hello", time.Second)); r.Verdict != relay.Delivered {
		t.Errorf("after the restart: %+v", r)
	}
	if s := h.Status()[0]; s.Restarts != 1 || s.State != pluginhost.StateReady {
		t.Errorf("status %+v", s)
	}
}

func TestDeliveryThatEndsThePluginIsAlone(t *testing.T) {
	_, p, ready := started(t)
	if r := wait(t, send(t, p, "exit", time.Second)); !r.Lost || !r.Alone {
		t.Errorf("report %+v", r)
	}
	wait(t, ready)
}

func TestPanicEndsOneAttemptOnly(t *testing.T) {
	h, p, _ := started(t)
	before := h.Status()[0].PID
	if r := wait(t, send(t, p, "panic", time.Second)); r.Verdict != relay.Ambiguous || r.Lost {
		t.Errorf("report %+v", r)
	}
	if r := wait(t, send(t, p, "hello", time.Second)); r.Verdict != relay.Delivered || h.Status()[0].PID != before {
		t.Errorf("the process did not go on: %+v", r)
	}
}

func TestAnswerWithoutAVerdictIsSaid(t *testing.T) {
	_, p, _ := started(t)
	if r := wait(t, send(t, p, "mum", time.Second)); r.Verdict != relay.Ambiguous || r.Error != "plugin fake answered without a verdict" {
		t.Errorf("report %+v", r)
	}
}

func TestTimeoutIsTheAttempts(t *testing.T) {
	_, p, _ := started(t)
	if r := wait(t, send(t, p, "wait", 20*time.Millisecond)); r.Verdict != relay.Temporary || r.Error != "timed out" {
		t.Errorf("report %+v", r)
	}
}

func TestHungPluginIsReplacedAndTheRestDrains(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the grace time of a hung plugin")
	}
	h, p, ready := started(t)
	before := h.Status()[0].PID
	drains := send(t, p, "wait", 8*time.Second) // answers after the other is given up
	hangs := send(t, p, "hang", 10*time.Millisecond)
	wait(t, ready) // the successor
	if h.Status()[0].PID == before {
		t.Error("the hung process is still the current one")
	}
	if r := wait(t, send(t, p, "hello", time.Second)); r.Verdict != relay.Delivered {
		t.Errorf("successor: %+v", r)
	}
	if r := wait(t, drains); r.Lost || r.Verdict != relay.Temporary {
		t.Errorf("a delivery that the hung process still answered: %+v", r)
	}
	if r := wait(t, hangs); !r.Lost {
		t.Errorf("the delivery that hung: %+v", r)
	}
}

func TestProviderThatIsNotNeededEndsAfterItsDeliveries(t *testing.T) {
	h, p, _ := started(t)
	pid := h.Status()[0].PID
	last := send(t, p, "wait", 300*time.Millisecond)
	h.Keep(func(string) bool { return false })
	if r := wait(t, last); r.Lost || r.Verdict != relay.Temporary {
		t.Errorf("a delivery that was in flight: %+v", r)
	}
	if len(h.Status()) != 0 {
		t.Errorf("status %+v", h.Status())
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); syscall.Kill(pid, 0) == nil; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the process does not end")
		}
	}
}

func TestStoppedProcessDoesNotHangClose(t *testing.T) {
	ready := make(chan string, 1)
	h := newHost(t, pluginhost.Options{OnReady: func(name string) { ready <- name }})
	if _, err := h.Provider("fake").Apply(t.Context(), setup()); err != nil {
		t.Fatal(err)
	}
	wait(t, ready)
	if err := syscall.Kill(h.Status()[0].PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	if err := wait(t, closed); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	t.Setenv("RELAY_TEST_SECRET", "do-not-pass")
	t.Setenv("HTTPS_PROXY", "http://proxy.test:1")
	_, p, _ := started(t)
	env := wait(t, send(t, p, "env", time.Second)).Receipt
	if strings.Contains(env, "do-not-pass") || !strings.Contains(env, "HTTPS_PROXY=http://proxy.test:1") {
		t.Errorf("the plugin sees:\n%s", env)
	}
}

// lines is a handler that keeps what is logged.
type lines struct {
	slog.Handler
	mu  sync.Mutex
	all []string
	got chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	if strings.Contains(string(b), "stray") || strings.Contains(string(b), "a word") {
		l.got <- struct{}{}
	}
	return len(b), nil
}

func TestLogsComeOutAsRelays(t *testing.T) {
	l := &lines{got: make(chan struct{}, 10)}
	ready := make(chan string, 1)
	h := newHost(t, pluginhost.Options{
		Logger: slog.New(slog.NewTextHandler(l, nil)), OnReady: func(name string) { ready <- name },
		Mask: func(s string) string { return strings.ReplaceAll(s, "stray", "masked-stray") },
	})
	p := h.Provider("fake")
	setup := pluginhost.Setup{
		Settings: []*pluginpb.Settings{{Revision: "s1", Destination: "d", Provider: []byte("{}"), Target: []byte("{}")}},
		Programs: []*relay.Program{{Name: "t.ts", Revision: "t1", Code: []byte(program)}},
	}
	if _, err := p.Apply(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	wait(t, ready)
	wait(t, send(t, p, "log", time.Second))
	wait(t, l.got)
	wait(t, l.got)
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Join(l.all, "")
	for _, want := range []string{`level=WARN msg="a word" plugin=fake`, `fact=7`, `own_plugin=mine`, `destination=d`, `text="masked-stray output"`} {
		if !strings.Contains(all, want) {
			t.Errorf("the log lacks %s:\n%s", want, all)
		}
	}
}

// Of a plugin that does not start relay says once why, and nothing else does.
func TestFailingStartIsSaidOnce(t *testing.T) {
	l := &lines{got: make(chan struct{}, 10)}
	dir := t.TempDir()
	h := newHost(t, pluginhost.Options{Logger: slog.New(slog.NewTextHandler(l, nil)), Copies: filepath.Join(dir, "copies")})
	exits, starts := scripted(t, dir, "exits", "exit 3")
	h.Use(exits)
	until(t, "it was tried again", func() bool { return exists(filepath.Join(dir, "exits.starts")) && starts() == 3 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) != 1 || !strings.Contains(l.all[0], `level=ERROR msg="plugin does not run" plugin=fake error=`) {
		t.Errorf("the log has\n%s", strings.Join(l.all, ""))
	}
}

func TestSocketPathTooLong(t *testing.T) {
	_, err := pluginhost.New(pluginhost.Options{Dir: "/" + strings.Repeat("x", 100)})
	if err == nil || !strings.Contains(err.Error(), "store.path") {
		t.Errorf("error %v must name the remedy", err)
	}
}
