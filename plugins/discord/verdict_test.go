package discord

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/discord/discordtest"
)

// TestDelivers sends every kind of message to a receiver that refuses what
// Discord refuses.
func TestDelivers(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(receive))
	defer receiver.Close()
	d := open(t, settings{URL: receiver.URL + "/api/webhooks/1/x9"})
	for name, r := range messages() {
		if got := send(t, d, r); got.Verdict != relay.Delivered || got.Receipt != "1300000000000000001" || got.Error != "" {
			t.Errorf("%s: got %s, receipt %q, %s", name, got.Verdict, got.Receipt, got.Error)
		}
	}
	for path, want := range map[string]relay.Verdict{"/api/webhooks/2/x9": relay.DestinationRefused, "/hook": relay.DestinationRefused} {
		if got := send(t, open(t, settings{URL: receiver.URL + path}), relay.Rendered{Text: "x"}); got.Verdict != want || got.Probe {
			t.Errorf("%s: got %s, probe %v", path, got.Verdict, got.Probe)
		}
	}
}

func send(t *testing.T, d plugin.Destination, r relay.Rendered) relay.Report {
	t.Helper()
	return plugintest.Send(t, d, &plugin.Delivery{}, r)
}

// answers is a receiver that gives the next answer.
func answers(t *testing.T) (url string, next *http.HandlerFunc) {
	next = new(http.HandlerFunc)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*next)(w, r) }))
	t.Cleanup(receiver.Close)
	return receiver.URL, next
}

type row struct {
	status  int
	body    string
	verdict relay.Verdict
}

func TestVerdicts(t *testing.T) {
	rows := []row{
		{200, `{"id":"1","channel_id":"2"}`, relay.Delivered},
		{200, "", relay.Ambiguous}, {200, "{}", relay.Ambiguous}, {200, "<html>", relay.Ambiguous}, {200, `{"id":null}`, relay.Ambiguous},
		{204, "", relay.Ambiguous}, {202, `{"id":"1"}`, relay.Ambiguous}, {200, `{"code":50035,"message":"x"}`, relay.Ambiguous},
		{301, "", relay.DestinationRefused}, {307, "", relay.DestinationRefused},
		{400, `{"code":0,"message":"400: Bad Request"}`, relay.MessageRefused}, {400, `{"code":99999}`, relay.MessageRefused}, {400, "<html>", relay.MessageRefused},
		{413, "", relay.MessageRefused}, {405, `{"message":"405: Method Not Allowed","code":0}`, relay.MessageRefused},
		{401, `{"message":"401: Unauthorized","code":0}`, relay.DestinationRefused}, {403, "<html>", relay.DestinationRefused}, {404, "", relay.DestinationRefused}, {410, "", relay.DestinationRefused},
		{408, "", relay.Temporary}, {429, "", relay.Temporary}, {429, `{"message":"You are being rate limited.","retry_after":1.5,"global":false}`, relay.Temporary},
		{429, `{"code":40333,"retry_after":1}`, relay.Temporary},
		{500, "", relay.Ambiguous}, {502, "<html>", relay.Ambiguous}, {503, "", relay.Ambiguous}, {504, "", relay.Ambiguous},
	}
	documented := map[int]row{
		50035: {400, "", relay.MessageRefused}, 50006: {400, "", relay.MessageRefused}, 50109: {400, "", relay.MessageRefused},
		40005: {413, "", relay.MessageRefused}, 50045: {400, "", relay.MessageRefused}, 50041: {400, "", relay.MessageRefused},
		200000: {403, "", relay.MessageRefused}, 240000: {403, "", relay.MessageRefused}, 10008: {404, "", relay.MessageRefused},
		220001: {400, "", relay.DestinationRefused}, 220002: {400, "", relay.DestinationRefused}, 220003: {400, "", relay.DestinationRefused}, 220004: {400, "", relay.DestinationRefused},
		40067: {400, "", relay.DestinationRefused}, 50083: {400, "", relay.DestinationRefused}, 160005: {403, "", relay.DestinationRefused},
		50027: {401, "", relay.DestinationRefused}, 40001: {401, "", relay.DestinationRefused}, 50014: {401, "", relay.DestinationRefused},
		50001: {403, "", relay.DestinationRefused}, 50013: {403, "", relay.DestinationRefused}, 40333: {403, "", relay.DestinationRefused},
		10015: {404, "", relay.DestinationRefused}, 10003: {404, "", relay.DestinationRefused},
		20016: {400, "", relay.Temporary}, 20028: {429, "", relay.Temporary}, 20029: {403, "", relay.Temporary}, 40004: {403, "", relay.Temporary},
		40006: {403, "", relay.Temporary}, 40062: {400, "", relay.Temporary}, 130000: {503, "", relay.Temporary},
	}
	if len(documented) != len(codes()) {
		t.Errorf("the table has %d codes, the contract %d", len(codes()), len(documented))
	}
	for code, r := range documented {
		rows = append(rows,
			row{r.status, fmt.Sprintf(`{"code":%d,"message":"words"}`, code), r.verdict},
			row{400, fmt.Sprintf(`{"message":"words","code":"%d","errors":{}}`, code), r.verdict},
			row{403, fmt.Sprintf(` {"code":%d.0,"message":7,"errors":[]}`, code), r.verdict})
	}
	v := plugintest.NewVendor(t)
	v.Handle(discordtest.Webhook, "POST /api/v10/webhooks/1/x9", nil)
	d := open(t, settings{URL: v.URL + "/api/webhooks/1/x9"})
	for _, r := range rows {
		reply := plugintest.Reply{Status: r.status, Body: r.body, Verdict: r.verdict, Probe: r.status/100 == 3}
		v.Fail(discordtest.Webhook, "", 1, reply.ServeHTTP)
		got := send(t, d, relay.Rendered{Text: "x"})
		reply.Wait = got.RetryAfter // TestWaits looks at it
		reply.Check(t, got)
	}
}

