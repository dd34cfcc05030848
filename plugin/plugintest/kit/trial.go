package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/launch"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// trial is one run of the kit.
type trial struct {
	p      Plugin
	c      Case
	dir    string
	vendor *vendor
	who    *pluginpb.DescribeResponse
	good   *pluginpb.Settings
	serial int

	proc         *launch.Process
	client       pluginpb.ProviderClient
	stream       pluginpb.Provider_DeliverClient
	parent       [2]*os.File
	cancelStream context.CancelFunc

	sendMu  sync.Mutex // one at a time may send on the stream
	mu      sync.Mutex // guards the fields below
	waiting map[uint64]chan *pluginpb.Report
	doubles int // results that nobody waited for
	ticket  uint64
	said    strings.Builder // everything that left the plugin but for requests to the vendor
}

func newTrial(p Plugin) (*trial, error) {
	t := &trial{p: p, waiting: map[uint64]chan *pluginpb.Report{}}
	if len(p.Command) == 0 {
		return nil, errors.New("there is no command to check")
	}
	file, err := filepath.Abs(p.Command[0])
	if err != nil {
		return nil, err
	}
	t.p.Command = append([]string{file}, p.Command[1:]...)
	if t.dir, err = tempDir(); err != nil {
		return nil, err
	}
	if t.vendor, err = newVendor(); err != nil {
		return nil, err
	}
	if p.Case != nil {
		raw, err := json.Marshal(p.Case)
		if err != nil {
			return nil, err
		}
		raw = []byte(strings.ReplaceAll(string(raw), "${VENDOR}", t.vendor.url))
		if err := json.Unmarshal(raw, &t.c); err != nil {
			return nil, err
		}
	}
	if t.c.Answer.Body == "" && t.c.Answer.Status == 0 {
		t.c.Answer.Body = "{}"
	}
	return t, nil
}

func (t *trial) close() {
	if t.proc != nil {
		t.stop()
	}
	t.vendor.close()
	os.RemoveAll(t.dir)
}

// note keeps what the plugin says, for the check of secrets.
func (t *trial) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said.WriteString(text + "\n")
}

// start starts a process and opens its stream.
func (t *trial) start() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	t.parent = [2]*os.File{r, w}
	t.serial++
	sockets := filepath.Join(t.dir, fmt.Sprint(t.serial))
	if err := os.Mkdir(sockets, 0o700); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(noteWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	t.proc, err = launch.Start(context.Background(), launch.Command{
		File: t.p.Command[0], Args: t.p.Command[1:], Sockets: sockets, Parent: r, Logger: logger, Stderr: t.note,
	})
	if err != nil {
		t.proc = nil
		t.dropParent()
		return err
	}
	t.client = pluginpb.NewProviderClient(t.proc.Conn)
	ctx, cancel := context.WithCancel(context.Background())
	t.cancelStream = cancel
	t.stream, err = t.client.Deliver(ctx)
	if err != nil {
		return fmt.Errorf("the stream of Deliver does not open: %w", err)
	}
	stream := t.stream
	go t.read(stream) // ends with the process
	return nil
}

func (t *trial) dropParent() {
	for _, f := range t.parent {
		if f != nil {
			f.Close()
		}
	}
	t.parent = [2]*os.File{}
}

// stop ends the process as relay does.
func (t *trial) stop() {
	t.proc.Kill()
	t.cancelStream()
	t.dropParent()
	t.proc = nil
}

func (t *trial) running() bool { return t.proc != nil && t.proc.Conn.Exited.Err() == nil }

// restart is for the checks that follow one that broke the process.
func (t *trial) restart() {
	if t.proc != nil {
		t.stop()
	}
	if t.start() == nil && t.good != nil {
		_, _ = t.put(context.Background(), t.good) // the next check says what is wrong
	}
}

func (t *trial) read(stream pluginpb.Provider_DeliverClient) {
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.mu.Lock()
			for ticket, c := range t.waiting {
				close(c)
				delete(t.waiting, ticket)
			}
			t.mu.Unlock()
			return
		}
		for _, result := range resp.Results {
			text, _ := json.Marshal(result.Report)
			t.note(string(text))
			for _, body := range [][]byte{result.Report.GetMessage(), result.Report.GetRequest().GetBody(), result.Report.GetResponse().GetBody()} {
				t.note(string(body)) // bytes are base64 in the JSON above
			}
			t.mu.Lock()
			c := t.waiting[result.Ticket]
			delete(t.waiting, result.Ticket)
			if c == nil {
				t.doubles++
			}
			t.mu.Unlock()
			if c != nil {
				c <- result.Report
			}
		}
	}
}

