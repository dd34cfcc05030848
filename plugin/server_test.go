package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// echo delivers by saying in the receipt what it was given.
type echo struct{}

const echoSchema = `{"type":"object","properties":{"url":{"type":"string","writeOnly":true},
	"headers":{"type":"object","additionalProperties":{"type":"string"},"writeOnly":true}}}`

func (echo) Describe() Description {
	return Description{Name: "echo", Version: "1", DestinationSchema: json.RawMessage(echoSchema), Limits: Limits{Rate: relay.Rate{Count: 20, Per: 60e9}, Concurrency: 3, Body: 1000}}
}

func (echo) Open(s Settings) (Destination, []Problem) {
	var t struct{ URL string }
	if err := json.Unmarshal(s.Target, &t); err != nil {
		return nil, []Problem{{Message: err.Error()}}
	}
	switch {
	case strings.HasPrefix(t.URL, "bad"):
		return nil, []Problem{{Pointer: "/url", Message: t.URL + " is bad"}}
	case strings.HasPrefix(t.URL, "warn"):
		return echoPlace{t.URL}, []Problem{{Pointer: "/url", Message: "hm", Warning: true}}
	}
	return echoPlace{t.URL}, nil
}

type echoPlace struct{ url string }

func (e echoPlace) Compose(d *Delivery, r relay.Rendered) (*Request, error) {
	if r.Text == "panic" {
		panic("on purpose")
	}
	if r.Text == "too long" {
		return nil, errors.New("the text has 9 characters, the vendor takes 5: " + e.url)
	}
	return &Request{URL: e.url, Header: map[string][]string{"X-Key": {"k"}, "Content-Type": {"text/plain"}}, Body: []byte(r.Text)}, nil
}

func (e echoPlace) Send(_ context.Context, d *Delivery, r *Request) relay.Report {
	if strings.HasPrefix(string(r.Body), "cut off") {
		return relay.Report{Verdict: relay.Ambiguous, DedupFor: time.Hour, Error: "no answer", Receipt: string(r.Body)}
	}
	if string(r.Body) == "fail" {
		return relay.Report{Verdict: relay.Temporary, Error: "cannot reach " + e.url}
	}
	return relay.Report{Verdict: relay.Delivered, Receipt: d.ID + " " + d.Destination + " " + string(r.Body)}
}

// stream is one plugin's stream in this process.
type stream struct {
	grpc.ServerStream
	in  chan *pluginpb.DeliverRequest
	mu  sync.Mutex // guards out
	out map[uint64]*pluginpb.Report
}

func (s *stream) Context() context.Context { return context.Background() }
func (s *stream) Recv() (*pluginpb.DeliverRequest, error) {
	if r, ok := <-s.in; ok {
		return r, nil
	}
	return nil, io.EOF
}

func (s *stream) Send(r *pluginpb.DeliverResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, result := range r.Results {
		if s.out[result.Ticket] != nil {
			panic("answered twice")
		}
		s.out[result.Ticket] = result.Report
	}
	return nil
}

// echoServer has settings s1 and templates t1 (returns the title), t2 (throws)
// and t3 (skips).
func echoServer(t *testing.T) *server {
	t.Helper()
	s := newServer(echo{}, Logger(io.Discard))
	configured, err := s.Configure(t.Context(), &pluginpb.ConfigureRequest{Settings: []*pluginpb.Settings{
		{Revision: "s1", Destination: "d", Provider: []byte("{}"), Target: []byte(`{"url":"http://very-secret-url"}`)},
	}})
	if err != nil || len(configured.Problems) > 0 {
		t.Fatalf("configure: %v, %v", configured, err)
	}
	put, err := s.PutTemplates(t.Context(), &pluginpb.PutTemplatesRequest{Templates: []*pluginpb.Template{
		{Revision: "t1", Name: "one.ts", Code: []byte(`$relay("default", function (e) { return e.title })`)},
		{Revision: "t2", Name: "two.ts", Code: []byte(`$relay("default", function (e) { throw new Error("on purpose") })`)},
		{Revision: "t3", Name: "three.ts", Code: []byte(`$relay("default", function (e) { return null })`)},
		{Revision: "t4", Name: "four.ts", Code: []byte(`$relay("default", function (e) { return "four" })`)},
		{Revision: "t5", Name: "five.ts", Code: []byte(`$relay("default", function (e) { const a = []; a.length = 1e8; return a.indexOf(1) })`)},
	}})
	if err != nil || len(put.Missing) > 0 {
		t.Fatalf("templates: %v, %v", put, err)
	}
	return s
}

