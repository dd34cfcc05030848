package wecom

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
)

// row is an answer and what it means.
type row struct {
	status  int
	body    string
	attempt int
	verdict relay.Verdict
	wait    time.Duration
	probe   bool
}

// rows are the vendor's documents as a table, and what stands in none.
func rows() []row {
	const (
		temporary = relay.Temporary
		message   = relay.MessageRefused
		target    = relay.DestinationRefused
	)
	rows := []row{
		{status: 200, body: `{"errcode":0,"errmsg":"ok"}`, verdict: relay.Delivered},
		{status: 200, body: ` {"errcode":"0","errmsg":"ok"}` + "\n", verdict: relay.Delivered},
		{status: 200, body: ``, verdict: relay.Ambiguous},
		{status: 200, body: `ok`, verdict: relay.Ambiguous},
		{status: 200, body: `{}`, verdict: relay.Ambiguous},
		{status: 200, body: `{"errcode":null}`, verdict: relay.Ambiguous},
		{status: 200, body: `{"errcode":"ok"}`, verdict: relay.Ambiguous},
		{status: 200, body: `<html>`, verdict: relay.Ambiguous},
		{status: 201, body: `{"errcode":0}`, verdict: relay.Ambiguous},
		{status: 204, verdict: relay.Ambiguous},
		{status: 302, body: `{"errcode":0}`, verdict: target, probe: true},
		{status: 400, verdict: message}, {status: 413, verdict: message},
		{status: 403, verdict: target, probe: true},
		{status: 429, verdict: temporary, wait: 30 * time.Second},
		{status: 429, body: `{"errcode":45009}`, verdict: temporary, wait: time.Minute},
		{status: 429, body: `{"errcode":45033}`, verdict: temporary, wait: 30 * time.Second},
		{status: 500, verdict: relay.Ambiguous}, {status: 500, body: `{"errcode":0}`, verdict: relay.Ambiguous},
		{status: 502, body: "<html>", verdict: relay.Ambiguous}, {status: 503, verdict: relay.Ambiguous},
		{status: 200, body: `{"errcode":999999,"errmsg":"new"}`, attempt: 1, verdict: temporary},
		{status: 200, body: `{"errcode":999999,"errmsg":"new"}`, attempt: 2, verdict: temporary},
		{status: 200, body: `{"errcode":999999,"errmsg":"new"}`, attempt: 3, verdict: message},
	}
	documented := map[int64]row{
		-1: {verdict: temporary}, 6000: {verdict: temporary}, 45009: {verdict: temporary, wait: time.Minute}, 45033: {verdict: temporary}, 81026: {verdict: temporary},
		93000: {verdict: target}, 93004: {verdict: target}, 93006: {verdict: target}, 93008: {verdict: target}, 49008: {verdict: target},
	}
	for _, code := range []int64{
		40008, 40035, 40063, 41011, 41016, 41033, 44001, 44004, 40058, 40033, 40039, 45034, 40094, 40127,
		40004, 40005, 40006, 40007, 40009, 40123, 45001, 40206, 45002, 45008, 40201, 40204, 82004,
	} {
		documented[code] = row{verdict: message}
	}
	for code := int64(42027); code <= 42051; code++ {
		documented[code] = row{verdict: message}
	}
	for code := range codes() {
		if _, ok := documented[code]; !ok {
			rows = append(rows, row{body: fmt.Sprint("code ", code, " stands in no document")}) // fails below
		}
	}
	for code, r := range documented {
		for _, form := range []string{`{"errcode":%d,"errmsg":"x"}`, `{"errmsg":"x","errcode":"%d"}`} {
			for _, r.status = range []int{200, 400, 500} {
				r.body = fmt.Sprintf(form, code)
				rows = append(rows, r)
			}
		}
	}
	return rows
}

func TestVerdicts(t *testing.T) {
	var now row
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.RawQuery != "key=abc" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("got %s %s %q", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		switch {
		case now.status == 429:
			w.Header().Set("Retry-After", "30")
		case now.status/100 == 3:
			w.Header().Set("Location", "https://example.com/%zz")
		}
		w.WriteHeader(now.status)
		_, _ = io.WriteString(w, now.body)
	}))
	defer receiver.Close()
	d := open(t, receiver.URL+"/cgi-bin/webhook/send?key=abc")
	req, err := d.Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, now = range rows() {
		if now.status == 0 {
			t.Error(now.body)
			continue
		}
		got := d.Send(t.Context(), &plugin.Delivery{Attempt: max(now.attempt, 1)}, req)
		if got.Verdict != now.verdict || got.RetryAfter != now.wait || got.Probe != now.probe {
			t.Errorf("%d %s: got %s, wait %s, probe %v (%s); want %s, %s, %v", now.status, now.body, got.Verdict, got.RetryAfter, got.Probe, got.Error, now.verdict, now.wait, now.probe)
		}
		if (got.Error == "") != (got.Verdict == relay.Delivered) {
			t.Errorf("%d %s: error %q", now.status, now.body, got.Error)
		}
		if got.Response == nil || got.Response.Status != now.status || got.Response.Body != now.body {
			t.Errorf("%d %s: response %+v", now.status, now.body, got.Response)
		}
	}
}

// What WeCom adds to its words is for the log, not for the line that people read.
func TestErrorSaysWhatMatters(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errcode":40058,"errmsg":"markdown.content exceed max length 4096, hint: [1729], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=40058"}`)
	}))
	defer receiver.Close()
	d := open(t, receiver.URL+"/x")
	req, _ := d.Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
	got := d.Send(t.Context(), &plugin.Delivery{}, req)
	if want := "wecom answered 40058: the JSON, a length or a list is not good (markdown.content exceed max length 4096)"; got.Error != want {
		t.Errorf("got %q, want %q", got.Error, want)
	}
	if !strings.Contains(got.Response.Body, "203.0.113.7") {
		t.Errorf("the log lacks the whole answer: %s", got.Response.Body)
	}
}

// A receiver that refuses what WeCom refuses takes every message.
func TestEveryMessageIsTaken(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := refuse(body); err != nil {
			fmt.Fprintf(w, `{"errcode":40058,"errmsg":%q}`, err)
			return
		}
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}))
	defer receiver.Close()
	d := open(t, receiver.URL+"/cgi-bin/webhook/send?key=abc")
	for name, r := range messages() {
		req, err := d.Compose(&plugin.Delivery{}, r)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Send(t.Context(), &plugin.Delivery{}, req); got.Verdict != relay.Delivered {
			t.Errorf("%s: got %s (%s)", name, got.Verdict, got.Error)
		}
	}
	req, _ := d.Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
	req.Body = []byte(`{"msgtype":"text","text":{"content":"` + strings.Repeat("a", maxText+1) + `"}}`)
	if got := d.Send(t.Context(), &plugin.Delivery{}, req); got.Verdict != relay.MessageRefused {
		t.Errorf("the receiver takes anything: %s", got.Verdict)
	}
}

func TestNothingLeaks(t *testing.T) {
	const key = "S3cretKeyOfTheHook-0123456789"
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path:    "/cgi-bin/webhook/send?key=" + key,
		Open:    func(url string) plugin.Destination { return open(t, url) },
		Secrets: []string{key},
		Answers: map[string]http.HandlerFunc{"with a code": func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"errcode": 93000, "errmsg": "invalid webhook url " + key + " " + r.RequestURI})
		}},
	})
}
