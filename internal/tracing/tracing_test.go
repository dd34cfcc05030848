package tracing

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// start makes a tracer with these variables and none of the machine's.
func start(t *testing.T, variables ...string) (*Tracer, string) {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		t.Setenv(name, "")
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	var log strings.Builder
	tracer := New(t.Context(), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	t.Cleanup(func() {
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	})
	return tracer, log.String()
}

func TestVariables(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, test := range []struct {
		variables []string
		on        bool
		says      string
	}{
		{nil, false, ""},
		{[]string{endpoint}, true, "msg=tracing endpoint=http://127.0.0.1:1"},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces"}, true, "/v1/traces"},
		{[]string{endpoint, "OTEL_SDK_DISABLED=true"}, false, ""},
		{[]string{endpoint, "OTEL_TRACES_EXPORTER=none"}, false, ""},
		{[]string{endpoint, "OTEL_TRACES_EXPORTER=otlp"}, true, "msg=tracing"},
		{[]string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, false, "relay speaks http/protobuf only"},
		{[]string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, true, "msg=tracing"},
	} {
		tracer, log := start(t, test.variables...)
		if on := tracer != nil; on != test.on || !strings.Contains(log, test.says) || test.says == "" && log != "" {
			t.Errorf("%v: on is %v, the log says %q", test.variables, on, log)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a-key, x-api-key=another")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-third=third")
	got := Secrets()
	for _, want := range []string{"Bearer a-key", "Bearer%20a-key", "another", "third"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
}

// TestParent: what a plugin is told is known beforehand, differs by attempt, and
// is the same in every process.
func TestParent(t *testing.T) {
	tracer, _ := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	claim := relay.Claimed{ID: "delivery", Attempt: 1, Trace: parent}
	first := tracer.Parent(&claim)
	if !strings.HasPrefix(first, parent[:36]) || !strings.HasSuffix(first, "-01") || first == parent || first != tracer.Parent(&claim) {
		t.Errorf("got %s", first)
	}
	claim.Attempt = 2
	if second := tracer.Parent(&claim); second == first {
		t.Errorf("both attempts are %s", second)
	}
	for _, trace := range []string{"", "nonsense", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", parent[:len(parent)-1] + "0"} {
		claim.Trace = trace
		if got := tracer.Parent(&claim); got != "" {
			t.Errorf("%q makes %q", trace, got)
		}
	}
}

// TestNil: a tracer that is none does nothing.
func TestNil(t *testing.T) {
	var tracer *Tracer
	claim := relay.Claimed{ID: "delivery", Attempt: 1, Trace: parent}
	if tracer.Parent(&claim) != "" || tracer.Context(t.Context()) != "" || tracer.Accept(nil) != nil || tracer.Close() != nil {
		t.Error("it does something")
	}
	tracer.Attempted(&claim, time.Now(), time.Now(), &relay.Report{})
	tracer.LookedUp(&claim, time.Now(), time.Now(), nil)
}
