package plugin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Preview goes the way of a delivery up to the request.
func (s *server) Preview(_ context.Context, req *pluginpb.PreviewRequest) (*pluginpb.PreviewResponse, error) {
	answer := make(chan *pluginpb.PreviewResponse, 1)
	go func() { // a render may keep it for ever
		defer func() {
			if p := recover(); p != nil {
				s.logger.Error("provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				answer <- &pluginpb.PreviewResponse{Report: &pluginpb.Report{Verdict: pluginpb.Verdict_TEMPORARY, Error: panicked}}
			}
		}()
		w := s.prepare(req.Delivery, func(fault *relay.TemplateError) {
			answer <- s.preview(s.prepare(s.without(req.Delivery, fault), nil))
		})
		if !w.givenUp {
			answer <- s.preview(w)
		}
	}()
	return <-answer, nil
}

// preview is the answer about a delivery that is not sent.
func (s *server) preview(w *work) *pluginpb.PreviewResponse {
	out := &pluginpb.PreviewResponse{}
	if w.request != nil {
		size := s.measure(w)
		out.Size, out.Limit, out.Unit = size.Used, size.Limit, size.Unit
		w.report.Request = &relay.Request{
			Method: w.request.Method, URL: maskURL(w.dest.masker, w.request.URL),
			Headers: map[string]string{}, Body: w.dest.masker.Mask(string(w.request.Body)),
		}
		for name := range w.request.Header {
			if plainHeader(name) {
				w.report.Request.Headers[name] = w.dest.masker.Mask(w.request.Header.Get(name))
			} else {
				w.report.Request.Headers[name] = relay.SecretText
			}
		}
	}
	out.Report = w.finish()
	return out
}

// measure is how big a request is.
func (s *server) measure(w *work) Size {
	if m, ok := w.place.(Measured); ok {
		return m.Measure(w.request)
	}
	return Size{Used: int64(len(w.request.Body)), Limit: s.description.Limits.Body}
}

// maskURL masks a URL. Of one that is a secret as a whole, or but for what the
// provider added to it, its host is shown.
func maskURL(m *relay.Masker, raw string) string {
	masked := m.Mask(raw)
	u, err := url.Parse(raw)
	if !strings.HasPrefix(masked, relay.SecretText) || err != nil || strings.Trim(u.Path, "/")+u.RawQuery == "" {
		return masked
	}
	return u.Scheme + "://" + u.Host + "/" + relay.SecretText
}

// plainHeader reports whether a header's value is never a secret.
func plainHeader(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Type", "Accept", "User-Agent":
		return true
	}
	return false
}