func TestWaits(t *testing.T) {
	url, next := answers(t)
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   time.Duration
	}{
		"float in the body":        {429, map[string]string{"Retry-After": "65"}, `{"retry_after":64.57,"global":false}`, 64570 * time.Millisecond},
		"string in the body":       {429, nil, `{"retry_after":"0.25"}`, 250 * time.Millisecond},
		"header":                   {429, map[string]string{"Retry-After": "3"}, `{"message":"x"}`, 3 * time.Second},
		"fraction in the header":   {429, map[string]string{"Retry-After": "2.5"}, `{}`, 2500 * time.Millisecond},
		"bucket":                   {429, map[string]string{"X-RateLimit-Reset-After": "1.2"}, `{}`, 1200 * time.Millisecond},
		"Cloudflare":               {429, nil, "<html>error code: 1015", time.Minute},
		"Cloudflare with a hint":   {429, map[string]string{"Retry-After": "900"}, "<html>", 15 * time.Minute},
		"slowmode":                 {400, nil, `{"code":20016,"retry_after":5}`, 5 * time.Second},
		"nonsense":                 {429, nil, `{"retry_after":"soon"}`, 0},
		"far away":                 {429, nil, `{"retry_after":1e300}`, 24 * time.Hour},
		"refused means no waiting": {403, map[string]string{"Retry-After": "3"}, `{"code":50013,"retry_after":5}`, 0},
	} {
		d := open(t, settings{URL: url + "/api/webhooks/1/x9"})
		*next = func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}
		if got := send(t, d, relay.Rendered{Text: "x"}); got.RetryAfter != c.want {
			t.Errorf("%s: got %s, want %s", name, got.RetryAfter, c.want)
		}
	}
}

// A global limit holds everything that this provider would send.
func TestGlobalLimit(t *testing.T) {
	url, next := answers(t)
	p := New()
	place := func(id string) plugin.Destination {
		target, _ := json.Marshal(settings{URL: url + "/api/webhooks/" + id + "/x9"})
		d, _ := p.Open(plugin.Settings{Target: target, Masker: &relay.Masker{}})
		return d
	}
	calls := 0
	*next = func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(429)
		_, _ = w.Write([]byte(`{"retry_after":600.5,"global":true}`))
	}
	send(t, place("1"), relay.Rendered{Text: "x"})
	got := send(t, place("2"), relay.Rendered{Text: "x"})
	if calls != 1 || got.Verdict != relay.Temporary || got.RetryAfter < 590*time.Second || got.RetryAfter > 601*time.Second {
		t.Errorf("%d calls; got %+v", calls, got)
	}
	var g gate
	now := time.Now()
	g.close(now.Add(time.Minute))
	g.close(now.Add(time.Second)) // a shorter one does not open it
	if g.wait(now) != time.Minute || g.wait(now.Add(2*time.Minute)) != 0 {
		t.Errorf("got %s and %s", g.wait(now), g.wait(now.Add(2*time.Minute)))
	}
}

func TestErrorsNameTheFault(t *testing.T) {
	url, next := answers(t)
	d := open(t, settings{URL: url + "/api/webhooks/1/x9"})
	*next = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"code":50035,"message":"Invalid Form Body","errors":{"embeds":{"0":{"title":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"Must be 256 or fewer in length."}]}}}}}`))
	}
	want := "discord answered code 50035 (status 400 Bad Request): Invalid Form Body: embeds.0.title: Must be 256 or fewer in length. BASE_TYPE_MAX_LENGTH"
	if got := send(t, d, relay.Rendered{Text: "x"}); got.Error != want {
		t.Errorf("got %q", got.Error)
	}
	deep := `{"errors":` + strings.Repeat(`{"a":`, 2000) + `1` + strings.Repeat(`}`, 2000) + `}`
	*next = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(deep))
	}
	if got := send(t, d, relay.Rendered{Text: "x"}); got.Error != "status 400 Bad Request" {
		t.Errorf("got %q", got.Error)
	}
}

func TestNothingLeaks(t *testing.T) {
	const secret = "S3cretTokenOfTheHook"
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path:    "/api/webhooks/1096510203118669874/" + secret,
		Open:    func(url string) plugin.Destination { return open(t, settings{URL: url}) },
		Secrets: []string{secret},
		Answers: map[string]http.HandlerFunc{
			"with a code": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(400)
				fmt.Fprintf(w, `{"code":50035,"message":"bad http://%s%s %s"}`, r.Host, r.RequestURI, secret)
			},
			"in the receipt": plugintest.Answer(200, `{"id":"`+secret+`"}`),
		},
	})
}
