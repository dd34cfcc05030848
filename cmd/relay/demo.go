//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/app"
)

// demoWait bounds each step of the demo; a step takes milliseconds.
const demoWait = 20 * time.Second

func (c *cli) demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Shows the main job on this machine: no account, no network, nothing to configure",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "go on running afterwards, to play with; end it with ^C")
	return cmd
}

// demo runs a whole relay in a temporary directory beside a receiver that
// plays the chat tools, and tells what happens.
func (c *cli) demo(ctx context.Context, keep bool) error {
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	receiver, err := startReceiver()
	if err != nil {
		return err
	}
	defer receiver.close()
	d := &demo{cli: c, dir: dir, receiver: receiver}
	if err := d.writeFiles(); err != nil {
		return err
	}
	var log bytes.Buffer // shown only when something goes wrong
	o, err := c.options(filepath.Join(dir, "relay.yaml"))
	if err != nil {
		return err
	}
	o.Stderr = &log
	relay, err := app.New(ctx, o)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	d.base = "http://" + relay.Addresses()[0].String()
	err = d.play(ctx)
	if err == nil && keep {
		d.say("\nrelay keeps running; its files are in %s. Try, in another terminal:", dir)
		d.say("  relay send --server %s --type backup.finished --title \"Nightly backup\" --level success", d.base)
		d.say("  relay deliveries list --server %s", d.base)
		d.say("What arrives is shown here. End it with ^C.\n")
		go d.watch(ctx) // ends with ctx, as the demo does
		<-ctx.Done()
	}
	stop()
	if stopped := <-ended; err == nil {
		err = stopped
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(c.stderr, "%s", log.Bytes())
		return err
	}
	return nil
}

type demo struct {
	*cli
	dir      string
	base     string
	receiver *receiver
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.stdout, format+"\n", args...) }

func (d *demo) writeFiles() error {
	config := fmt.Sprintf(`# written by relay demo
server:
  listen: 127.0.0.1:0
store:
  path: ./store
destinations:
  dba-team:
    provider: slack
    url: http://%[1]s/slack/T000/B000/demo-secret
    rate: 100/s
  audit:
    provider: custom
    url: http://%[1]s/custom
    events: ["issue.*"]
`, d.receiver.address())
	if err := os.Mkdir(filepath.Join(d.dir, "templates"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, "relay.yaml"), []byte(config), 0o600)
}

// demoEvents are what the app beside relay hands over.
var demoEvents = []struct{ door, body string }{
	{"/v1/events", `{"type":"issue.created","title":"Add an index to orders","link":"https://app.example.com/issues/101","actor":{"id":1,"name":"Alice","email":"alice@example.com"},"project":{"id":1,"name":"demo"},"issue":{"id":101,"name":"Add an index to orders","status":"OPEN"}}`},
	{"/v1/events", `{"type":"issue.approval_requested","level":"warn","title":"Add an index to orders","description":"It locks **orders** for about a minute.","link":"https://app.example.com/issues/101","actor":{"name":"Alice"},"issue":{"id":101,"name":"Add an index to orders"}}`},
	{"/v1/events", `{"type":"pipeline.failed","level":"error","title":"Rollout of release 42 failed","link":"https://app.example.com/rollouts/42"}`},
	{"/v1/sources/bytebase", `{"level":"INFO","activity_type":"bb.issue.created","title":"example webhook","description":"example description","link":"example link","creator_id":1,"creator_name":"Bytebase","created_ts":1651212107,"issue":{"id":1,"name":"example issue","status":"OPEN","type":"bb.issue.database.create"},"project":{"id":1,"name":"demo"}}`},
}

// play tells the story, step by step. Every line that it prints was seen.
func (d *demo) play(ctx context.Context) error {
	status, err := d.status(ctx)
	if err != nil {
		return err
	}
	d.say("relay runs at %s (process %d). Beside it:", d.base, os.Getpid())
	for _, p := range status {
		d.say("  plugin %-7s process %d", p.Name, p.PID)
	}
	d.say("  a receiver that plays Slack and a custom webhook, at %s", d.receiver.address())

	d.say("\nThe app posts events. 202 means: on disk.")
	for _, e := range demoEvents {
		answer, err := d.post(ctx, e.door, e.body)
		if err != nil {
			return err
		}
		d.say("  POST %-21s %s", e.door, answer)
	}
	d.say("\nWhat the receiver got, each rendered by a JavaScript template in the plugin's process:")
	if err := d.receive(ctx, 7); err != nil { // four to Slack, three issues to the custom webhook
		return err
	}

	d.say("\nA template is edited while relay runs: templates/slack/pipeline.failed.ts")
	edited := `import { message } from "relay";
export default (event) => message({ title: "🔥 " + event.title, level: "error", actions: [{ text: "Look", url: event.link }] });
`
	if err := d.edit("slack/pipeline.failed.ts", edited); err != nil {
		return err
	}
	if err := d.reload(ctx); err != nil {
		return err
	}
	if _, err := d.post(ctx, demoEvents[2].door, demoEvents[2].body); err != nil {
		return err
	}
	if err := d.receive(ctx, 1); err != nil {
		return err
	}

	// A verdict that is still on its way would make the successor send twice.
	if err := d.settle(ctx); err != nil {
		return err
	}
	d.say("\nThe Slack plugin is killed (kill -9), and the app goes on posting:")
	for _, p := range status {
		if p.Name == "slack" {
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill the slack plugin: %w", err)
			}
		}
	}
	if _, err := d.post(ctx, demoEvents[2].door, demoEvents[2].body); err != nil {
		return err
	}
	if err := d.receive(ctx, 1); err != nil {
		return err
	}
	if status, err = d.status(ctx); err != nil {
		return err
	}
	for _, p := range status {
		if p.Name == "slack" {
			d.say("  delivered by its successor, process %d", p.PID)
		}
	}

	if err := d.settle(ctx); err != nil {
		return err
	}
	d.say("\nThe sent log (relay deliveries list):")
	return d.log(ctx)
}

