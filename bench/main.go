// Command bench measures relay from outside: it builds the binary, starts it
// with a receiver of its own, posts events, and prints what came of them. Run
// it from the project's root:
//
//	go run ./bench
//
// One number counts: the CPU time that one event costs in all of relay's
// processes together, from POST to the receiver's answer being on disk. The
// event (600 bytes) and the template (15 lines, native result, provider custom)
// are the files beside this one. Load and receiver run in this process and are
// not counted; figures of different machines do not compare.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

//go:embed event.json
var event []byte

//go:embed template.ts
var template []byte

func main() {
	if len(os.Args) == 3 && os.Args[1] == floorArgument {
		if err := serveFloor(os.Args[2]); err != nil {
			fmt.Fprintf(os.Stderr, "bench: error: %v\n", err)
			os.Exit(1)
		}
		return
	}
	events := flag.Int("events", 30_000, "events to measure")
	warmup := flag.Int("warmup", 3_000, "events before measuring")
	clients := flag.Int("clients", 64, "connections that post at the same time")
	flag.Parse()
	if err := run(*events, *warmup, *clients); err != nil {
		fmt.Fprintf(os.Stderr, "bench: error: %v\n", err)
		os.Exit(1)
	}
}

func run(events, warmup, clients int) error {
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "relay")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/relay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build relay (run this from the project's root): %w", err)
	}
	receiver, err := listen()
	if err != nil {
		return err
	}
	defer receiver.server.Close()
	bare, err := floor(receiver, events, clients)
	if err != nil {
		return fmt.Errorf("measure the floor: %w", err)
	}
	r, err := start(binary, dir, receiver)
	if err != nil {
		return err
	}
	defer r.stop()

	if _, err := r.load(receiver, warmup, clients); err != nil {
		return err
	}
	receiver.reset()
	cpuBefore, err := r.cpu()
	if err != nil {
		return err
	}
	m, err := r.load(receiver, events, clients)
	if err != nil {
		return err
	}
	cpuAfter, err := r.cpu()
	if err != nil {
		return err
	}
	memory := r.memory()
	goja, err := renderCost()
	if err != nil {
		return err
	}
	fmt.Printf("machine          %s/%s, %d cores, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	fmt.Printf("load             %d events of %d bytes from %d connections, one destination each\n", events, len(compact(event)), clients)
	fmt.Printf("accepted         %.0f/s (every one synced to disk)\n", float64(events)/m.accepted.Seconds())
	fmt.Printf("delivered        %.0f/s\n", float64(events)/m.delivered.Seconds())
	slices.Sort(m.acceptLatency)
	fmt.Printf("latency accept   p50 %s, p99 %s\n", percentile(m.acceptLatency, 50), percentile(m.acceptLatency, 99))
	latency := receiver.latencies()
	fmt.Printf("latency deliver  p50 %s, p99 %s (from the post to its arrival)\n", percentile(latency, 50), percentile(latency, 99))
	total := (cpuAfter.total() - cpuBefore.total()).Seconds() * 1e6 / float64(events)
	fmt.Printf("CPU per event    %.0f µs in all of relay's processes\n", total)
	for _, name := range slices.Sorted(keys(cpuAfter)) {
		fmt.Printf("  %-14s %.0f µs\n", name, (cpuAfter[name]-cpuBefore[name]).Seconds()*1e6/float64(events))
	}
	fmt.Printf("floor            %.0f µs (a bare Go process that posts on what is posted to it)\n", bare)
	fmt.Printf("goja's share     %.0f µs (the template's render, measured apart in this process)\n", goja)
	fmt.Printf("memory           %s\n", memory)
	fmt.Printf("lost             %d\n", events-receiver.unique())
	fmt.Printf("doubled          %d\n", receiver.doubled())
	if lost := events - receiver.unique(); lost > 0 {
		return fmt.Errorf("%d events were accepted and did not arrive", lost)
	}
	return nil
}

func compact(raw []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].Round(10 * time.Microsecond)
}

// receiver is the custom webhook that everything is delivered to. It answers
// as fast as it can and reads the event's number and the time of its post.
type receiver struct {
	address string
	server  *http.Server
	count   atomic.Int64

	mu   sync.Mutex
	seen map[int]int
	took []time.Duration
}

