package kit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest/kit"
	"github.com/relay-sidecar/relay/plugin/post"
)

// TestMain makes the test binary the plugins that are checked: each bad in one way.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "plugin" {
		fault = os.Args[2]
		if fault == "orphan" { // deaf to the end of its parent
			syscall.Close(plugin.ParentFD)
		}
		plugin.Serve(&chat{client: post.New(post.Options{})})
		return
	}
	os.Exit(m.Run())
}

var fault string

type chat struct{ client *post.Client }

type target struct {
	URL   string `json:"url" jsonschema:"format=relay-url"`
	Token string `json:"token,omitempty" jsonschema:"writeOnly=true"`
}

func (c *chat) Describe() plugin.Description {
	d := plugin.Description{Name: "chat", Version: "1", DestinationSchema: plugin.SchemaOf(target{}), Limits: plugin.Limits{Rate: relay.Rate{Count: 1, Per: time.Second}}}
	switch fault {
	case "no version":
		d.Version = ""
	case "open schema":
		d.DestinationSchema = json.RawMessage(`{"type":"object","properties":{"url":{"type":"string","format":"relay-url"},"events":{},"api_token":{"type":"string"}}}`)
	}
	return d
}

func (c *chat) Open(s plugin.Settings) (plugin.Destination, []plugin.Problem) {
	var t target
	if problems := s.Decode(nil, &t); problems != nil {
		return nil, problems
	}
	switch fault {
	case "bad pointer":
		return nil, []plugin.Problem{{Pointer: "url", Message: "wrong", Warning: true}}
	case "leaks":
		fmt.Fprintln(os.Stderr, "opened with "+t.Token)
	}
	return &room{c, s.Masker, t}, nil
}

type room struct {
	*chat
	masker *relay.Masker
	target target
}

func (r *room) Compose(d *plugin.Delivery, m relay.Rendered) (*plugin.Request, error) {
	text := m.Text
	if m.Portable != nil {
		text = m.Portable.Title
		if fault == "mentions" {
			text += m.Portable.Text
		}
	}
	key := d.ID
	if fault == "key" {
		key = fmt.Sprint(d.ID, d.Attempt)
	}
	body, err := post.Encode(map[string]string{"text": text, "key": key})
	return post.JSON(r.target.URL, body), err
}

var serial = make(chan struct{}, 1)

func (r *room) Send(ctx context.Context, d *plugin.Delivery, q *plugin.Request) relay.Report {
	switch fault {
	case "serial":
		serial <- struct{}{}
		defer func() { <-serial }()
	case "deaf":
		ctx = context.WithoutCancel(ctx)
	case "retries":
		if report := r.client.Send(ctx, r.masker, q, func(a *post.Answer) relay.Report { return post.ByStatus(a, time.Now()) }); report.Verdict == relay.Delivered {
			return report
		}
	}
	return r.client.Send(ctx, r.masker, q, func(a *post.Answer) relay.Report {
		report := post.ByStatus(a, time.Now())
		if fault == "wrong class" && a.Status == http.StatusTooManyRequests {
			report.Verdict = relay.MessageRefused
		}
		return report
	})
}

// Every fault is found by the check that is there for it, and by no other; a
// good plugin has none.
func TestEveryFaultIsFound(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for fault, want := range map[string]string{
		"none":        "",
		"no version":  "describe: there is no version",
		"open schema": "schemas: the destination's schema has not \"additionalProperties\": false",
		"bad pointer": "settings: a problem of Check has the pointer \"url\"",
		"leaks":       "secrets: a secret setting left the plugin",
		"mentions":    "every kind of message: full: a mention token reached the vendor",
		"key":         "idempotency key: the key is ",
		"serial":      "many at a time: of 16 deliveries handed over only 1 were on their way",
		"deaf":        "timeout: the vendor does not answer, and timeout_ms is 500: a delivery was not answered",
		"retries":     "one request an attempt: the vendor answered 500, and got 2 requests",
		"wrong class": "report classes: too fast: the vendor answered 429, the report is message_refused",
		"orphan":      "parent gone: relay is gone, and the process lives on",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel() // they mostly wait
			results := kit.Check(t.Context(), kit.Plugin{
				Command: []string{executable, "plugin", fault},
				Case: &kit.Case{
					Target:      json.RawMessage(`{"url":"${VENDOR}/hook","token":"a-secret-token"}`),
					Idempotency: &kit.Place{Body: "/key"},
				},
			})
			var failed []string
			for _, r := range results {
				if r.Outcome == kit.Failed {
					failed = append(failed, r.Name+": "+r.Detail)
				}
			}
			switch {
			case want == "" && len(failed) > 0, want != "" && len(failed) == 0:
				t.Errorf("failed: %v", failed)
			case want != "" && !strings.HasPrefix(failed[0], want):
				t.Errorf("failed: %v\nwant %s", failed, want)
			}
			if kit.Good(results) != (want == "") {
				t.Error("Good says otherwise")
			}
		})
	}
}

// A report says each thing once.
func TestPrint(t *testing.T) {
	var out bytes.Buffer
	kit.Print(&out, []kit.Result{
		{Name: "handshake", Outcome: kit.Passed, Detail: "in 9ms"},
		{Name: "describe", Outcome: kit.Failed, Detail: "there is no version;\nsay one"},
		{Name: "preview", Outcome: kit.Skipped, Detail: "not served"},
	})
	const want = `ok        handshake                in 9ms
FAILED    describe                 there is no version;
                                   say one
skipped   preview                  not served

1 ok, 1 failed, 1 skipped
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
