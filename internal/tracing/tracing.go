// Package tracing makes OpenTelemetry spans of what happens to an event: its
// acceptance, and every look-up and attempt of its deliveries, with rendering
// and sending apart. It is the only importer of OpenTelemetry.
//
// It is on when OpenTelemetry's own environment variables name where spans go,
// and then obeys the rest of them; else New returns nil, and every method of a
// nil Tracer does nothing.
//
// A delivery outlives the request that brought its event, and often the
// process, so nothing of a span waits in memory: the store keeps the event's
// trace context, and the id of an attempt's span follows from the delivery and
// the number of the attempt. So the plugin can be told the id before the span
// is made, and a retry links to the attempt before it.
package tracing

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// Options say who traces.
type Options struct {
	Version string
	Logger  *slog.Logger // of spans that could not be handed over
}

// Tracer makes spans and hands them over in the background. Its methods may be
// called concurrently, and on nil.
type Tracer struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
}

// Secrets are what of OpenTelemetry's variables must not show: the values of
// the headers that carry a key to where spans go.
func Secrets() (all []string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		for pair := range strings.SplitSeq(os.Getenv(name), ",") {
			_, value, _ := strings.Cut(pair, "=")
			all = append(all, strings.TrimSpace(value))
			if plain, err := url.PathUnescape(value); err == nil {
				all = append(all, strings.TrimSpace(plain))
			}
		}
	}
	return all
}

// wanted reports whether the environment asks for traces.
func wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// New makes a tracer, or nil where the environment asks for no traces or for
// what relay cannot do: its variables are often meant for a whole cluster, and
// no reason not to start. Nothing is connected yet: where spans go need not be
// there.
func New(ctx context.Context, o Options) *Tracer {
	if !wanted() {
		return nil
	}
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), httpProtobuf)
	if protocol != httpProtobuf {
		o.Logger.Warn("nothing is traced: relay speaks "+httpProtobuf+" only; set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to that and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to the collector's HTTP port",
			"protocol", protocol)
		return nil
	}
	otel.SetErrorHandler(&complaints{logger: o.Logger})
	who, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "relay"), attribute.String("service.version", o.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv()) // the last wins
	if err != nil {
		o.Logger.Warn("traces do not say everything about relay", "error", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		o.Logger.Warn("nothing is traced", "error", err)
		return nil
	}
	o.Logger.Info("tracing", "endpoint", cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")))
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(who), trace.WithIDGenerator(ids{}))
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/relay-sidecar/relay", api.WithInstrumentationVersion(o.Version))}
}

// httpProtobuf is OpenTelemetry's name of the protocol that relay speaks.
const httpProtobuf = "http/protobuf"

// closeTime is what the last spans have to be handed over.
const closeTime = 3 * time.Second

// Close hands over what is left, within a bounded time.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// complaints logs what goes wrong with handing spans over, a repeated thing once.
type complaints struct {
	logger *slog.Logger
	last   atomic.Pointer[string]
}

func (c *complaints) Handle(err error) {
	text := err.Error()
	if last := c.last.Swap(&text); last == nil || *last != text {
		c.logger.Warn("traces are not handed over", "error", text)
	}
}
