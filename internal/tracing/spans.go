package tracing

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	api "go.opentelemetry.io/otel/trace"

	"github.com/relay-sidecar/relay"
)

// Accept makes a span of each request to a door for events, below the sender's
// own where it sends a traceparent.
func (t *Tracer) Accept(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		_, route, _ := strings.Cut(r.Pattern, " ")
		ctx, span := t.tracer.Start(ctx, "accept "+route, api.WithSpanKind(api.SpanKindServer), api.WithAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("http.route", route)))
		defer span.End()
		if name := r.PathValue("name"); name != "" {
			span.SetAttributes(attribute.String("relay.source", name))
		}
		sw := &statusWriter{w, http.StatusOK}
		next.ServeHTTP(sw, r.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", sw.status))
		if sw.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Attempted makes the span of an attempt that is over, with one for its template
// and one for its calls to the vendor. The texts of r are masked.
func (t *Tracer) Attempted(c *relay.Claimed, began, ended time.Time, r *relay.Report) {
	if t == nil {
		return
	}
	above, ok := accepted(c.Trace)
	if !ok {
		return
	}
	options := []api.SpanStartOption{
		api.WithTimestamp(began), api.WithSpanKind(api.SpanKindConsumer), api.WithAttributes(facts(c)...),
		api.WithAttributes(attribute.Int("relay.attempt", c.Attempt), attribute.String("relay.verdict", string(r.Verdict))),
	}
	if c.Attempt > 1 {
		before := above.WithSpanID(attemptID(c.ID, c.Attempt-1))
		options = append(options, api.WithLinks(api.Link{SpanContext: before, Attributes: []attribute.KeyValue{attribute.String("relay.link", "the attempt before")}}))
	}
	ctx := api.ContextWithRemoteSpanContext(context.Background(), above)
	ctx, span := t.tracer.Start(context.WithValue(ctx, wantedID{}, attemptID(c.ID, c.Attempt)), "deliver "+c.Destination, options...)
	ctx = context.WithValue(ctx, wantedID{}, nil)
	defer span.End(api.WithTimestamp(ended))
	failed(span, r)

	// The plugin says how long its parts took; the last one ended just now.
	sending := later(began, ended.Add(-r.SendTime))
	if r.RenderTime > 0 {
		_, render := t.tracer.Start(ctx, "render", api.WithTimestamp(later(began, sending.Add(-r.RenderTime))),
			api.WithAttributes(attribute.String("relay.template", r.Template), attribute.String("relay.template_revision", r.TemplateRevision)))
		if r.TemplateError != nil {
			render.SetStatus(codes.Error, r.TemplateError.Error())
		}
		render.End(api.WithTimestamp(sending))
	}
	if r.SendTime > 0 {
		_, send := t.tracer.Start(ctx, "send", api.WithTimestamp(sending), api.WithSpanKind(api.SpanKindClient))
		if r.Request != nil {
			send.SetAttributes(attribute.String("http.request.method", r.Request.Method), attribute.String("url.full", r.Request.URL))
		}
		if r.Response != nil {
			send.SetAttributes(attribute.Int("http.response.status_code", r.Response.Status))
		}
		failed(send, r)
		send.End(api.WithTimestamp(ended))
	}
}

// LookedUp makes the span of finding out who a recipient is. A look-up that
// found nobody is an attempt, too.
func (t *Tracer) LookedUp(c *relay.Claimed, began, ended time.Time, r *relay.Report) {
	if t == nil {
		return
	}
	if r != nil {
		t.Attempted(c, began, ended, r)
		return
	}
	if above, ok := accepted(c.Trace); ok {
		_, span := t.tracer.Start(api.ContextWithRemoteSpanContext(context.Background(), above), "look up "+c.Destination,
			api.WithTimestamp(began), api.WithAttributes(facts(c)...))
		span.End(api.WithTimestamp(ended))
	}
}

// facts are what a span says of its delivery: nothing of the event or the
// recipient.
func facts(c *relay.Claimed) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("relay.delivery", c.ID), attribute.String("relay.event", c.EventID), attribute.String("relay.event_type", c.EventType),
		attribute.String("relay.destination", c.Destination), attribute.String("relay.part", string(c.Part)), attribute.String("relay.provider", c.Provider),
	}
}

// failed marks a span whose attempt was in vain.
func failed(span api.Span, r *relay.Report) {
	if r.Verdict != relay.Delivered && r.Verdict != relay.Skipped {
		span.SetStatus(codes.Error, r.Error)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