type pluginStatus struct {
	Name  string
	PID   int
	State string
}

// status waits until every plugin runs.
func (d *demo) status(ctx context.Context) ([]pluginStatus, error) {
	var s struct{ Plugins []pluginStatus }
	err := d.until(ctx, "the plugins did not start", func() (bool, error) {
		err := d.get(ctx, "/v1/status", &s)
		running := 0
		for _, p := range s.Plugins {
			if p.State == "ready" {
				running++
			}
		}
		return running == 3, err // slack, custom and the script child
	})
	return s.Plugins, err
}

func (d *demo) edit(name, text string) error {
	path := filepath.Join(d.dir, "templates", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// reload asks relay to look at its files now and waits for it; relay would notice
// by itself as well.
func (d *demo) reload(ctx context.Context) error {
	return d.client().do(ctx, "POST", "/v1/reload", nil, nil)
}

func (d *demo) client() *client {
	return &client{name: d.base, base: d.base, http: &http.Client{Timeout: clientTimeout}}
}

func (d *demo) post(ctx context.Context, path, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", d.base+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answered %s: %s", path, resp.Status, answer)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, bytes.TrimSpace(answer)), err
}

func (d *demo) get(ctx context.Context, path string, out any) error {
	return d.client().do(ctx, "GET", path, nil, out)
}

// watch prints what arrives until ctx ends.
func (d *demo) watch(ctx context.Context) {
	for {
		select {
		case m := <-d.receiver.arrived:
			d.say("  %-8s %s", m.who, m.text)
		case <-ctx.Done():
			return
		}
	}
}

// receive prints the next n messages that arrive.
func (d *demo) receive(ctx context.Context, n int) error {
	timeout := time.NewTimer(demoWait)
	defer timeout.Stop()
	for range n {
		select {
		case m := <-d.receiver.arrived:
			d.say("  %-8s %s", m.who, m.text)
		case <-timeout.C:
			return errors.New("a message did not arrive in time")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// settle waits until every verdict is on disk.
func (d *demo) settle(ctx context.Context) error {
	return d.until(ctx, "the deliveries did not end", func() (bool, error) {
		var page struct {
			Deliveries []struct{ State string }
		}
		err := d.get(ctx, "/v1/deliveries", &page)
		for _, row := range page.Deliveries {
			if row.State != "delivered" {
				return false, err
			}
		}
		return true, err
	})
}

// until asks again and again, for demoWait at most.
func (d *demo) until(ctx context.Context, otherwise string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoWait, errors.New(otherwise+" in time"))
	defer cancel()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *demo) log(ctx context.Context) error {
	list := &cli{stdout: d.stdout, stderr: d.stderr}
	root := list.root()
	root.SetArgs([]string{"deliveries", "list", "--server", d.base})
	return root.ExecuteContext(ctx)
}

// receiver plays the chat tools.
type receiver struct {
	listener net.Listener
	server   *http.Server
	arrived  chan arrival
}

type arrival struct{ who, text string }

func startReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{listener: l, arrived: make(chan arrival, 64)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /slack/", func(w http.ResponseWriter, req *http.Request) {
		var m struct{ Text string }
		if json.NewDecoder(req.Body).Decode(&m) != nil || m.Text == "" {
			http.Error(w, "invalid_payload", http.StatusBadRequest)
			return
		}
		r.arrived <- arrival{"Slack", oneLine(m.Text)}
		io.WriteString(w, "ok")
	})
	mux.HandleFunc("POST /custom", func(w http.ResponseWriter, req *http.Request) {
		var m struct {
			ActivityType string `json:"activity_type"`
			Level, Title string
		}
		if json.NewDecoder(req.Body).Decode(&m) != nil || m.ActivityType == "" {
			io.WriteString(w, `{"code":1,"message":"not understood"}`)
			return
		}
		r.arrived <- arrival{"custom", fmt.Sprintf("%s %s %q", m.Level, m.ActivityType, m.Title)}
		io.WriteString(w, `{"code":0,"message":""}`)
	})
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go r.server.Serve(l) // ends with close
	return r, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (r *receiver) address() string { return r.listener.Addr().String() }

func (r *receiver) close() { r.server.Close() }
