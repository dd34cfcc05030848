package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/relay-sidecar/relay"
)

// collected is what takes traces over OTLP/HTTP.
type collected struct {
	*httptest.Server
	mu    sync.Mutex // guards the fields below
	spans []*otlp.Span
	keys  map[string]bool // the Authorization headers that came
	who   string          // the resources
}

func newCollector(t *testing.T) *collected {
	t.Helper()
	c := &collected{keys: map[string]bool{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &in) != nil {
			http.Error(w, "no traces", http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keys[r.Header.Get("Authorization")] = true
		for _, r := range in.ResourceSpans {
			c.who += r.Resource.String()
			for _, s := range r.ScopeSpans {
				c.spans = append(c.spans, s.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// of are the spans of a trace with a name, in the order of their beginning.
func (c *collected) of(trace, name string) (all []*otlp.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if fmt.Sprintf("%x", s.TraceId) == trace && s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

func (c *collected) text() (all string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		all += s.String() + "\n"
	}
	return all
}

// TestTracing follows an event from its sender through relay, over a restart of
// relay, to its receiver.
func TestTracing(t *testing.T) {
	const (
		trace    = "4bf92f3577b34da6a3ce929d0e0e4736"
		parent   = "00f067aa0ba902b7"
		untraced = "11111111111111111111111111111111"
	)
	var mu sync.Mutex
	var headers []string
	down := true
	h := newHook(t)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		headers = append(headers, r.Header.Get("Traceparent"))
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	v := directVendors["slack"].stand(t)
	ann := relay.Person{Name: "Ann", Email: "ann@example.com"}
	v.Know("U00000001", ann)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
providers: {slack: %s}
destinations:
  hook: {provider: custom, url: "%s/hook?key=very-secret-key", format: event, events: [issue.created]}
  team: {provider: slack, events: [issue.approved], direct_messages: true, <<: %s}
`, v.Entry(), h.URL, v.Target())})
	const event = `{"type":"issue.created","title":"t"}`
	header := func(trace, flags string) string { return "Traceparent: 00-" + trace + "-" + parent + "-" + flags }

	// Without OpenTelemetry's variables nothing is traced or kept.
	p := startRelay(t, dir)
	p.ask("POST", "/v1/events", event, header(untraced, "01"))
	p.until("the receiver is asked", func() bool { return len(h.all()) > 0 })
	p.stop()

	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20key-of-the-collector")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	p = startRelay(t, dir)
	if status, answer := p.ask("POST", "/v1/events", event, header(trace, "01")); status != http.StatusAccepted {
		t.Fatalf("answered %d %s", status, answer)
	}
	p.ask("POST", "/v1/events", event, header(untraced, "00")) // its sender wants no trace
	p.until("the first attempt", func() bool { return len(c.of(trace, "deliver hook")) > 0 })
	p.stop()
	mu.Lock()
	down = false
	mu.Unlock()
	p = startRelay(t, dir)
	p.ask("POST", "/v1/events", `{"type":"issue.approved","title":"t","recipients":[{"email":"ann@example.com"}]}`, header(trace, "01"))
	attempts := func() []*otlp.Span { return c.of(trace, "deliver hook") }
	p.until("everything is delivered and told", func() bool {
		n := len(attempts())
		return n > 1 && attempts()[n-1].Status.GetMessage() == "" && len(c.of(trace, "send")) > n && len(c.of(trace, "deliver team")) == 1
	})
	p.until("what is not traced is delivered, too", func() bool {
		var page struct{ Deliveries []struct{ State string } }
		p.call("GET", "/v1/deliveries?state=delivered", "", &page)
		return len(page.Deliveries) == 4
	})
	p.stop()

	accept := c.of(trace, "accept /v1/events")
	if len(accept) != 2 || fmt.Sprintf("%x", accept[0].ParentSpanId) != parent || accept[0].Kind != otlp.Span_SPAN_KIND_SERVER {
		t.Fatalf("accept: %v", accept)
	}
	all := attempts()
	for i, s := range all {
		if string(s.ParentSpanId) != string(accept[0].SpanId) {
			t.Errorf("attempt %d is not below the acceptance: %v", i+1, s)
		}
		if links := s.Links; i == 0 && len(links) != 0 || i > 0 && (len(links) != 1 || string(links[0].SpanId) != string(all[i-1].SpanId)) {
			t.Errorf("attempt %d links to %v", i+1, links)
		}
		if inVain := s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR; inVain != (i < len(all)-1) {
			t.Errorf("attempt %d has status %v", i+1, s.Status)
		}
		for _, name := range []string{"render", "send"} {
			parts := 0
			for _, part := range c.of(trace, name) {
				if string(part.ParentSpanId) != string(s.SpanId) {
					continue
				}
				parts++
				if part.StartTimeUnixNano < s.StartTimeUnixNano || part.EndTimeUnixNano > s.EndTimeUnixNano || part.EndTimeUnixNano <= part.StartTimeUnixNano {
					t.Errorf("attempt %d: %s is not within it: %v, %v", i+1, name, part, s)
				}
			}
			if parts != 1 {
				t.Errorf("attempt %d has %d spans %s", i+1, parts, name)
			}
		}
		mu.Lock()
		if want := fmt.Sprintf("00-%s-%x-01", trace, s.SpanId); !strings.Contains(strings.Join(headers, " "), want) {
			t.Errorf("the receiver did not get %s: %q", want, headers)
		}
		mu.Unlock()
	}
	if looks := c.of(trace, "look up team"); len(looks) != 1 || string(looks[0].ParentSpanId) != string(accept[1].SpanId) {
		t.Errorf("look up: %v", looks)
	}
	mu.Lock()
	defer mu.Unlock()
	text := c.text() + p.log.String()
	for _, no := range []string{untraced, "very-secret-key", "key-of-the-collector", "ann@example.com"} {
		if strings.Contains(text, no) {
			t.Errorf("%q shows", no)
		}
	}
	if strings.Contains(strings.Join(headers, " "), untraced) {
		t.Errorf("what is not traced was passed on: %q", headers)
	}
	if !c.keys["Bearer key-of-the-collector"] || !strings.Contains(c.who, "deployment.environment") || !strings.Contains(c.who, `"relay"`) {
		t.Errorf("the collector was told %v of %s", c.keys, c.who)
	}
}

// TestTracingWithoutACollector: relay runs all the same, and says it once.
func TestTracingWithoutACollector(t *testing.T) {
	h := newHook(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(crashConfig, h.URL)}))
	for range 3 {
		n := len(h.all())
		p.accept(`{"type":"issue.created","title":"t"}`)
		p.until("it is delivered", func() bool { return len(h.all()) > n })
	}
	p.until("the log says so", func() bool { return strings.Contains(p.log.String(), "traces are not handed over") })
	p.stop()
	if n := strings.Count(p.log.String(), "traces are not handed over"); n > 2 {
		t.Errorf("the log says it %d times:\n%s", n, p.log)
	}
}
