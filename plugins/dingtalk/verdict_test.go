package dingtalk

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
)

const secret = "SECr3tOfTheRobotThatSigns"

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
		{Status: 200, Body: `<html>busy</html>`, Verdict: relay.Ambiguous, Wait: 5 * time.Minute},
		{Status: 201, Body: `{"errcode":0}`, Verdict: relay.Ambiguous},
		{Status: 204, Verdict: relay.Ambiguous},
		{Status: 302, Body: `{"errcode":0}`, Verdict: target, Probe: true},
		{Status: 400, Verdict: message}, {Status: 413, Verdict: message},
		{Status: 403, Verdict: target, Probe: true},
		{Status: 429, Headers: retryAfter, Verdict: temporary, Wait: 30 * time.Second},
		{Status: 500, Verdict: temporary}, {Status: 500, Body: `{"errcode":0}`, Verdict: temporary}, {Status: 502, Body: "<html>", Verdict: temporary}, {Status: 503, Verdict: temporary},
		{Status: 200, Body: `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}`, Verdict: temporary, Wait: 5 * time.Minute},
		{Status: 403, Body: `{"status":1111,"wait":"7","source":"x5","punish":"deny","uuid":"u"}`, Verdict: temporary, Wait: 7 * time.Minute},
		{Status: 200, Body: `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute","status":1111,"wait":3,"source":"x5","punish":"deny","uuid":"u"}`, Verdict: temporary, Wait: 3 * time.Minute},
		{Status: 200, Body: `{"errcode":310000,"errmsg":"keywords not in content, more: [https://x]"}`, Verdict: message},
		{Status: 200, Body: `{"errcode":310000,"errmsg":"invalid timestamp, more: []"}`, Verdict: target, Probe: true},
		{Status: 200, Body: `{"errcode":310000,"errmsg":"sign not match, more: []"}`, Verdict: target},
		{Status: 200, Body: `{"errcode":310000,"errmsg":"ip 1.2.3.4 not in whitelist"}`, Verdict: target, Probe: true},
		{Status: 200, Body: `{"errcode":310000,"errmsg":"something new"}`, Verdict: target, Probe: true},
		{Status: 200, Body: `{"errcode":88,"sub_code":"40014"}`, Verdict: target},
		{Status: 200, Body: `{"errcode":88,"sub_code":60011}`, Verdict: target},
		{Status: 200, Body: `{"errcode":88,"sub_code":"90018"}`, Verdict: temporary, Wait: time.Second},
		{Status: 200, Body: `{"errcode":88,"sub_code":"1"}`, Verdict: temporary}, {Status: 200, Body: `{"errcode":88}`, Attempt: 3, Verdict: message},
		{Status: 200, Body: `{"errcode":999999,"errmsg":"new"}`, Attempt: 1, Verdict: temporary},
		{Status: 200, Body: `{"errcode":999999,"errmsg":"new"}`, Attempt: 2, Verdict: temporary},
		{Status: 200, Body: `{"errcode":999999,"errmsg":"new"}`, Attempt: 3, Verdict: message},
	}
	documented := map[int64]plugintest.Reply{
		-1: {Verdict: temporary}, 40035: {Verdict: message}, 43004: {Verdict: message}, 400013: {Verdict: target}, 400101: {Verdict: target},
		400102: {Verdict: target}, 400105: {Verdict: message}, 400106: {Verdict: target}, 410100: {Verdict: temporary, Wait: 10 * time.Minute},
		130101: {Verdict: temporary, Wait: 10 * time.Minute}, 660026: {Verdict: temporary, Wait: time.Minute}, 430101: {Verdict: message},
		430102: {Verdict: message}, 430103: {Verdict: message}, 430104: {Verdict: message}, 460101: {Verdict: message},
		300005: {Verdict: target}, 300001: {Verdict: target}, 404: {Verdict: target}, 22: {Verdict: message},
		40014: {Verdict: target}, 42001: {Verdict: target}, 60011: {Verdict: target}, 40000: {Verdict: target}, 60020: {Verdict: target, Probe: true},
		90018: {Verdict: temporary, Wait: time.Second}, 90002: {Verdict: temporary, Wait: time.Second}, 90020: {Verdict: target, Probe: true},
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
	v.Handle(dingtalktest.StepChannel, "POST /robot/send", nil)
	d := open(t, settings{URL: v.URL + "/robot/send?access_token=abc"})
	for _, r := range replies(t) {
		v.Fail(dingtalktest.StepChannel, "", 1, r.ServeHTTP)
		got := plugintest.Send(t, d, &plugin.Delivery{Attempt: max(r.Attempt, 1)}, relay.Rendered{Text: "x"})
		r.Check(t, got)
		if got.Verdict == relay.Ambiguous && got.DedupFor != uuidFor {
			t.Errorf("%d %s: a repeat is known for %s", r.Status, r.Body, got.DedupFor)
		}
	}
	for _, c := range v.Calls("") {
		if c.URL != "/robot/send?access_token=abc" || c.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("got %s %q", c.URL, c.Header.Get("Content-Type"))
		}
	}
}

