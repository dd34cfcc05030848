package custom

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func open(t testing.TB, s settings) plugin.Destination {
	t.Helper()
	return plugintest.Open(t, New(), s)
}

// event is a whole event in its canonical form, with a key that relay does not know.
const event = `{"id":"k1","type":"issue.approval_requested","source":"bytebase","time":"2026-11-21T08:00:00.5Z","level":"warn","title":"Approval required","description":"**add** <index> & more","link":"https://bb.example.com/issues/101","actor":{"id":1,"name":"Alice","email":"alice@example.com","x":1},"project":{"id":9007199254740993,"name":"demo"},"issue":{"id":"a-101","name":"add index","status":"OPEN","type":"bb.issue.database.create","description":"d"},"data":{"anything":[1,2.50,null]}}`

const bare = `{"id":"k2","type":"billing.invoice_overdue","source":"events","time":"1970-01-01T00:00:07Z","level":"info","title":"Overdue"}`

func portable(m relay.Message) relay.Rendered { return relay.Rendered{Portable: &m} }

// unchanged is what a template makes that repeats the event's own words.
func unchanged() relay.Rendered {
	return portable(relay.Message{Title: "Approval required", Text: "**add** <index> & more", Level: relay.LevelWarn, Link: "https://bb.example.com/issues/101"})
}

func TestGolden(t *testing.T) {
	for name, c := range map[string]struct {
		format, event string
		made          relay.Rendered
	}{
		"bytebase":           {"", event, unchanged()},
		"bytebase-bare":      {formatBytebase, bare, portable(relay.Message{Title: "Overdue", Level: relay.LevelInfo})},
		"bytebase-odd-link":  {formatBytebase, strings.Replace(bare, `"Overdue"`, `"Overdue","data":{"link":"example link"}`, 1), portable(relay.Message{Title: "Overdue"})},
		"bytebase-message":   {formatBytebase, event, portable(relay.Message{Title: "新标题", Text: "\uE0000\uE001 asks", Level: relay.LevelError, Link: "https://example.com/?a=1&b=2", Mentions: []relay.Person{{Name: "Ann"}}})},
		"bytebase-text":      {formatBytebase, event, relay.Rendered{Text: "only words"}},
		"event-message":      {formatEvent, event, portable(relay.Message{Title: "new <title>", Text: "new", Level: relay.LevelError, Link: "https://example.com/new"})},
		"event-adds":         {formatEvent, bare, portable(relay.Message{Text: "a text", Link: "https://example.com/new"})},
		"event-takes-away":   {formatEvent, event, portable(relay.Message{})},
		"event-text":         {formatEvent, event, relay.Rendered{Text: "only words"}},
		"cloudevent":         {formatCloudEvents, event, unchanged()},
		"cloudevent-text":    {formatCloudEvents, bare, relay.Rendered{Text: "only words"}},
		"event-without-text": {formatEvent, event, portable(relay.Message{Link: "https://bb.example.com/issues/101"})},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, settings{URL: "https://app.example.com/hook", Format: c.format})
			req, err := d.Compose(&plugin.Delivery{Event: json.RawMessage(c.event)}, c.made)
			if err != nil {
				t.Fatal(err)
			}
			plugintest.Golden(t, name, req.Body, *update)
		})
	}
}

func TestUnchangedEventGoesOutByteForByte(t *testing.T) {
	odd := strings.ReplaceAll(event, `"level"`, ` "level"`) // JSON that an encoder would not write
	req, err := open(t, settings{URL: "https://app.example.com/", Format: formatEvent}).
		Compose(&plugin.Delivery{Event: json.RawMessage(odd)}, unchanged())
	if err != nil || string(req.Body) != odd {
		t.Errorf("got %s, %v", req.Body, err)
	}
}

func TestNativeIsSentAsItIs(t *testing.T) {
	const native = `{ "mine": [1, 2.50] }`
	for _, format := range []string{formatBytebase, formatEvent} {
		req, err := open(t, settings{URL: "https://app.example.com/", Format: format}).
			Compose(&plugin.Delivery{Event: json.RawMessage(event)}, relay.Rendered{Native: json.RawMessage(native)})
		if err != nil || string(req.Body) != native {
			t.Errorf("%s: got %s, %v", format, req.Body, err)
		}
	}
}

