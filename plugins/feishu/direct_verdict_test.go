package feishu

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/feishu/feishutest"
)

func TestDirectVerdicts(t *testing.T) {
	const (
		temp      = relay.Temporary
		ambig     = relay.Ambiguous
		message   = relay.MessageRefused
		recipient = relay.RecipientRefused
		target    = relay.DestinationRefused
	)
	rows := []plugintest.Reply{
		{Status: 200, Body: `{"code":0,"msg":"success","data":{"message_id":"om_1"}}`, Verdict: relay.Delivered},
		{Status: 200, Body: `{"code":"0"}`, Verdict: relay.Delivered},
		{Status: 200, Body: ``, Verdict: ambig}, {Status: 200, Body: `{}`, Verdict: ambig}, {Status: 200, Body: `<html>`, Verdict: ambig},
		{Status: 302, Verdict: target, Probe: true}, {Status: 404, Body: `404 page not found`, Verdict: target, Probe: true},
		{Status: 400, Verdict: message}, {Status: 400, Body: `{"code":987654,"msg":"news"}`, Verdict: temp}, {Status: 429, Verdict: temp},
		{Status: 500, Verdict: temp}, {Status: 502, Body: `<html>`, Verdict: temp}, {Status: 503, Verdict: temp}, {Status: 500, Body: `{"code":987654}`, Verdict: temp},
	}
	for _, documented := range []struct {
		want  plugintest.Reply
		codes []int64
	}{
		{plugintest.Reply{Verdict: message}, []int64{230001, 230022, 230028, 230025, 230054, 230055, 230075, 230099, 99992402}},
		{plugintest.Reply{Verdict: recipient}, []int64{230002, 230013, 230015, 230017, 230018, 230019, 230029, 230034, 230035, 230038, 230053, 232009, 99992351, 99992358, 99992364}},
		{plugintest.Reply{Verdict: target}, []int64{230006, 230027, 230036, 99991662, 99991672, 99991673, 99991676, 99991679, 10003, 10014, 10015, 99991543, 99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677}},
		{plugintest.Reply{Verdict: target, Probe: true}, []int64{99991401, 99991403}},
		{plugintest.Reply{Verdict: temp}, []int64{230049, 1500, 1663, 2200, 5000, 10101, 10500}},
		{plugintest.Reply{Verdict: temp, Wait: time.Second}, []int64{230020, 99991400}},
		{plugintest.Reply{Verdict: temp, Wait: 10 * time.Second}, []int64{11232, 11233, 11247, 1000004, 1000005}},
	} {
		for _, code := range documented.codes {
			r := documented.want
			for _, r.Status = range []int{400, 200} {
				r.Body = fmt.Sprintf(`{"code":%d,"msg":"m","error":{"log_id":"l"}}`, code)
				rows = append(rows, r)
			}
		}
	}
	for _, r := range rows {
		v := newVendor(t)
		v.Fail(stepSend, "", 2, r.ServeHTTP)
		r.Check(t, plugintest.Send(t, openDirect(t, New(), v.Entry()), toAnn(), hello))
	}
	// A code that is not documented is tried several times.
	v := newVendor(t)
	v.Fail(stepSend, "", 2, plugintest.Answer(400, `{"code":987654,"msg":"news"}`))
	to := toAnn()
	to.Attempt = unknownTries
	if got := plugintest.Send(t, openDirect(t, New(), v.Entry()), to, hello); got.Verdict != message {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
	// The gateway says how long to wait.
	v = newVendor(t)
	v.Fail(stepSend, "", 2, plugintest.Answer(429, `{"code":99991400,"msg":"m"}`, "X-Ogw-Ratelimit-Reset", "43"))
	if got := plugintest.Send(t, openDirect(t, New(), v.Entry()), toAnn(), hello); got.Verdict != temp || got.RetryAfter != 43*time.Second {
		t.Errorf("got %s, wait %s: %s", got.Verdict, got.RetryAfter, got.Error)
	}
	// What stays refused without mentions is the message's fault.
	v = newVendor(t)
	v.Fail(stepSend, "", 2, plugintest.Answer(400, `{"code":230099,"msg":"ext=ErrCode: 100290"}`))
	mentions := portable(relay.Message{Text: token0, Mentions: []relay.Person{ann}})
	if got := plugintest.Send(t, openDirect(t, New(), v.Entry()), toAnn(), mentions); got.Verdict != message || len(v.Calls(stepSend)) != 2 {
		t.Errorf("got %s after %d sends: %s", got.Verdict, len(v.Calls(stepSend)), got.Error)
	}
}

func TestMissingScopeIsNamed(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	v.Fail(stepSend, "", 2, plugintest.Answer(400, `{"code":230027,"msg":"m"}`))
	if got := plugintest.Send(t, d, toAnn(), hello); got.Error != "feishu answered code 230027 (the app lacks a permission): m; it needs im:message:send_as_bot" {
		t.Errorf("got %q", got.Error)
	}
	v.Fail(stepLookUp, "", 2, plugintest.Answer(400, `{"code":99991672,"msg":"m"}`))
	if m := lookUp(t, d, annEmail); m.Verdict != relay.DestinationRefused || m.Error != "feishu answered code 99991672 (the app lacks a scope): m; it needs contact:user.id:readonly" {
		t.Errorf("got %s: %s", m.Verdict, m.Error)
	}
}

// What the answers to a token and a look-up mean: nobody got anything.
func TestCallVerdicts(t *testing.T) {
	const (
		temp   = relay.Temporary
		target = relay.DestinationRefused
		nobody = relay.Unmatched
	)
	for step, rows := range map[string][]plugintest.Reply{
		stepToken: {
			{Status: 200, Body: `{"code":10003,"msg":"m"}`, Verdict: target}, {Status: 200, Body: `{"code":10014,"msg":"m"}`, Verdict: target},
			{Status: 200, Body: `{"code":"10015","msg":"m"}`, Verdict: target}, {Status: 200, Body: `{"code":99991543,"msg":"m"}`, Verdict: target},
			{Status: 200, Body: `{"code":987654,"msg":"news"}`, Verdict: target, Probe: true}, {Status: 404, Body: `404 page not found`, Verdict: target, Probe: true},
			{Status: 302, Verdict: target, Probe: true}, {Status: 200, Body: `{"code":0}`, Verdict: temp}, {Status: 200, Body: `<html>`, Verdict: temp}, {Status: 200, Verdict: temp},
			{Status: 500, Verdict: temp}, {Status: 200, Body: `{"code":1500}`, Verdict: temp}, {Status: 429, Body: `{"code":99991400}`, Verdict: temp, Wait: time.Second},
		},
		stepLookUp: {
			{Status: 200, Body: `{"code":0,"data":{"user_list":[{"email":"ann@example.com"}]}}`, Verdict: nobody},
			{Status: 200, Body: `{"code":0,"data":{"user_list":[]}}`, Verdict: nobody}, {Status: 200, Body: `{"code":0,"data":{}}`, Verdict: nobody},
			{Status: 400, Body: `{"code":99992402,"msg":"m"}`, Verdict: nobody}, {Status: 400, Body: `{"code":40001,"msg":"m"}`, Verdict: nobody},
			{Status: 200, Body: `{"code":0}`, Verdict: temp}, {Status: 200, Body: `{}`, Verdict: temp}, {Status: 200, Body: `<html>`, Verdict: temp}, {Status: 200, Verdict: temp},
			{Status: 400, Body: `{"code":40003}`, Verdict: temp}, {Status: 400, Body: `{"code":987654}`, Verdict: temp}, {Status: 400, Verdict: temp}, {Status: 500, Verdict: temp},
			{Status: 429, Body: `{"code":99991400}`, Verdict: temp, Wait: time.Second}, {Status: 400, Body: `{"code":99991400}`, Verdict: temp, Wait: time.Second},
			{Status: 400, Body: `{"code":99991672}`, Verdict: target}, {Status: 400, Body: `{"code":99991662}`, Verdict: target},
			{Status: 400, Body: `{"code":99991403}`, Verdict: target, Probe: true}, {Status: 400, Body: `{"code":99991663}`, Verdict: target},
			{Status: 404, Body: `404 page not found`, Verdict: target, Probe: true},
		},
	} {
		for _, r := range rows {
			v := newVendor(t)
			v.Fail(step, "", 2, r.ServeHTTP)
			d := openDirect(t, New(), v.Entry())
			m := lookUp(t, d, annEmail)
			r.Check(t, m.Report)
			if m.User != "" || (m.Keep != 0) != (r.Verdict == nobody) {
				t.Errorf("%s %d %s: got %q, kept for %s", step, r.Status, r.Body, m.User, m.Keep)
			}
			if step == stepToken {
				r.Check(t, plugintest.Send(t, d, toAnn(), hello))
			}
		}
	}
}

// One address that the vendor does not take spoils the look-up for nobody else.
func TestLookUpOfABadAddress(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	v.Fail(stepLookUp, "bad@example.com", 2, plugintest.Answer(400, `{"code":99992402,"msg":"field validation failed"}`))
	got := d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{{Email: "bad@example.com"}, {Email: annEmail}, {Email: "bob@example.com"}})
	if got[0].Verdict != relay.Unmatched || got[1].User != annUser || got[2].Verdict != relay.Unmatched {
		t.Errorf("got %+v", got)
	}
	if n := len(v.Calls(stepLookUp)); n != 4 {
		t.Errorf("%d calls", n)
	}
}

