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
	"github.com/relay-sidecar/relay/plugins/wecom/wecomtest"
)

// retryAfter is what the answers with 429 have.
var retryAfter = []string{"Retry-After", "30"}

// replies are the vendor's documents as a table, and what stands in none.
func replies(t *testing.T) []plugintest.Reply {
	const (
		temporary = relay.Temporary
		message   = relay.MessageRefused
		target    = relay.DestinationRefused
	)
	rows := []plugintest.Reply{
		{Status: 200, Body: `{"errcode":0,"errmsg":"ok"}`, Verdict: relay.Delivered},
		{Status: 200, Body: ` {"errcode":"0","errmsg":"ok"}` + "\n", Verdict: relay.Delivered},
		{Status: 200, Body: ``, Verdict: relay.Ambiguous},
		{Status: 200, Body: `ok`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `{}`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `{"errcode":null}`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `{"errcode":"ok"}`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `<html>`, Verdict: relay.Ambiguous},
		{Status: 201, Body: `{"errcode":0}`, Verdict: relay.Ambiguous},
		{Status: 204, Verdict: relay.Ambiguous},
		{Status: 302, Body: `{"errcode":0}`, Verdict: target, Probe: true},
		{Status: 400, Verdict: message}, {Status: 413, Verdict: message},
		{Status: 403, Verdict: target, Probe: true},
		{Status: 429, Headers: retryAfter, Verdict: temporary, Wait: 30 * time.Second},
		{Status: 429, Headers: retryAfter, Body: `{"errcode":45009}`, Verdict: temporary, Wait: time.Minute},
		{Status: 429, Headers: retryAfter, Body: `{"errcode":45033}`, Verdict: temporary, Wait: 30 * time.Second},
		{Status: 500, Verdict: relay.Ambiguous}, {Status: 500, Body: `{"errcode":0}`, Verdict: relay.Ambiguous},
		{Status: 502, Body: "<html>", Verdict: relay.Ambiguous}, {Status: 503, Verdict: relay.Ambiguous},
		{Status: 200, Body: `{"errcode":999999,"errmsg":"new"}`, Attempt: 1, Verdict: temporary},
		{Status: 200, Body: `{"errcode":999999,"errmsg":"new"}`, Attempt: 2, Verdict: temporary},
		{Status: 200, Body: `{"errcode":999999,"errmsg":"new"}`, Attempt: 3, Verdict: message},
	}
	documented := map[int64]plugintest.Reply{
		-1: {Verdict: temporary}, 6000: {Verdict: temporary}, 45009: {Verdict: temporary, Wait: time.Minute}, 45033: {Verdict: temporary}, 81026: {Verdict: temporary},
		93000: {Verdict: target}, 93004: {Verdict: target}, 93006: {Verdict: target}, 93008: {Verdict: target}, 49008: {Verdict: target},
	}
	for _, code := range []int64{
		40008, 40035, 40063, 41011, 41016, 41033, 44001, 44004, 40058, 40033, 40039, 45034, 40094, 40127,
		40004, 40005, 40006, 40007, 40009, 40123, 45001, 40206, 45002, 45008, 40201, 40204, 82004,
	} {
		documented[code] = plugintest.Reply{Verdict: message}
	}
	for code := int64(42027); code <= 42051; code++ {
		documented[code] = plugintest.Reply{Verdict: message}
	}
	for code := range codes() {
		if _, ok := documented[code]; !ok {
			t.Errorf("code %d stands in no document", code)
		}
	}
	for code, r := range documented {
		for _, form := range []string{`{"errcode":%d,"errmsg":"x"}`, `{"errmsg":"x","errcode":"%d"}`} {
			for _, r.Status = range []int{200, 400, 500} {
				r.Body = fmt.Sprintf(form, code)
				rows = append(rows, r)
			}
		}
	}
	return rows
}

func TestVerdicts(t *testing.T) {
	v := plugintest.NewVendor(t)
	v.Handle(wecomtest.Webhook, "POST /cgi-bin/webhook/send", nil)
	d := open(t, v.URL+"/cgi-bin/webhook/send?key=abc")
	for _, r := range replies(t) {
		v.Fail(wecomtest.Webhook, "", 1, r.ServeHTTP)
		r.Check(t, plugintest.Send(t, d, &plugin.Delivery{Attempt: max(r.Attempt, 1)}, relay.Rendered{Text: "x"}))
	}
	for _, c := range v.Calls("") {
		if c.URL != "/cgi-bin/webhook/send?key=abc" || c.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("got %s %q", c.URL, c.Header.Get("Content-Type"))
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
