package teams

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

func send(t *testing.T, d plugin.Destination, r relay.Rendered) relay.Report {
	t.Helper()
	return plugintest.Send(t, d, &plugin.Delivery{}, r)
}

// TestDelivers sends every kind of message to a receiver that refuses what a
// flow and Teams refuse.
func TestDelivers(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(receive))
	defer receiver.Close()
	path := "/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=aB3"
	for name, r := range messages() {
		if r.Native != nil {
			continue // its text blocks are the template's own
		}
		if got := send(t, open(t, receiver.URL+path), r); got.Verdict != relay.Delivered || got.Receipt != "08584712345678901234567890123CU00" || got.Error != "" {
			t.Errorf("%s: got %s, receipt %q, %s", name, got.Verdict, got.Receipt, got.Error)
		}
	}
	for _, wrong := range []string{strings.Replace(path, "aB3", "xY4", 1), strings.Replace(path, "/1/", "/2/", 1)} {
		if got := send(t, open(t, receiver.URL+wrong), relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || got.Probe {
			t.Errorf("%s: got %s, probe %v", wrong, got.Verdict, got.Probe)
		}
	}
}

func TestVerdicts(t *testing.T) {
	type row struct {
		status  int
		body    string
		verdict relay.Verdict
		probe   bool
	}
	fault := func(code, message string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)
	}
	rows := []row{
		{status: 202, verdict: relay.Delivered}, {status: 200, verdict: relay.Delivered}, {status: 204, verdict: relay.Delivered},
		{status: 200, body: `{"done":true}`, verdict: relay.Delivered}, {status: 200, body: "ok", verdict: relay.Delivered},
		{status: 200, body: "<!DOCTYPE html><title>Sign in", verdict: relay.Ambiguous}, {status: 200, body: " <html>", verdict: relay.Ambiguous},
		{status: 200, body: fault("Something", "x"), verdict: relay.Ambiguous}, {status: 202, body: fault("WorkflowNotFound", "x"), verdict: relay.DestinationRefused},
		{status: 302, verdict: relay.DestinationRefused, probe: true}, {status: 308, verdict: relay.DestinationRefused, probe: true},
		{status: 400, verdict: relay.MessageRefused}, {status: 400, body: "<html>", verdict: relay.MessageRefused}, {status: 400, body: fault("New", ""), verdict: relay.MessageRefused},
		{status: 400, body: `{"error":{"code":7,"message":{}}}`, verdict: relay.MessageRefused}, {status: 400, body: `{"error":"x"}`, verdict: relay.MessageRefused},
		{status: 401, verdict: relay.DestinationRefused}, {status: 403, verdict: relay.DestinationRefused}, {status: 404, verdict: relay.DestinationRefused}, {status: 410, verdict: relay.DestinationRefused},
		{status: 413, verdict: relay.MessageRefused}, {status: 429, verdict: relay.Temporary}, {status: 429, body: fault("WorkflowNotFound", ""), verdict: relay.Temporary},
		{status: 408, verdict: relay.Ambiguous}, {status: 500, verdict: relay.Ambiguous}, {status: 502, body: "<html>", verdict: relay.Ambiguous},
		{status: 503, verdict: relay.Ambiguous}, {status: 504, verdict: relay.Ambiguous},
		{status: 400, body: fault("WorkflowTriggerIsNotEnabled", "The workflow is in state 'Deleted'."), verdict: relay.DestinationRefused},
	}
	documented := map[string]row{
		"WorkflowTriggerIsNotEnabled":    {status: 400, verdict: relay.DestinationRefused, probe: true},
		"TriggerInputSchemaMismatch":     {status: 400, verdict: relay.MessageRefused},
		"InvalidRequestContent":          {status: 400, verdict: relay.MessageRefused},
		"DirectApiAuthorizationRequired": {status: 401, verdict: relay.DestinationRefused},
		"MisMatchingOAuthClaims":         {status: 401, verdict: relay.DestinationRefused},
		"WorkflowNotFound":               {status: 404, verdict: relay.DestinationRefused},
	}
	if len(documented) != len(codes()) {
		t.Errorf("the table has %d codes, the contract %d", len(codes()), len(documented))
	}
	for code, r := range documented {
		r.body = fault(code, "The state is 'Disabled'.")
		rows = append(rows, r)
		r.status = 400
		rows = append(rows, r)
	}
	v := plugintest.NewVendor(t)
	v.Handle(teamstest.Flow, "POST /workflows/1", nil)
	d := open(t, v.URL+"/workflows/1?sig=aB3")
	for _, r := range rows {
		reply := plugintest.Reply{Status: r.status, Body: r.body, Verdict: r.verdict, Probe: r.probe}
		if r.status == 429 || r.status == 503 {
			reply.Headers, reply.Wait = []string{"Retry-After", "2.128"}, 2128*time.Millisecond
		}
		v.Fail(teamstest.Flow, "", 1, reply.ServeHTTP)
		reply.Check(t, send(t, d, relay.Rendered{Text: "x"}))
	}
}

func TestNothingLeaks(t *testing.T) {
	const secret = "S3cretSignature_OfTheFlow-Q"
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path:    "/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" + secret,
		Open:    func(url string) plugin.Destination { return open(t, url) },
		Secrets: []string{secret},
		Answers: map[string]http.HandlerFunc{
			"with a code": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(400)
				fmt.Fprintf(w, `{"error":{"code":%q,"message":"bad http://%s%s"}}`, secret, r.Host, r.RequestURI)
			},
			"in the receipt": plugintest.Answer(202, "", "X-Ms-Workflow-Run-Id", secret),
		},
	})
}