// noteWriter keeps what the plugin logs.
type noteWriter struct{ t *trial }

func (n noteWriter) Write(b []byte) (int, error) { n.t.note(string(b)); return len(b), nil }

var _ io.Writer = noteWriter{}

// callTimeout bounds a call that is no delivery.
const callTimeout = 10 * time.Second

// put configures the plugin with these settings, and with the templates that
// the checks use.
func (t *trial) put(ctx context.Context, settings ...*pluginpb.Settings) (*pluginpb.ConfigureResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if t.renders() {
		req := &pluginpb.PutTemplatesRequest{}
		for name, code := range programs {
			req.Templates = append(req.Templates, &pluginpb.Template{Revision: name, Name: name + ".ts", Code: []byte(code)})
		}
		resp, err := t.client.PutTemplates(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("the call PutTemplates: %w", err)
		}
		if len(resp.Missing) > 0 {
			return nil, fmt.Errorf("the call PutTemplates says that %v is missing, which came with its code", resp.Missing)
		}
	}
	resp, err := t.client.Configure(ctx, &pluginpb.ConfigureRequest{Settings: settings})
	if err != nil {
		return nil, fmt.Errorf("the call Configure: %w", err)
	}
	for _, p := range resp.Problems {
		t.note(p.Message)
	}
	return resp, nil
}

func (t *trial) renders() bool {
	for _, c := range t.who.GetCapabilities() {
		if c == plugin.CapabilityRender {
			return true
		}
	}
	return false
}

// delivery is the usual one.
func (t *trial) delivery(id string) *pluginpb.Delivery {
	event, _ := json.Marshal(map[string]any{
		"id": "kit-" + id, "type": "issue.created", "source": "kit", "time": "2026-11-21T08:00:00Z", "level": "info", "title": "A check by relay's kit",
	})
	d := &pluginpb.Delivery{
		Id: id, Attempt: 1, Settings: t.good.Revision, EventId: "event-" + id, Event: event, TimeoutMs: 10_000,
		Context: &pluginpb.Context{Destination: t.good.Destination, Provider: t.good.Entry, Language: "en", TimeZone: "UTC", NowMs: 1795248000000},
	}
	t.message(d, "portable")
	return d
}

// message says what a delivery is to send: by a template where the plugin has
// an engine.
func (t *trial) message(d *pluginpb.Delivery, kind string) {
	if t.renders() {
		d.Template, d.Fallback, d.TemplateErrors = kind, "portable", string(relay.TemplateErrorsDead)
		return
	}
	d.Message = []byte(rendered[kind])
}

// send hands a delivery over. The channel gives its report; it is closed without
// one when the process ends.
func (t *trial) send(d *pluginpb.Delivery) (<-chan *pluginpb.Report, error) {
	c := make(chan *pluginpb.Report, 1)
	t.mu.Lock()
	t.ticket++
	d.Ticket = t.ticket
	t.waiting[d.Ticket] = c
	t.mu.Unlock()
	t.sendMu.Lock()
	defer t.sendMu.Unlock()
	return c, t.stream.Send(&pluginpb.DeliverRequest{Deliveries: []*pluginpb.Delivery{d}})
}

// answerTime is how long beyond its timeout a delivery may go unanswered.
const answerTime = 5 * time.Second

// deliver hands a delivery over and waits for its report.
func (t *trial) deliver(d *pluginpb.Delivery) (relay.Report, error) {
	c, err := t.send(d)
	if err != nil {
		return relay.Report{}, fmt.Errorf("the stream takes no delivery: %w", err)
	}
	return t.wait(c, time.Duration(d.TimeoutMs)*time.Millisecond+answerTime)
}

func (t *trial) wait(c <-chan *pluginpb.Report, patience time.Duration) (relay.Report, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r, ok := <-c:
		if !ok {
			return relay.Report{}, errors.New("the process ended before it answered a delivery")
		}
		if r.GetVerdict() == pluginpb.Verdict_VERDICT_UNSPECIFIED {
			return relay.Report{}, errors.New("a result has no verdict; every delivery is answered with one")
		}
		return plugin.DecodeReport(r), nil
	case <-timer.C:
		return relay.Report{}, fmt.Errorf("a delivery was not answered within %s; relay would end the process as hung", patience)
	}
}