func deliver(t *testing.T, s *server, all ...*pluginpb.Delivery) map[uint64]*pluginpb.Report {
	t.Helper()
	st := &stream{in: make(chan *pluginpb.DeliverRequest, 1), out: map[uint64]*pluginpb.Report{}}
	st.in <- &pluginpb.DeliverRequest{Deliveries: all}
	close(st.in)
	if err := s.Deliver(st); err != nil {
		t.Fatal(err)
	}
	return st.out
}

func delivery(ticket uint64, title, template string) *pluginpb.Delivery {
	return &pluginpb.Delivery{
		Ticket: ticket, Id: "id", Settings: "s1", Template: template, Event: []byte(`{"title":"` + title + `"}`),
		TimeoutMs: 5000, Context: &pluginpb.Context{Destination: "d"},
	}
}

func TestServerDelivers(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*pluginpb.Delivery)
		want   relay.Report // compared where set
		broken string       // a part of the template error
	}{
		{"delivered", func(*pluginpb.Delivery) {}, relay.Report{Verdict: relay.Delivered, Receipt: "id d hello", Template: "one.ts", TemplateRevision: "t1", Message: []byte(`"hello"`)}, ""},
		{"skipped", func(d *pluginpb.Delivery) { d.Template = "t3" }, relay.Report{Verdict: relay.Skipped, Template: "three.ts"}, ""},
		{"a failing template falls back", func(d *pluginpb.Delivery) { d.Template, d.Fallback, d.TemplateErrors = "t2", "t1", "fallback" },
			relay.Report{Verdict: relay.Delivered, Receipt: "id d hello", Template: "one.ts"}, "on purpose"},
		{"a failing template is retried", func(d *pluginpb.Delivery) { d.Template, d.Fallback, d.TemplateErrors = "t2", "t1", "retry" },
			relay.Report{Verdict: relay.Temporary, Template: "two.ts"}, "on purpose"},
		{"a failing template ends it", func(d *pluginpb.Delivery) { d.Template, d.Fallback, d.TemplateErrors = "t2", "t1", "dead" },
			relay.Report{Verdict: relay.MessageRefused, Template: "two.ts"}, "on purpose"},
		{"both templates fail", func(d *pluginpb.Delivery) { d.Template, d.Fallback, d.TemplateErrors = "t2", "t2", "fallback" },
			relay.Report{Verdict: relay.Temporary}, "on purpose"},
		{"an unknown template falls back", func(d *pluginpb.Delivery) { d.Template, d.Fallback, d.TemplateErrors = "t9", "t1", "fallback" },
			relay.Report{Verdict: relay.Delivered}, "does not have"},
		{"unknown settings are temporary", func(d *pluginpb.Delivery) { d.Settings = "s9" },
			relay.Report{Verdict: relay.Temporary, Error: "the plugin does not have these settings; they were changed or refused meanwhile"}, ""},
		{"a message that cannot be composed", func(d *pluginpb.Delivery) { d.Event = []byte(`{"title":"too long"}`) },
			relay.Report{Verdict: relay.MessageRefused, Error: "the text has 9 characters, the vendor takes 5: <secret>"}, ""},
		{"what the provider refuses falls back", func(d *pluginpb.Delivery) {
			d.Event, d.Fallback, d.TemplateErrors = []byte(`{"title":"too long"}`), "t4", "fallback"
		}, relay.Report{Verdict: relay.Delivered, Template: "four.ts", Message: []byte(`"four"`)}, "does not take the message that it made: the text has 9 characters, the vendor takes 5: <secret>"},
		{"what the provider refuses of the fallback, too", func(d *pluginpb.Delivery) {
			d.Event, d.Template, d.Fallback, d.TemplateErrors = []byte(`{"title":"too long"}`), "t2", "t1", "fallback"
		}, relay.Report{Verdict: relay.MessageRefused, Template: "one.ts", Error: "the text has 9 characters, the vendor takes 5: <secret>"}, "on purpose"},
		{"a quarantined template falls back", func(d *pluginpb.Delivery) {
			d.Template, d.Fallback, d.TemplateErrors, d.Quarantined = "t1", "t4", "fallback", &pluginpb.TemplateError{Message: "it is bad"}
		}, relay.Report{Verdict: relay.Delivered, Template: "four.ts"}, "it is bad"},
		{"a quarantined template is retried", func(d *pluginpb.Delivery) {
			d.Fallback, d.TemplateErrors, d.Quarantined = "t4", "retry", &pluginpb.TemplateError{Message: "it is bad"}
		}, relay.Report{Verdict: relay.Temporary, Template: "one.ts"}, "it is bad"},
		{"a missing template ends it", func(d *pluginpb.Delivery) {
			d.Template, d.Fallback, d.TemplateErrors, d.Quarantined = "", "t4", "dead", &pluginpb.TemplateError{Message: "it is not there"}
		}, relay.Report{Verdict: relay.MessageRefused}, "it is not there"},
		{"secrets in errors are masked", func(d *pluginpb.Delivery) { d.Event = []byte(`{"title":"fail"}`) },
			relay.Report{Verdict: relay.Temporary, Error: "cannot reach <secret>"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := delivery(1, "hello", "t1")
			c.change(d)
			got := DecodeReport(deliver(t, echoServer(t), d)[1])
			if got.Verdict != c.want.Verdict || c.want.Receipt != "" && got.Receipt != c.want.Receipt || c.want.Error != "" && got.Error != c.want.Error ||
				c.want.Template != "" && got.Template != c.want.Template || c.want.Message != nil && string(got.Message) != string(c.want.Message) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if ran := got.Template != "" && (d.Quarantined == nil || got.Template != "one.ts"); ran != (got.RenderTime > 0) {
				t.Errorf("template %q took %s", got.Template, got.RenderTime)
			}
			if broken := got.TemplateError != nil; broken != (c.broken != "") || broken && !strings.Contains(got.TemplateError.Message, c.broken) {
				t.Errorf("template error %+v, want %q", got.TemplateError, c.broken)
			}
		})
	}
}

