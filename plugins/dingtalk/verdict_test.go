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
)

const secret = "SECr3tOfTheRobotThatSigns"

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
		{status: 200, body: `<html>busy</html>`, verdict: relay.Ambiguous, wait: 5 * time.Minute},
		{status: 201, body: `{"errcode":0}`, verdict: relay.Ambiguous},
		{status: 204, verdict: relay.Ambiguous},
		{status: 302, body: `{"errcode":0}`, verdict: target, probe: true},
		{status: 400, verdict: message}, {status: 413, verdict: message},
		{status: 403, verdict: target, probe: true},
		{status: 429, verdict: temporary, wait: 30 * time.Second},
		{status: 500, verdict: temporary}, {status: 500, body: `{"errcode":0}`, verdict: temporary}, {status: 502, body: "<html>", verdict: temporary}, {status: 503, verdict: temporary},
		{status: 200, body: `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}`, verdict: temporary, wait: 5 * time.Minute},
		{status: 403, body: `{"status":1111,"wait":"7","source":"x5","punish":"deny","uuid":"u"}`, verdict: temporary, wait: 7 * time.Minute},
		{status: 200, body: `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute","status":1111,"wait":3,"source":"x5","punish":"deny","uuid":"u"}`, verdict: temporary, wait: 3 * time.Minute},
		{status: 200, body: `{"errcode":310000,"errmsg":"keywords not in content, more: [https://x]"}`, verdict: message},
		{status: 200, body: `{"errcode":310000,"errmsg":"invalid timestamp, more: []"}`, verdict: target, probe: true},
		{status: 200, body: `{"errcode":310000,"errmsg":"sign not match, more: []"}`, verdict: target},
		{status: 200, body: `{"errcode":310000,"errmsg":"ip 1.2.3.4 not in whitelist"}`, verdict: target, probe: true},
		{status: 200, body: `{"errcode":310000,"errmsg":"something new"}`, verdict: target, probe: true},
		{status: 200, body: `{"errcode":88,"sub_code":"40014"}`, verdict: target},
		{status: 200, body: `{"errcode":88,"sub_code":60011}`, verdict: target},
		{status: 200, body: `{"errcode":88,"sub_code":"90018"}`, verdict: temporary, wait: time.Second},
		{status: 200, body: `{"errcode":88,"sub_code":"1"}`, verdict: temporary}, {status: 200, body: `{"errcode":88}`, attempt: 3, verdict: message},
		{status: 200, body: `{"errcode":999999,"errmsg":"new"}`, attempt: 1, verdict: temporary},
		{status: 200, body: `{"errcode":999999,"errmsg":"new"}`, attempt: 2, verdict: temporary},
		{status: 200, body: `{"errcode":999999,"errmsg":"new"}`, attempt: 3, verdict: message},
	}
	documented := map[int64]row{
		-1: {verdict: temporary}, 40035: {verdict: message}, 43004: {verdict: message}, 400013: {verdict: target}, 400101: {verdict: target},
		400102: {verdict: target}, 400105: {verdict: message}, 400106: {verdict: target}, 410100: {verdict: temporary, wait: 10 * time.Minute},
		130101: {verdict: temporary, wait: 10 * time.Minute}, 660026: {verdict: temporary, wait: time.Minute}, 430101: {verdict: message},
		430102: {verdict: message}, 430103: {verdict: message}, 430104: {verdict: message}, 460101: {verdict: message},
		300005: {verdict: target}, 300001: {verdict: target}, 404: {verdict: target}, 22: {verdict: message},
		40014: {verdict: target}, 42001: {verdict: target}, 60011: {verdict: target}, 40000: {verdict: target}, 60020: {verdict: target, probe: true},
		90018: {verdict: temporary, wait: time.Second}, 90002: {verdict: temporary, wait: time.Second}, 90020: {verdict: target, probe: true},
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
		if r.Method != http.MethodPost || r.URL.RawQuery != "access_token=abc" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
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
	d := open(t, settings{URL: receiver.URL + "/robot/send?access_token=abc"})
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
		if got.Verdict == relay.Ambiguous && got.DedupFor != uuidFor {
			t.Errorf("%d %s: a repeat is known for %s", now.status, now.body, got.DedupFor)
		}
		if (got.Error == "") != (got.Verdict == relay.Delivered) {
			t.Errorf("%d %s: error %q", now.status, now.body, got.Error)
		}
		if got.Response == nil || got.Response.Status != now.status || got.Response.Body != now.body {
			t.Errorf("%d %s: response %+v", now.status, now.body, got.Response)
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
