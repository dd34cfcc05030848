package feishu

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/feishu/feishutest"
)

func TestVerdicts(t *testing.T) {
	const (
		ok      = relay.Delivered
		temp    = relay.Temporary
		ambig   = relay.Ambiguous
		message = relay.MessageRefused
		place   = relay.DestinationRefused
	)
	type row struct {
		status  int
		body    string
		verdict relay.Verdict
		probe   bool
		wait    time.Duration
	}
	rows := []row{
		{200, `{"code":0,"msg":"success","data":{},"StatusCode":0,"StatusMessage":"success"}`, ok, false, 0},
		{200, `{"Extra":null,"StatusCode":0,"StatusMessage":"success"}`, ok, false, 0}, {200, `{"code":"0"}`, ok, false, 0},
		{200, ``, ambig, false, 0}, {200, `<html>`, ambig, false, 0}, {200, `{}`, ambig, false, 0}, {200, `{"code":null,"msg":"success"}`, ambig, false, 0},
		{200, `{"code":"zero"}`, ambig, false, 0}, {200, `[]`, ambig, false, 0}, {204, ``, ambig, false, 0},
		{200, `{"StatusCode":19001,"StatusMessage":"no"}`, place, false, 0}, {200, `{"code":19024,"StatusCode":0}`, message, false, 0},
		{200, `{"code":9499,"msg":"too many request: frequency limited"}`, temp, false, busyWait},
		{200, `{"code":11246,"msg":"Service Internal Error"}`, temp, false, 0},
		{200, `{"code":11246,"msg":"card content failed ErrCode: 100290"}`, message, false, 0},
		{200, `{"code":123456,"msg":"news"}`, temp, false, 0}, {400, `{"code":123456,"msg":"news"}`, temp, false, 0}, {403, `{"code":123456}`, place, true, 0},
		{301, ``, place, true, 0}, {302, `{"code":0}`, place, true, 0},
		{400, ``, message, false, 0}, {400, `{"code":0}`, message, false, 0}, {401, ``, place, true, 0}, {403, `<html>`, place, true, 0}, {404, `404 page not found`, place, true, 0}, {410, ``, place, false, 0},
		{413, ``, message, false, 0}, {408, ``, temp, false, 0}, {429, ``, temp, false, 0},
		{429, `{"code":99991400,"msg":"request trigger frequency limit"}`, temp, false, busyWait},
		{500, ``, ambig, false, 0}, {502, `<html>`, ambig, false, 0}, {503, ``, temp, false, 0}, {504, ``, ambig, false, 0}, {500, `{"code":1500}`, temp, false, 0},
	}
	// The table of the vendor's documents.
	documented := map[int64]row{
		9499: {verdict: message}, 19002: {verdict: message}, 19024: {verdict: message}, 19036: {verdict: message}, 11246: {verdict: message}, 11310: {verdict: message},
		11248: {verdict: message}, 11312: {verdict: message}, 18054: {verdict: message}, 11235: {verdict: message},
		19001: {verdict: place}, 19021: {verdict: place, probe: true}, 19022: {verdict: place, probe: true}, 11237: {verdict: place}, 11242: {verdict: place, probe: true}, 10002: {verdict: place, probe: true},
		11232: {verdict: temp, wait: busyWait}, 11233: {verdict: temp, wait: busyWait}, 11247: {verdict: temp, wait: busyWait},
		99991400: {verdict: temp, wait: busyWait}, 1000004: {verdict: temp, wait: busyWait}, 1000005: {verdict: temp, wait: busyWait},
		18121: {verdict: temp}, 1500: {verdict: temp}, 1663: {verdict: temp}, 2200: {verdict: temp}, 5000: {verdict: temp}, 10101: {verdict: temp}, 10500: {verdict: temp},
	}
	if len(documented) != len(codes()) {
		t.Errorf("the table has %d codes, the documents %d", len(codes()), len(documented))
	}
	for code, r := range documented {
		for _, body := range []string{`{"code":%d,"msg":"m","data":{}}`, `{"code":"%d","msg":"m"}`, `{"StatusCode":%d,"StatusMessage":"m"}`} {
			for _, status := range []int{200, 400} {
				rows = append(rows, row{status, fmt.Sprintf(body, code), r.verdict, r.probe, r.wait})
			}
		}
	}
	v := plugintest.NewVendor(t)
	v.Handle(feishutest.StepChannel, "POST "+hookPath+token, nil)
	d := open(t, settings{URL: v.URL + hookPath + token}, "")
	for _, r := range rows {
		reply := plugintest.Reply{Status: r.status, Body: r.body, Verdict: r.verdict, Probe: r.probe, Wait: r.wait}
		v.Fail(feishutest.StepChannel, "", 1, reply.ServeHTTP)
		reply.Check(t, plugintest.Send(t, d, &plugin.Delivery{Attempt: 1}, relay.Rendered{Text: "x"}))
	}
	for _, c := range v.Calls("") {
		if contentType := c.Header.Get("Content-Type"); contentType != "application/json; charset=utf-8" {
			t.Errorf("got %q", contentType)
		}
	}
	v.Fail(feishutest.StepChannel, "", 1, plugintest.Answer(200, `{"code":123456,"msg":"news"}`))
	if got := plugintest.Send(t, d, &plugin.Delivery{Attempt: unknownTries}, relay.Rendered{Text: "x"}); got.Verdict != relay.MessageRefused || !strings.Contains(got.Error, "code 123456 (a code that is not documented): news") {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}

func TestWaitHints(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":        {http.Header{}, busyWait},
		"retry after": {http.Header{"Retry-After": {"30"}}, 30 * time.Second},
		"gateway":     {http.Header{"X-Ogw-Ratelimit-Reset": {"43"}}, 43 * time.Second},
		"nonsense":    {http.Header{"X-Ogw-Ratelimit-Reset": {"soon"}}, busyWait},
	} {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range c.header {
				w.Header()[k] = v
			}
			_, _ = w.Write([]byte(`{"code":11232,"msg":"frequency limited"}`))
		}))
		got := plugintest.Send(t, open(t, settings{URL: receiver.URL + hookPath + token}, ""), &plugin.Delivery{Attempt: 1}, relay.Rendered{Text: "x"})
		receiver.Close()
		if got.Verdict != relay.Temporary || got.RetryAfter != c.want {
			t.Errorf("%s: got %s, %s", name, got.Verdict, got.RetryAfter)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	const secret = "S3cretOfTheSignature"
	signature := func(body string) string {
		var m struct{ Sign string }
		_ = json.Unmarshal([]byte(body), &m)
		return m.Sign
	}
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path:      hookPath + token,
		Open:      func(url string) plugin.Destination { return open(t, settings{URL: url, Secret: secret}, "") },
		Secrets:   []string{secret, token},
		Signature: func(c plugintest.Call) string { return signature(c.Body) },
		Answers: map[string]http.HandlerFunc{"with a code": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, `{"code":19002,"msg":"no http://%s%s for %s with %s and %s"}`, r.Host, r.RequestURI, token, secret, signature(string(body)))
		}},
	})
}