func TestEachStepCanBeThrottledAndBreak(t *testing.T) {
	for _, step := range newVendor(t).Steps() {
		for name, c := range map[string]struct {
			fail func(*feishutest.Vendor)
			wait time.Duration
		}{
			"throttled": {func(v *feishutest.Vendor) { v.Throttle(step, 1) }, time.Second},
			"broken":    {func(v *feishutest.Vendor) { v.Break(step, "", 1) }, 0},
		} {
			v := newVendor(t)
			c.fail(v)
			d := openDirect(t, New(), v.Entry())
			m := lookUp(t, d, annEmail)
			r := m.Report
			if step == stepSend {
				r = plugintest.Send(t, d, toAnn(), hello)
			}
			if r.Verdict != relay.Temporary || r.RetryAfter != c.wait || r.Error == "" || m.Keep != 0 && step != stepSend {
				t.Errorf("%s, %s: got %s, wait %s: %s", step, name, r.Verdict, r.RetryAfter, r.Error)
			}
			if len(v.Direct()) != 0 {
				t.Errorf("%s, %s: a message came through", step, name)
			}
			if m := lookUp(t, d, annEmail); m.User != annUser {
				t.Errorf("%s, %s: again: %s", step, name, m.Error)
			}
			if r := plugintest.Send(t, d, toAnn(), hello); r.Verdict != relay.Delivered {
				t.Errorf("%s, %s: again: %s", step, name, r.Error)
			}
		}
	}
}