// vendor refuses as DingTalk does: bad signatures, what its documents do not
// take, and a timestamp as often as told.
func vendor(t *testing.T, keyword string, late *atomic.Int32) *httptest.Server {
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		query := r.URL.Query()
		ms, _ := strconv.ParseInt(query.Get("timestamp"), 10, 64)
		_, want := sign("https://x/", secret, time.UnixMilli(ms))
		switch err := refuse(body, keyword); {
		case time.Since(time.UnixMilli(ms)).Abs() > time.Hour || late.Add(-1) >= 0:
			_, _ = io.WriteString(w, `{"errcode":310000,"errmsg":"invalid timestamp"}`)
		case query.Get("sign") != want:
			_, _ = io.WriteString(w, `{"errcode":310000,"errmsg":"sign not match"}`)
		case err != nil:
			fmt.Fprintf(w, `{"errcode":40035,"errmsg":%q}`, err)
		case seen[query.Get("sign")]:
			t.Error("a signature was used twice")
		default:
			seen[query.Get("sign")] = true
			_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// Every attempt is signed anew; a timestamp that is not taken once is no fault.
func TestSigned(t *testing.T) {
	var late atomic.Int32
	server := vendor(t, "alert", &late)
	d := open(t, settings{URL: server.URL + "/robot/send?access_token=abcdefgh12345678", Secret: secret, Keyword: "alert"})
	req, err := d.Compose(&plugin.Delivery{ID: "1"}, relay.Rendered{Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(req.URL, "sign=") {
		t.Error("Compose signs")
	}
	for _, c := range []struct {
		late int32
		want relay.Verdict
	}{{0, relay.Delivered}, {1, relay.Delivered}, {2, relay.DestinationRefused}} {
		late.Store(c.late)
		before := time.Now().UnixMilli()
		for time.Now().UnixMilli() == before { // the next millisecond has another signature
		}
		if got := d.Send(t.Context(), &plugin.Delivery{}, req); got.Verdict != c.want {
			t.Errorf("late %d times: got %s (%s)", c.late, got.Verdict, got.Error)
		}
	}
	wrong := open(t, settings{URL: server.URL + "/robot/send?access_token=abcdefgh12345678", Secret: "SECother", Keyword: "alert"})
	late.Store(0)
	if got := wrong.Send(t.Context(), &plugin.Delivery{}, req); got.Verdict != relay.DestinationRefused || !strings.Contains(got.Error, "sign not match") {
		t.Errorf("got %s (%s)", got.Verdict, got.Error)
	}
}

// A receiver that refuses what DingTalk refuses takes every message.
func TestEveryMessageIsTaken(t *testing.T) {
	var late atomic.Int32
	server := vendor(t, "alert", &late)
	d := open(t, settings{URL: server.URL + "/robot/send?access_token=abcdefgh12345678", Secret: secret, Keyword: "alert"})
	send := func(req *plugin.Request) relay.Report {
		for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; { // the next millisecond has another signature
		}
		return d.Send(t.Context(), &plugin.Delivery{}, req)
	}
	for name, r := range messages() {
		req, err := d.Compose(&plugin.Delivery{ID: "1"}, r)
		if err != nil {
			t.Fatal(err)
		}
		if got := send(req); got.Verdict != relay.Delivered {
			t.Errorf("%s: got %s (%s)", name, got.Verdict, got.Error)
		}
	}
	req, _ := d.Compose(&plugin.Delivery{}, relay.Rendered{Text: "x"})
	req.Body = []byte(`{"msgtype":"markdown","markdown":{"title":"t"}}`)
	if got := send(req); got.Verdict != relay.MessageRefused {
		t.Errorf("the receiver takes anything: %s", got.Verdict)
	}
}

func TestNothingLeaks(t *testing.T) {
	const token = "S3cretTokenOfTheHook0123456789"
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path:    "/robot/send?access_token=" + token,
		Open:    func(hook string) plugin.Destination { return open(t, settings{URL: hook, Secret: secret}) },
		Secrets: []string{token, secret},
		Signature: func(c plugintest.Call) string {
			u, _ := url.Parse(c.URL)
			return u.Query().Get("sign")
		},
		Answers: map[string]http.HandlerFunc{"with a code": func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"errcode": 310000, "errmsg": "sign not match " + r.URL.Query().Get("sign") + " " + r.URL.RawQuery + " " + r.RequestURI + secret})
		}},
	})
}