// TestServerAnswersWhatCannotBeEnded: each delivery goes on without the
// template, the ones behind it do not run it again, and the stream ends although
// a render does not.
func TestServerAnswersWhatCannotBeEnded(t *testing.T) {
	s := echoServer(t)
	broken := 0
	s.broken = func() { broken++ }
	deaf := func(ticket uint64) *pluginpb.Delivery {
		d := delivery(ticket, "hello", "t5")
		d.Fallback, d.TemplateErrors = "t4", "fallback"
		return d
	}
	for ticket := uint64(1); ticket <= 2; ticket++ {
		report := deliver(t, s, deaf(ticket))[ticket]
		if report.GetVerdict() != pluginpb.Verdict_DELIVERED || report.Template != "four.ts" || !report.GetTemplateError().GetFatal() {
			t.Errorf("ticket %d: %v", ticket, report)
		}
	}
	preview, err := s.Preview(t.Context(), &pluginpb.PreviewRequest{Delivery: deaf(3)})
	if err != nil || !preview.GetReport().GetTemplateError().GetFatal() || preview.Report.Template != "four.ts" {
		t.Errorf("preview: %v, %v", preview, err)
	}
	if broken != 1 {
		t.Errorf("called %d times, want once", broken)
	}
}

// After an attempt of which nobody knows whether it was seen, the same bytes are
// sent, whatever the template says by now.
func TestServerSendsTheSameAgain(t *testing.T) {
	s := echoServer(t)
	first := DecodeReport(deliver(t, s, delivery(1, "cut off", "t1"))[1])
	if first.Verdict != relay.Ambiguous || first.DedupFor != time.Hour || len(first.Resend) == 0 || first.Resent {
		t.Fatalf("got %+v", first)
	}
	retry := delivery(2, "cut off", "t3") // which skips
	retry.Attempt, retry.Resend = 2, first.Resend
	again := DecodeReport(deliver(t, s, retry)[2])
	if again.Verdict != relay.Ambiguous || !again.Resent || again.Receipt != "cut off" || again.Template != "one.ts" || string(again.Message) != `"cut off"` || len(again.Resend) == 0 {
		t.Errorf("got %+v", again)
	}
	// What cannot be used is rendered anew; what holds a secret is not kept.
	retry = delivery(3, "hello", "t1")
	retry.Resend = []byte(`{"text":"too long","body":"eA=="}`)
	if got := DecodeReport(deliver(t, s, retry)[3]); got.Verdict != relay.Delivered || got.Resent {
		t.Errorf("got %+v", got)
	}
	if got := DecodeReport(deliver(t, s, delivery(4, "cut off http://very-secret-url", "t1"))[4]); got.Verdict != relay.Ambiguous || len(got.Resend) > 0 {
		t.Errorf("a secret is kept: %s", got.Resend)
	}
}

