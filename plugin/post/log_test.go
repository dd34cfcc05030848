package post_test

import (
	"encoding/base64"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

func TestWaitHint(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, " 1.5 ": 1500 * time.Millisecond, "64.57": 64570 * time.Millisecond, "0": 0, "-3": 0, "NaN": 0,
		"0.0001": time.Millisecond, "1e300": 24 * time.Hour, "Inf": 24 * time.Hour, "soon": 0, "100000": 24 * time.Hour,
		"Sat, 21 Nov 2026 08:01:00 GMT": time.Minute, "Sat, 21 Nov 2026 07:00:00 GMT": 0, "Sat, 21 Nov 2099 07:00:00 GMT": 24 * time.Hour,
	} {
		if got := post.WaitHint(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if got := post.Seconds(math.Inf(1)); got != 24*time.Hour {
		t.Errorf("got %s", got)
	}
}

func TestByStatus(t *testing.T) {
	type want struct {
		verdict relay.Verdict
		probe   bool
	}
	special := map[int]want{
		401: {relay.DestinationRefused, true}, 403: {relay.DestinationRefused, true}, 404: {relay.DestinationRefused, true}, 410: {relay.DestinationRefused, false},
		407: {relay.Temporary, false}, 408: {relay.Temporary, false}, 421: {relay.Temporary, false}, 425: {relay.Temporary, false}, 429: {relay.Temporary, false}, 503: {relay.Temporary, false},
	}
	general := map[int]want{2: {relay.Delivered, false}, 3: {relay.DestinationRefused, true}, 4: {relay.MessageRefused, false}, 5: {relay.Ambiguous, false}}
	for status := 200; status < 600; status++ {
		w, ok := special[status]
		if !ok {
			w = general[status/100]
		}
		got := post.ByStatus(&post.Answer{Status: status, Header: http.Header{"Retry-After": {"7"}}}, time.Time{})
		if got.Verdict != w.verdict || got.Probe != w.probe || (got.Error == "") != (w.verdict == relay.Delivered) {
			t.Errorf("%d: got %s, probe %v, %q", status, got.Verdict, got.Probe, got.Error)
		}
		if waits := w.verdict == relay.Temporary || w.verdict == relay.Ambiguous; waits != (got.RetryAfter == 7*time.Second) {
			t.Errorf("%d: wait %s", status, got.RetryAfter)
		}
	}
}

func TestLogMasksThenCuts(t *testing.T) {
	const secret = "t0ps3cretvalue"
	m := &relay.Masker{}
	m.Add(secret)
	// The secret stands across the place of the cut.
	body := strings.Repeat("字", (16<<10)/3-3) + secret + "tail"
	r := &plugin.Request{
		URL:    "https://user:" + secret + "@example.com/hook/" + secret + "?key=" + secret,
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer short"}, "X-Own": {"v"}, "Webhook-Signature": {"v1,abc"}, "Webhook-Id": {"msg"}},
		Body:   []byte(body),
	}
	a := &post.Answer{Status: 200, Body: []byte("\xff" + secret), Header: http.Header{
		"Set-Cookie": {"a=b"}, "X-Ratelimit-Reset": {"3"}, "X-Slack-Req-Id": {secret}, "Location": {"https://example.com/" + secret + "?x"}, "Content-Type": {"text/plain"},
	}}
	req, resp := post.Log(m, r, a)
	if req.Method != http.MethodPost || req.URL != "https://example.com/<secret>" {
		t.Errorf("got %s %s", req.Method, req.URL)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Authorization": "<secret>", "X-Own": "<secret>", "Webhook-Signature": "<secret>", "Webhook-Id": "msg"} {
		if got := req.Headers[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if len(req.Body) > 16<<10 || !strings.HasSuffix(req.Body, "…") || strings.Contains(req.Body, "t0p") || strings.Contains(req.Body, "\uFFFD") {
		t.Errorf("body of %d bytes ends in %q", len(req.Body), req.Body[len(req.Body)-30:])
	}
	if resp.Body != "\uFFFD<secret>" {
		t.Errorf("got %q", resp.Body)
	}
	want := map[string]string{"X-Ratelimit-Reset": "3", "X-Slack-Req-Id": "<secret>", "Location": "https://example.com/<secret>", "Content-Type": "text/plain"}
	if len(resp.Headers) != len(want) {
		t.Errorf("got %v", resp.Headers)
	}
	for name, v := range want {
		if resp.Headers[name] != v {
			t.Errorf("%s: got %q, want %q", name, resp.Headers[name], v)
		}
	}
	if string(r.Body) != body {
		t.Error("the request was changed")
	}
}

func TestMaskURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://h.example.com/a/b?c=d": "https://h.example.com/<secret>",
		"https://u:p@h.example.com":     "https://h.example.com",
		"https://h.example.com/":        "https://h.example.com/",
		"https://h.example.com?x":       "https://h.example.com/<secret>",
		"/a/b":                          "/<secret>",
		"https://h/%zz":                 "<secret>",
	} {
		if got := post.MaskURL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestHideURL(t *testing.T) {
	u, err := url.Parse("https://robot:passw0rd!@example.com/services/T0000000A/verylongtokenwithoutdigits?access_token=abc%2Fdef0123&sign=shorter12")
	if err != nil {
		t.Fatal(err)
	}
	m := &relay.Masker{}
	post.HideURL(m, u)
	for _, secret := range []string{
		u.String(), u.RequestURI(), u.RawQuery, "T0000000A", "verylongtokenwithoutdigits", "abc/def0123", "abc%2Fdef0123", "shorter12", "passw0rd!",
		base64.StdEncoding.EncodeToString([]byte("passw0rd!")),
	} {
		if got := m.Mask("x " + secret + " y"); got != "x <secret> y" {
			t.Errorf("%q: got %q", secret, got)
		}
	}
	if got := m.Mask("our services at example.com"); got != "our services at example.com" {
		t.Errorf("got %q", got)
	}
}

func TestSendMasksItsError(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer receiver.Close()
	m := &relay.Masker{}
	m.Add("t0ps3cretvalue")
	got := post.New(post.Options{}).Send(t.Context(), m, post.JSON(receiver.URL, nil), func(*post.Answer) relay.Report {
		return relay.Report{Verdict: relay.Temporary, Error: "line one\nt0ps3cretvalue\x00" + strings.Repeat("字", 1000), Receipt: "r t0ps3cretvalue"}
	})
	if !strings.HasPrefix(got.Error, "line one <secret> 字") || len(got.Error) > 500 || !strings.HasSuffix(got.Error, "…") || got.Receipt != "r <secret>" {
		t.Errorf("got %q, %q", got.Error, got.Receipt)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "LOCALHOST": true, "::ffff:127.0.0.1": true, "example.com": false, "10.0.0.1": false, "localhost.example.com": false, "": false} {
		if got := post.Loopback(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}