// A limit that one batch meets is that of the next one, too.
func TestThrottledBatches(t *testing.T) {
	v := newVendor(t)
	v.Throttle(stepLookUp, 100)
	people := make([]relay.Person, 120)
	for i := range people {
		people[i].Email = fmt.Sprintf("p%d@example.com", i)
	}
	for _, m := range openDirect(t, New(), v.Entry()).Resolve(t.Context(), plugin.ByEmail, people) {
		if m.Verdict != relay.Temporary || m.RetryAfter != time.Second {
			t.Errorf("got %+v", m)
		}
	}
	if n := len(v.Calls(stepLookUp)); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// A connection that breaks leaves open whether a message came, never whether
// anything else did.
func TestLostAnswers(t *testing.T) {
	for step, want := range map[string]relay.Verdict{stepToken: relay.Temporary, stepLookUp: relay.Temporary, stepSend: relay.Ambiguous} {
		v := newVendor(t)
		v.Fail(step, "", 1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		d := openDirect(t, New(), v.Entry())
		r := lookUp(t, d, annEmail).Report
		if step == stepSend {
			r = plugintest.Send(t, d, toAnn(), hello)
		}
		if r.Verdict != want || r.Error == "" || r.Request == nil {
			t.Errorf("%s: got %s: %s", step, r.Verdict, r.Error)
		}
	}
	// Nothing listens: nothing was sent.
	d := openDirect(t, New(), `{"app_id":"cli_a","app_secret":"secret-of-the-app","api_base":"http://127.0.0.1:1"}`)
	if got := plugintest.Send(t, d, toAnn(), hello); got.Verdict != relay.Temporary {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
	// Out of time before the answer came: the message may be there.
	v := newVendor(t)
	arrived := make(chan struct{})
	v.Fail(stepSend, "", 1, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	d = openDirect(t, New(), v.Entry())
	req, err := d.Compose(toAnn(), hello)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if got := d.Send(ctx, toAnn(), req); got.Verdict != relay.Ambiguous || got.DedupFor != time.Hour {
		t.Errorf("got %+v", got)
	}
	// An answer that is held comes in the end.
	release := v.Hold("hello")
	report := make(chan relay.Report, 1)
	go func() { report <- d.Send(t.Context(), toAnn(), req) }()
	select {
	case got := <-report:
		t.Errorf("not held: got %s: %s", got.Verdict, got.Error)
	default:
	}
	release()
	if got := <-report; got.Verdict != relay.Delivered {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}

func TestDirectLeaksNothing(t *testing.T) {
	tokenOf := func(r *http.Request) string { return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") }
	answers := plugintest.Echoes(feishutest.AppSecret)
	answers["with a code"] = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"code":230001,"msg":"%s %s"}`, tokenOf(r), feishutest.AppSecret)
	}
	answers["a token that breaks off"] = plugintest.Answer(200, `{"code":0,"tenant_access_token":"t-acce55ofTheApp0001","expire`, "Content-Length", "1000")
	for name, answer := range answers {
		for _, step := range newVendor(t).Steps() {
			t.Run(step+", "+name, func(t *testing.T) {
				v := newVendor(t)
				v.Fail(step, "", 1, answer)
				d := openDirect(t, New(), v.Entry())
				m := lookUp(t, d, annEmail)
				plugintest.Masked(t, m.Report, feishutest.AppSecret, "acce55ofTheApp")
				if !slices.Equal(stepsOf(m.Report), []string{stepToken}) && step != stepToken {
					t.Errorf("steps %v", stepsOf(m.Report))
				}
				report := plugintest.Send(t, d, toAnn(), relay.Rendered{Text: "see " + feishutest.AppSecret})
				plugintest.Masked(t, report, feishutest.AppSecret, "acce55ofTheApp")
			})
		}
	}
}