func TestServerAnswersEveryTicketOnce(t *testing.T) {
	var all []*pluginpb.Delivery
	for i := range 500 {
		all = append(all, delivery(uint64(i+1), "x", "t1"))
	}
	if got := deliver(t, echoServer(t), all...); len(got) != len(all) {
		t.Errorf("%d of %d answered", len(got), len(all))
	}
}

func TestServerChecksSettings(t *testing.T) {
	s := newServer(echo{}, Logger(io.Discard))
	settings := []*pluginpb.Settings{
		{Revision: "good", Target: []byte(`{"url":"http://x"}`)},
		{Revision: "bad", Target: []byte(`{"url":"bad-secret-url"}`)},
		{Revision: "warn", Target: []byte(`{"url":"warn"}`)},
	}
	checked, err := s.Check(t.Context(), &pluginpb.CheckRequest{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	configured, err := s.Configure(t.Context(), &pluginpb.ConfigureRequest{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	for _, problems := range [][]*pluginpb.Problem{checked.Problems, configured.Problems} {
		if len(problems) != 2 || problems[0].Revision != "bad" || problems[0].Message != "<secret> is bad" || problems[0].Warning || !problems[1].Warning {
			t.Errorf("problems %v", problems)
		}
	}
	// What has a fault is not usable, what has a warning is.
	for revision, usable := range map[string]bool{"good": true, "bad": false, "warn": true} {
		if got := (*s.settings.Load())[revision] != nil; got != usable {
			t.Errorf("%s is usable: %v", revision, got)
		}
	}
}

func TestServerKeepsWhatItIsTold(t *testing.T) {
	s := echoServer(t)
	before := (*s.settings.Load())["s1"]
	if _, err := s.Configure(t.Context(), &pluginpb.ConfigureRequest{Settings: []*pluginpb.Settings{
		{Revision: "s1", Destination: "d", Target: []byte(`{"url":"http://very-secret-url"}`)}, {Revision: "s2", Target: []byte(`{"url":"http://y"}`)},
	}}); err != nil {
		t.Fatal(err)
	}
	if (*s.settings.Load())["s1"] != before {
		t.Error("an unchanged destination was opened anew")
	}
	put, err := s.PutTemplates(t.Context(), &pluginpb.PutTemplatesRequest{Templates: []*pluginpb.Template{{Revision: "t1"}, {Revision: "t7"}}})
	if err != nil || len(put.Missing) != 1 || put.Missing[0] != "t7" {
		t.Errorf("missing %v, %v", put, err)
	}
	if all := *s.templates.Load(); len(all) != 1 || all["t1"].Template == nil {
		t.Errorf("templates %v: the list is whole", all)
	}
}

func TestServerPreviews(t *testing.T) {
	s := echoServer(t)
	resp, err := s.Preview(t.Context(), &pluginpb.PreviewRequest{Delivery: delivery(0, "hello", "t1")})
	if err != nil {
		t.Fatal(err)
	}
	q := resp.Report.Request
	if resp.Size != 5 || resp.Limit != 1000 || resp.Unit != "" {
		t.Errorf("size %d of %d %s", resp.Size, resp.Limit, resp.Unit)
	}
	if q.Method != "POST" || q.Url != "<secret>" || string(q.Body) != "hello" || q.Headers["X-Key"] != "<secret>" || q.Headers["Content-Type"] != "text/plain" {
		t.Errorf("request %v", q)
	}
}

// A preview that panics must not end the process with everybody's deliveries.
func TestServerSurvivesAPreview(t *testing.T) {
	resp, err := echoServer(t).Preview(t.Context(), &pluginpb.PreviewRequest{Delivery: delivery(0, "panic", "t1")})
	if r, _ := DecodePreview(resp); err != nil || r.Verdict != relay.Temporary || r.Error != panicked {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is previewed is shown whole, however long it is.
func TestPreviewIsWhole(t *testing.T) {
	long := `{"text":"` + strings.Repeat("é", 20_000) + `"}`
	r, size := DecodePreview(&pluginpb.PreviewResponse{
		Report: &pluginpb.Report{Message: []byte(long), Request: &pluginpb.HTTPRequest{Body: []byte(long)}}, Size: 7, Limit: 8, Unit: "characters",
	})
	if r.Verdict != "" || string(r.Message) != long || r.Request.Body != long || size != (Size{7, 8, "characters"}) {
		t.Errorf("%.200v, %+v", r, size)
	}
}

func TestServerDescribes(t *testing.T) {
	d, err := newServer(echo{}, Logger(io.Discard)).Describe(t.Context(), nil)
	if err != nil || d.Name != "echo" || d.Limits.Rate != "20/m" || d.Limits.Concurrency != 3 || string(d.DestinationSchema) != echoSchema {
		t.Errorf("describes itself as %v, %v", d, err)
	}
}

func TestReportOfAStranger(t *testing.T) {
	long := strings.Repeat("é", 20_000)
	got := DecodeReport(&pluginpb.Report{
		Verdict: 99, RetryAfterMs: -5, Error: long, Message: []byte("{no json"),
		Request: &pluginpb.HTTPRequest{Body: []byte(long)}, Response: &pluginpb.HTTPResponse{Body: []byte(long)},
	})
	if got.Verdict != relay.Ambiguous || got.RetryAfter != 0 || string(got.Message) != `"{no json"` {
		t.Errorf("report %+v", got)
	}
	if len(got.Error) > maxReportText || len(got.Request.Body) > maxReportBody || len(got.Response.Body) > maxReportBody || !strings.HasSuffix(got.Error, "é") {
		t.Error("a stranger's text is not cut at a character")
	}
	if huge := DecodeReport(&pluginpb.Report{Message: []byte(`{"text":"` + long + `"}`)}); !json.Valid(huge.Message) || len(huge.Message) > 2*maxReportBody {
		t.Errorf("a huge message is kept as %d bytes", len(huge.Message))
	}
}

// TestReportOfAStrangerIsCut: whatever a plugin answers, the log stays small.
func TestReportOfAStrangerIsCut(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	headers := map[string]string{}
	for i := range 1000 {
		headers[fmt.Sprint("X-", i)] = long
	}
	call := &pluginpb.HTTPRequest{Url: long, Headers: headers, Body: []byte(long)}
	got := DecodeReport(&pluginpb.Report{
		Error: long, Message: []byte(`"` + long + `"`), Request: call, TemplateError: &pluginpb.TemplateError{Message: long},
		Steps: []*pluginpb.Step{{Name: long, Request: call, Response: &pluginpb.HTTPResponse{Headers: headers, Body: []byte(long)}}},
	})
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if most := 1 << 20; len(raw) > most {
		t.Errorf("the log would keep %d bytes", len(raw))
	}
	if n := len(got.Request.Body); n > maxReportBody || n < maxReportBody-4 {
		t.Errorf("a body has %d bytes", n)
	}
}
