package feishu

import (
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

func TestSteps(t *testing.T) { plugintest.CheckSteps(t, reachAnn, time.Second) }

// Out of time before the answer came: the message may be there, and is known
// when it comes again.
func TestUnanswered(t *testing.T) {
	r := reachAnn(t)
	if got := r.SendUnanswered(t, r.Open(), r.Delivery(), hello); got.DedupFor != time.Hour {
		t.Errorf("got %+v", got)
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

func TestDirectLeaksNothing(t *testing.T) {
	tokenOf := func(r *http.Request) string { return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") }
	answers := plugintest.Echoes(feishutest.AppSecret)
	answers["with a code"] = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"code":230001,"msg":"%s %s"}`, tokenOf(r), feishutest.AppSecret)
	}
	answers["a token that breaks off"] = plugintest.Answer(200, `{"code":0,"tenant_access_token":"`+plugintest.TokenPart+`0001","expire`, "Content-Length", "1000")
	for name, answer := range answers {
		for _, step := range newVendor(t).Steps() {
			t.Run(step+", "+name, func(t *testing.T) {
				v := newVendor(t)
				v.Fail(step, "", 1, answer)
				d := openDirect(t, New(), v.Entry())
				m := lookUp(t, d, annEmail)
				plugintest.Masked(t, m.Report, feishutest.AppSecret, plugintest.TokenPart)
				if !slices.Equal(plugintest.StepNames(m.Report), []string{stepToken}) && step != stepToken {
					t.Errorf("steps %v", plugintest.StepNames(m.Report))
				}
				report := plugintest.Send(t, d, toAnn(), relay.Rendered{Text: "see " + feishutest.AppSecret})
				plugintest.Masked(t, report, feishutest.AppSecret, plugintest.TokenPart)
			})
		}
	}
}
