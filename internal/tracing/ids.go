package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"go.opentelemetry.io/otel/propagation"
	api "go.opentelemetry.io/otel/trace"

	"github.com/relay-sidecar/relay"
)

// attemptID is the id of the span of an attempt, known before and after.
func attemptID(delivery string, attempt int) (id api.SpanID) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", delivery, attempt))
	copy(id[:], sum[:])
	return id
}

// wantedID is the key of the id that the next span of a context gets.
type wantedID struct{}

// ids are random, but for spans whose id was known before.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (t api.TraceID, s api.SpanID) {
	rand.Read(t[:]) // never fails
	return t, ids{}.NewSpanID(ctx, t)
}

func (ids) NewSpanID(ctx context.Context, _ api.TraceID) (s api.SpanID) {
	if id, ok := ctx.Value(wantedID{}).(api.SpanID); ok {
		return id
	}
	rand.Read(s[:])
	return s
}

// accepted is the context of the span under which an event was accepted; false:
// it is not traced.
func accepted(traceparent string) (api.SpanContext, bool) {
	if traceparent == "" {
		return api.SpanContext{}, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	s := api.SpanContextFromContext(ctx)
	return s, s.IsValid() && s.IsSampled()
}

func traceparent(s api.SpanContext) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(api.ContextWithSpanContext(context.Background(), s), carrier)
	return carrier["traceparent"]
}

// Parent is the trace context of the attempt that begins, for its plugin; empty:
// the event is not traced.
func (t *Tracer) Parent(c *relay.Claimed) string {
	if t == nil {
		return ""
	}
	s, ok := accepted(c.Trace)
	if !ok {
		return ""
	}
	return traceparent(s.WithSpanID(attemptID(c.ID, c.Attempt)))
}

// Context is the trace context to keep with an event that is accepted under
// ctx; empty: it is not traced.
func (t *Tracer) Context(ctx context.Context) string {
	if t == nil {
		return ""
	}
	if s := api.SpanContextFromContext(ctx); s.IsValid() && s.IsSampled() {
		return traceparent(s)
	}
	return ""
}
