package plugintest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// Reply is an answer of a vendor, and what a provider has to make of it. It is a
// row of a table of verdicts:
//
//	for _, r := range replies() {
//		v.Fail("webhook", "", 1, r.ServeHTTP)
//		r.Check(t, plugintest.Send(t, d, &plugin.Delivery{Attempt: 1}, relay.Rendered{Text: "x"}))
//	}
type Reply struct {
	Status  int
	Headers []string // names and values in turn
	Body    string
	Attempt int // which one of the delivery's it answers, for vendors where that counts

	Verdict relay.Verdict
	Wait    time.Duration // the report's RetryAfter; 0: none
	Probe   bool
	Words   string // a part of the report's Error
}

// ServeHTTP gives the answer. Redirects lead where nobody can follow.
func (r Reply) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.Status/100 == 3 {
		w.Header().Set("Location", "https://example.com/%zz")
	}
	Answer(r.Status, r.Body, r.Headers...)(w, req)
}

// Check fails where the report does not say what the answer means, or where the
// log lacks the answer.
func (r Reply) Check(t testing.TB, got relay.Report) {
	t.Helper()
	if got.Verdict != r.Verdict || got.RetryAfter != r.Wait || got.Probe != r.Probe {
		t.Errorf("%d %s: got %s, wait %s, probe %v (%s); want %s, %s, %v",
			r.Status, r.Body, got.Verdict, got.RetryAfter, got.Probe, got.Error, r.Verdict, r.Wait, r.Probe)
	}
	if (got.Error == "") != (r.Verdict == relay.Delivered) || !strings.Contains(got.Error, r.Words) {
		t.Errorf("%d %s: error %q, want %q", r.Status, r.Body, got.Error, r.Words)
	}
	if got.Response == nil || got.Response.Status != r.Status || got.Response.Body != r.Body {
		t.Errorf("%d %s: response %+v", r.Status, r.Body, got.Response)
	}
}

// Send composes a message and makes one attempt to send it.
func Send(t testing.TB, d plugin.Destination, delivery *plugin.Delivery, made relay.Rendered) relay.Report {
	t.Helper()
	request, err := d.Compose(delivery, made)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return d.Send(t.Context(), delivery, request)
}