func TestActivityTypes(t *testing.T) {
	want := map[string]string{
		"issue.created": "bb.issue.create", "issue.updated": "bb.issue.field.update", "issue.status_changed": "bb.issue.status.update",
		"issue.comment_created": "bb.issue.comment.create", "stage.status_changed": "bb.pipeline.stage.status.update",
		"task.status_changed": "bb.pipeline.task.status.update", "issue.approval_requested": "bb.issue.approval.notify",
		"issue.approved": "bb.notify.issue.approved", "issue.rollout_requested": "bb.notify.pipeline.rollout",
	}
	for _, event := range append(relay.Catalogue(), "own.type") {
		w, ok := want[event]
		if !ok {
			w = event
		}
		if got := activityType(event); got != w {
			t.Errorf("%s: got %s, want %s", event, got, w)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		s        settings
		usable   bool
		problems []string // pointer: part of the message
	}{
		"https":          {settings{URL: "https://app.example.com/hook?token=x"}, true, nil},
		"loopback":       {settings{URL: "http://localhost:8080"}, true, nil},
		"loopback v6":    {settings{URL: "http://[::1]:8080/x"}, true, nil},
		"http":           {settings{URL: "http://10.0.0.7/x"}, true, []string{"/url: http is not encrypted"}},
		"no URL":         {settings{URL: "app.example.com"}, false, []string{"/url: not a URL"}},
		"other scheme":   {settings{URL: "ftp://app.example.com"}, false, []string{"/url: not a URL"}},
		"bad port":       {settings{URL: "https://app.example.com:99999"}, false, []string{"/url: not a URL, since its port is not a number from 1 to 65535"}},
		"blanks":         {settings{URL: " https://app.example.com"}, false, []string{"/url: not a URL, since it has blanks before, in or behind it"}},
		"headers":        {settings{URL: "https://h/", Headers: map[string]string{"Authorization": "Bearer x", "content-type": "application/vnd.x+json"}}, true, nil},
		"format":         {settings{URL: "https://h/", Format: "xml"}, false, []string{"/format: \"xml\" is not a format"}},
		"bad headers":    {settings{URL: "https://h/", Headers: map[string]string{"a/b": "x", "Host": "x", "X-A": "a\nb"}}, false, []string{"/headers/Host: set by", "/headers/X-A: the value", "/headers/a~1b: is not a header's name"}},
		"twice":          {settings{URL: "https://h/", Headers: map[string]string{"x-a": "1", "X-A": "2"}}, false, []string{"/headers/: twice"}},
		"all at once":    {settings{URL: "x", Format: "xml", Headers: map[string]string{"Te": "x"}}, false, []string{"/format", "/headers/Te", "/url"}},
		"no header name": {settings{URL: "https://h/", Headers: map[string]string{"": "x"}}, false, []string{"/headers/"}},
	} {
		d, problems := plugintest.TryOpen(New(), c.s)
		if (d != nil) != c.usable || len(problems) != len(c.problems) {
			t.Errorf("%s: usable %v, %+v", name, d != nil, problems)
			continue
		}
		for i, want := range c.problems {
			pointer, message, _ := strings.Cut(want, ": ")
			if p := problems[i]; !strings.HasPrefix(p.Pointer, pointer) || !strings.Contains(p.Message, message) && !strings.Contains(p.Message, "set by") {
				t.Errorf("%s: got %+v, want %s", name, p, want)
			}
			if problems[i].Warning == !c.usable {
				t.Errorf("%s: warning %v", name, problems[i].Warning)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	type row struct {
		status  int
		body    string
		verdict relay.Verdict
		probe   bool
		says    string
	}
	rows := []row{
		{200, "", relay.Delivered, false, ""}, {200, "ok", relay.Delivered, false, ""}, {204, "", relay.Delivered, false, ""}, {202, "[]", relay.Delivered, false, ""},
		{200, `{"code":0,"message":""}`, relay.Delivered, false, ""}, {200, `{"code":"0"}`, relay.Delivered, false, ""}, {200, `{"code":0.0}`, relay.Delivered, false, ""},
		{200, `{"code":"000"}`, relay.Delivered, false, ""}, {200, `{"code":null}`, relay.Delivered, false, ""}, {200, `{"code":""}`, relay.Delivered, false, ""},
		{200, `{"message":"fine","data":{"code":5}}`, relay.Delivered, false, ""}, {201, ` {"code": 0}`, relay.Delivered, false, ""},
		{200, `{"code":17,"message":"table locked"}`, relay.Temporary, false, "code 17: table locked"},
		{202, `{"code":"E_BUSY","message":"later"}`, relay.Temporary, false, "code E_BUSY: later"},
		{200, `{"code":1,"message":{"x":1}}`, relay.Temporary, false, "code 1"}, {200, `{"code":true}`, relay.Temporary, false, "code true"},
		{301, "", relay.DestinationRefused, true, "redirects are not followed"}, {302, "", relay.DestinationRefused, true, ""}, {307, "", relay.DestinationRefused, true, ""},
		{400, "", relay.MessageRefused, false, "400 Bad Request"}, {400, `{"code":3,"message":"no title"}`, relay.MessageRefused, false, "no title"},
		{405, "", relay.MessageRefused, false, ""}, {413, "", relay.MessageRefused, false, ""}, {415, "", relay.MessageRefused, false, ""}, {422, "", relay.MessageRefused, false, ""},
		{401, "", relay.DestinationRefused, true, ""}, {403, "", relay.DestinationRefused, true, ""}, {404, "", relay.DestinationRefused, true, ""}, {410, "", relay.DestinationRefused, false, ""},
		{408, "", relay.Temporary, false, ""}, {425, "", relay.Temporary, false, ""}, {429, "", relay.Temporary, false, ""},
		{500, `{"code":0}`, relay.Temporary, false, ""}, {501, "", relay.Temporary, false, ""}, {502, "", relay.Temporary, false, ""}, {503, "", relay.Temporary, false, ""},
		{504, "", relay.Ambiguous, false, ""}, {507, "", relay.Temporary, false, ""},
	}
	v := plugintest.NewVendor(t)
	v.Handle("webhook", "POST /", nil)
	d := open(t, settings{URL: v.URL, Headers: map[string]string{"x-team": "dba"}})
	for _, r := range rows {
		reply := plugintest.Reply{Status: r.status, Headers: []string{"Retry-After", "1.5"}, Body: r.body, Verdict: r.verdict, Probe: r.probe, Words: r.says}
		if r.status == 408 || r.status == 425 || r.status == 429 || r.status >= 500 {
			reply.Wait = 1500 * time.Millisecond
		}
		v.Fail("webhook", "", 1, reply.ServeHTTP)
		reply.Check(t, plugintest.Send(t, d, &plugin.Delivery{Event: json.RawMessage(bare)}, relay.Rendered{Text: "x"}))
	}
	for _, c := range v.Calls("") {
		if c.Header.Get("Content-Type") != "application/json" || c.Header.Get("X-Team") != "dba" {
			t.Errorf("got %v", c.Header)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	const secret, key, short = "S3cretPathOfTheHook", "k3y-in-the-query", "abc"
	withPassword := func(url string) string { return strings.Replace(url, "http://", "http://user:passw0rd@", 1) }
	plugintest.WebhookLeaksNothing(t, plugintest.Webhook{
		Path: "/" + secret + "?key=" + key,
		Open: func(url string) plugin.Destination {
			return open(t, settings{URL: withPassword(url), Headers: map[string]string{"X-Api-Key": "header-s3cret", "X-Short": short}})
		},
		Secrets: []string{secret, key, "passw0rd", "header-s3cret", `:"` + short},
		Answers: map[string]http.HandlerFunc{
			"with the password": func(w http.ResponseWriter, r *http.Request) {
				url := withPassword("http://" + r.Host + r.RequestURI)
				w.Header().Set("Location", url)
				w.WriteHeader(302)
				_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+url)
			},
			"in a message": func(w http.ResponseWriter, r *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{"code": 1, "message": "no such hook: " + r.URL.String()})
			},
		},
	})
}

func BenchmarkCompose(b *testing.B) {
	for _, c := range []struct {
		name, format string
		made         relay.Rendered
	}{{"bytebase", formatBytebase, unchanged()}, {"event", formatEvent, unchanged()}, {"event changed", formatEvent, relay.Rendered{Text: "x"}}, {"native", "", relay.Rendered{Native: json.RawMessage(`{}`)}}, {"cloudevents", formatCloudEvents, unchanged()}} {
		b.Run(c.name, func(b *testing.B) {
			d := open(b, settings{URL: "https://app.example.com/", Format: c.format})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Compose(&plugin.Delivery{Event: json.RawMessage(event)}, c.made); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