func listen() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{address: l.Addr().String()}
	r.reset()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go r.server.Serve(l) // ends with the server
	return r, nil
}

func (r *receiver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen, r.took = map[int]int{}, nil
	r.count.Store(0)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "cut short", http.StatusBadRequest)
		return
	}
	now := time.Now()
	number, posted := field(body, "number"), field(body, "posted")
	r.mu.Lock()
	r.seen[int(number)]++
	r.took = append(r.took, now.Sub(time.Unix(0, posted)))
	r.mu.Unlock()
	r.count.Add(1)
	io.WriteString(w, `{"code":0,"message":""}`)
}

// field is a number of the body, found without decoding the rest.
func field(body []byte, name string) int64 {
	_, after, _ := bytes.Cut(body, []byte(`"`+name+`":"`))
	digits, _, _ := bytes.Cut(after, []byte(`"`))
	n, _ := strconv.ParseInt(string(digits), 10, 64)
	return n
}

func (r *receiver) unique() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

func (r *receiver) doubled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, times := range r.seen {
		n += times - 1
	}
	return n
}

func (r *receiver) latencies() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.took))
}

// running is the relay under test.
type running struct {
	cmd  *exec.Cmd
	base string
	log  *os.File
	http *http.Client
}

func start(binary, dir string, receiver *receiver) (*running, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a free port
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	config := fmt.Sprintf(`server: {listen: "%s"}
store: {path: ./store}
destinations:
  bench: {provider: custom, url: "http://%s/hook"}
`, address, receiver.address)
	if err := os.MkdirAll(filepath.Join(dir, "templates", "custom"), 0o700); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"relay.yaml": []byte(config), "templates/custom/default.ts": template} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "run", "-c", "relay.yaml")
	cmd.Dir, cmd.Stderr = dir, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &running{cmd: cmd, base: "http://" + address, log: log, http: newClient()}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := r.http.Get(r.base + "/readyz")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && strings.Contains(string(body), `"name":"custom"`) && !strings.Contains(string(body), "starting") {
				return r, nil
			}
		}
		if time.Now().After(deadline) {
			r.stop()
			return nil, fmt.Errorf("relay did not get ready; its log:\n%s", r.tail())
		}
	}
}

// newClient is the load's: connections are kept, and nothing is compressed,
// which would measure gzip.
func newClient() *http.Client {
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
	}
}

// tail is the end of relay's log.
func (r *running) tail() string {
	if r.log == nil {
		return ""
	}
	b, _ := os.ReadFile(r.log.Name())
	return string(b[max(0, len(b)-4000):])
}

func (r *running) stop() {
	r.cmd.Process.Signal(os.Interrupt)
	r.cmd.Wait()
	r.log.Close()
}

// measured is what one load took.
type measured struct {
	accepted      time.Duration // until the last 202
	delivered     time.Duration // until the last arrival
	acceptLatency []time.Duration
}

// load posts n events from several connections and waits for their arrival.
func (r *running) load(receiver *receiver, n, clients int) (*measured, error) {
	base := compact(event)
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, clients)
	took := make([][]time.Duration, clients)
	for c := range clients {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				posted := time.Now()
				body := bytes.Replace(base, []byte(`"NUMBER"`), []byte(`"`+strconv.FormatInt(i, 10)+`"`), 1)
				body = bytes.Replace(body, []byte(`"POSTED"`), []byte(`"`+strconv.FormatInt(posted.UnixNano(), 10)+`"`), 1)
				resp, err := r.http.Post(r.base+"/v1/events", "application/json", bytes.NewReader(body))
				if err != nil {
					failed <- err
					return
				}
				answer, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted {
					failed <- fmt.Errorf("relay answered %s: %s", resp.Status, answer)
					return
				}
				took[c] = append(took[c], time.Since(posted))
			}
		})
	}
	wg.Wait()
	m := &measured{accepted: time.Since(began), acceptLatency: slices.Concat(took...)}
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	for deadline := time.Now().Add(time.Minute); receiver.unique() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d of %d events did not arrive in a minute; relay's log:\n%s", n-receiver.unique(), n, r.tail())
		}
	}
	m.delivered = time.Since(began)
	time.Sleep(200 * time.Millisecond) // the last verdicts are recorded
	return m, nil
}
