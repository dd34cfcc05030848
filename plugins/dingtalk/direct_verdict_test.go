package dingtalk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
)

// directRows are the documents' tables for a message to one person.
func directRows() []row {
	const (
		temporary = relay.Temporary
		message   = relay.MessageRefused
		recipient = relay.RecipientRefused
		target    = relay.DestinationRefused
	)
	rows := []row{
		{status: 200, body: `{"processQueryKey":"k","invalidStaffIdList":[],"flowControlledStaffIdList":[]}`, verdict: relay.Delivered},
		{status: 200, body: `{"processQueryKey":"k"}`, verdict: relay.Delivered},
		{status: 200, body: `{"processQueryKey":"k","invalidStaffIdList":["manager7"],"flowControlledStaffIdList":[]}`, verdict: recipient},
		{status: 200, body: `{"processQueryKey":"k","filteredStaffIdList":["manager7"]}`, verdict: recipient},
		{status: 200, body: `{"processQueryKey":"k","flowControlledStaffIdList":["manager7"]}`, verdict: temporary},
		{status: 200, body: `{}`, verdict: relay.Ambiguous}, {status: 200, body: ``, verdict: relay.Ambiguous}, {status: 200, body: `ok`, verdict: relay.Ambiguous},
		{status: 200, body: `{"errcode":0}`, verdict: relay.Ambiguous},
		{status: 200, body: `<html>`, verdict: relay.Ambiguous, wait: 5 * time.Minute},
		{status: 200, body: `{"code":"news"}`, verdict: relay.Ambiguous},
		{status: 200, body: `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}`, verdict: temporary, wait: 5 * time.Minute},
		{status: 403, body: `{"status":1111,"wait":7,"source":"x5","punish":"deny","uuid":"u"}`, verdict: temporary, wait: 7 * time.Minute},
		{status: 302, verdict: target, probe: true},
		{status: 400, body: `x`, verdict: message}, {status: 404, verdict: target, probe: true},
		{status: 429, verdict: temporary, wait: 30 * time.Second},
		{status: 500, verdict: relay.Ambiguous}, {status: 502, body: `<html>`, verdict: relay.Ambiguous}, {status: 503, verdict: temporary},
		{status: 400, body: `{"code":"news"}`, verdict: temporary}, {status: 400, body: `{"code":"news"}`, attempt: 3, verdict: message},
		{status: 500, body: `{"code":"news"}`, verdict: relay.Ambiguous}, {status: 403, body: `{"code":"Forbidden.News"}`, verdict: target, probe: true},
		{status: 200, body: `{"errcode":90020}`, verdict: target, probe: true},
	}
	add := func(status int, r row, names ...string) {
		for _, name := range names {
			r.status, r.body = status, fmt.Sprintf(`{"code":%q,"message":"m","requestid":"r"}`, name)
			rows = append(rows, r)
		}
	}
	for _, name := range []string{"robotCode.empty", "userIds.empty", "userIds.overMax", "userId.empty", "msgKey.empty", "msgKey.invalid", "msgParam.invalid",
		"msgParam.tooLong", "msgBody.invalid", "msg.unsupport", "param.invalid"} {
		add(400, row{verdict: message}, "invalidParameter."+name)
	}
	add(400, row{verdict: target}, "invalidParameter.robotCode.notExsit", "invalidParameter.robotCode.invalid", "invalidParameter.robotCode.auth",
		"robot.oto.notExist", "chatbotId.notAllow.sendOTO", "bot.stopped", "send.forbidden", "sign.not.match")
	add(400, row{verdict: target, probe: true}, "ip.not.match")
	add(400, row{verdict: message}, "template.not.existed", "template.stopped", "miss.param.text", "miss.param.markdownTotitle", "invalid.param.actionCardTobtns",
		"sendMessage.model.notMatch", "keywords.not.match", "contain.unsafe.url", "contain.notAllowed.text", "contain.notAllowed.picture",
		"contain.notAllowed.content", "receivers.exceed", "illegal.excludes")
	add(400, row{verdict: recipient}, "staffId.notExisted", "illegal.receivers", "session.notExisted", "session.expired", "bot.forbidden.sendMessage")
	add(400, row{verdict: temporary, wait: time.Minute}, "send.byToken.tooFast", "send.too.fast", "too.many.group", "too.many.people")
	add(500, row{verdict: temporary}, "system.error", "unknownError")
	add(400, row{verdict: target}, "AuthenticationFailed.MissingParameter", "invalidClientIdOrSecret")
	// Refused twice, with a new token too.
	add(400, row{verdict: target}, "InvalidAuthentication", "invalidParameter.token.invalid", "token.notExisted")
	add(403, row{verdict: target}, "Forbidden.AccessDenied.AccessTokenPermissionDenied")
	add(403, row{verdict: target, probe: true}, "Forbidden.AccessDenied.IpNotInWhiteList", "Forbidden.AccessDenied.ApiCountLimitForOrg")
	add(403, row{verdict: temporary, wait: time.Second}, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "Forbidden.AccessDenied.QpsLimitForApi", "Forbidden.AccessDenied.QpsLimitForNews")
	return rows
}

// with answers a step as a row says, once and again.
func with(v *dingtalktest.Vendor, step string, r row) {
	v.Fail(step, "", 2, func(w http.ResponseWriter, _ *http.Request) {
		if r.status == 429 {
			w.Header().Set("Retry-After", "30")
		}
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.body)
	})
}

func TestDirectVerdicts(t *testing.T) {
	for _, c := range directRows() {
		v := newVendor(t)
		with(v, stepSend, c)
		to := toAnn()
		to.Attempt = max(c.attempt, 1)
		got := plugintest.Send(t, openDirect(t, New(), v.Entry()), to, hello)
		if got.Verdict != c.verdict || got.RetryAfter != c.wait || got.Probe != c.probe {
			t.Errorf("%d %s: got %s, wait %s, probe %v (%s); want %s, %s, %v", c.status, c.body, got.Verdict, got.RetryAfter, got.Probe, got.Error, c.verdict, c.wait, c.probe)
		}
		if (got.Error == "") != (got.Verdict == relay.Delivered) || got.Response == nil || got.Response.Status != c.status {
			t.Errorf("%d %s: error %q, response %+v", c.status, c.body, got.Error, got.Response)
		}
	}
}

func TestMissingPermissionIsNamed(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	v.Fail(stepSend, "", 1, plugintest.Answer(403, `{"requestid":"r","code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","message":"m","accessdenieddetail":{"requiredScopes":["Robot.Message.Send"]}}`))
	want := "dingtalk answered Forbidden.AccessDenied.AccessTokenPermissionDenied: the app lacks a permission; it needs Robot.Message.Send"
	if got := plugintest.Send(t, d, toAnn(), hello); got.Error != want {
		t.Errorf("got %q", got.Error)
	}
	v.Fail(stepLookUp, "", 1, plugintest.Answer(200, `{"errcode":88,"sub_code":"60011","errmsg":"x"}`))
	if m := lookUp(t, d, annPhone); m.Verdict != relay.DestinationRefused || !strings.Contains(m.Error, "qyapi_get_member_by_mobile") {
		t.Errorf("got %s: %s", m.Verdict, m.Error)
	}
}

// What the answers to a token and a look-up mean: nobody got anything.
func TestCallVerdicts(t *testing.T) {
	const (
		temporary = relay.Temporary
		target    = relay.DestinationRefused
		unmatched = relay.Unmatched
	)
	type call struct {
		step string
		row
	}
	for _, c := range []call{
		{stepToken, row{status: 400, body: `{"requestid":"r","code":"invalidClientIdOrSecret","message":"m"}`, verdict: target}},
		{stepToken, row{status: 400, body: `{"code":"news"}`, verdict: target, probe: true}},
		{stepToken, row{status: 400, body: `{"code":"invalidParameter.param.invalid"}`, verdict: target, probe: true}},
		{stepToken, row{status: 403, body: `{"code":"Forbidden.AccessDenied.QpsLimitForApi"}`, verdict: temporary, wait: time.Second}},
		{stepToken, row{status: 403, body: `{"code":"Forbidden.AccessDenied.IpNotInWhiteList"}`, verdict: target, probe: true}},
		{stepToken, row{status: 404, body: `not found`, verdict: target, probe: true}},
		{stepToken, row{status: 301, verdict: target, probe: true}},
		{stepToken, row{status: 429, verdict: temporary, wait: 30 * time.Second}},
		{stepToken, row{status: 500, verdict: temporary}}, {stepToken, row{status: 200, body: `{}`, verdict: temporary}}, {stepToken, row{status: 200, body: `<html>`, verdict: temporary, wait: 5 * time.Minute}},
		{stepToken, row{status: 200, body: `{"status":1111,"punish":"deny"}`, verdict: temporary, wait: 5 * time.Minute}},
		{stepLookUp, row{status: 200, body: `{"errcode":60121,"errmsg":"m"}`, verdict: unmatched}},
		{stepLookUp, row{status: 200, body: `{"errcode":"40104"}`, verdict: unmatched}},
		{stepLookUp, row{status: 200, body: `{"errcode":400002}`, verdict: unmatched}},
		{stepLookUp, row{status: 200, body: `{"errcode":88,"sub_code":"60121"}`, verdict: unmatched}},
		{stepLookUp, row{status: 200, body: `{"errcode":0,"result":{}}`, verdict: unmatched}},
		{stepLookUp, row{status: 200, body: `{"errcode":-1}`, verdict: temporary}},
		{stepLookUp, row{status: 200, body: `{"errcode":999}`, verdict: temporary}},
		{stepLookUp, row{status: 200, body: `{"errcode":88,"sub_code":"90018"}`, verdict: temporary, wait: time.Second}},
		{stepLookUp, row{status: 200, body: `{"errcode":90002}`, verdict: temporary, wait: time.Second}},
		{stepLookUp, row{status: 200, body: `{"errcode":88,"sub_code":"90020"}`, verdict: target, probe: true}},
		{stepLookUp, row{status: 200, body: `{"errcode":88,"sub_code":60011}`, verdict: target}},
		{stepLookUp, row{status: 200, body: `{"errcode":60020}`, verdict: target, probe: true}},
		{stepLookUp, row{status: 200, body: `{"errcode":88,"sub_code":"40014"}`, verdict: target}},
		{stepLookUp, row{status: 403, body: `{"code":"Forbidden.AccessDenied.QpsLimitForApi"}`, verdict: temporary, wait: time.Second}},
		{stepLookUp, row{status: 200, body: `{"status":1111,"wait":6,"punish":"deny"}`, verdict: temporary, wait: 6 * time.Minute}},
		{stepLookUp, row{status: 200, body: `<html>`, verdict: temporary, wait: 5 * time.Minute}}, {stepLookUp, row{status: 200, body: `{}`, verdict: temporary}},
		{stepLookUp, row{status: 404, verdict: target, probe: true}}, {stepLookUp, row{status: 429, verdict: temporary, wait: 30 * time.Second}},
		{stepLookUp, row{status: 500, verdict: temporary}}, {stepLookUp, row{status: 400, verdict: temporary}},
	} {
		v := newVendor(t)
		with(v, c.step, c.row)
		d := openDirect(t, New(), v.Entry())
		m := lookUp(t, d, annPhone)
		if m.User != "" || m.Verdict != c.verdict || m.RetryAfter != c.wait || m.Probe != c.probe || m.Error == "" {
			t.Errorf("%s %d %s: got %s, wait %s, probe %v (%s); want %s, %s, %v", c.step, c.status, c.body, m.Verdict, m.RetryAfter, m.Probe, m.Error, c.verdict, c.wait, c.probe)
		}
		if (m.Keep != 0) != (c.verdict == unmatched) || m.Response == nil || m.Response.Status != c.status {
			t.Errorf("%s %d %s: kept for %s, response %+v", c.step, c.status, c.body, m.Keep, m.Response)
		}
		if c.step == stepToken {
			with(v, c.step, c.row)
			if got := plugintest.Send(t, d, toAnn(), hello); got.Verdict != c.verdict {
				t.Errorf("%d %s: a message got %s: %s", c.status, c.body, got.Verdict, got.Error)
			}
		}
	}
}

func TestEachStepCanBeThrottledAndBreak(t *testing.T) {
	for _, step := range newVendor(t).Steps() {
		for name, c := range map[string]struct {
			fail func(*dingtalktest.Vendor)
			wait time.Duration
		}{
			"throttled": {func(v *dingtalktest.Vendor) { v.Throttle(step, 1) }, time.Second},
			"broken":    {func(v *dingtalktest.Vendor) { v.Break(step, "", 1) }, 0},
		} {
			v := newVendor(t)
			c.fail(v)
			d := openDirect(t, New(), v.Entry())
			m := lookUp(t, d, annPhone)
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
			if m := lookUp(t, d, annPhone); m.User != annUser {
				t.Errorf("%s, %s: again: %s", step, name, m.Error)
			}
			if r := plugintest.Send(t, d, toAnn(), hello); r.Verdict != relay.Delivered {
				t.Errorf("%s, %s: again: %s", step, name, r.Error)
			}
		}
	}
}

// One look-up that fails is nobody else's failure; a limit is everybody's.
func TestResolveSeveral(t *testing.T) {
	v := newVendor(t)
	v.Know("bob", relay.Person{Phone: "+8613900000000"})
	d := openDirect(t, New(), v.Entry())
	people := []relay.Person{{Phone: annPhone}, {Phone: "+8613900000000"}, {Phone: "+8613700000000"}}
	v.Break(stepLookUp, "13800000000", 1)
	got := d.Resolve(t.Context(), plugin.ByPhone, people)
	if got[0].Verdict != relay.Temporary || got[1].User != "bob" || got[2].Verdict != relay.Unmatched {
		t.Errorf("got %+v", got)
	}
	before := len(v.Calls(stepLookUp))
	v.Throttle(stepLookUp, 100)
	for _, m := range d.Resolve(t.Context(), plugin.ByPhone, people) {
		if m.Verdict != relay.Temporary || m.RetryAfter != time.Second {
			t.Errorf("got %+v", m)
		}
	}
	if n := len(v.Calls(stepLookUp)) - before; n != 1 {
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
		r := lookUp(t, d, annPhone).Report
		if step == stepSend {
			r = plugintest.Send(t, d, toAnn(), hello)
		}
		if r.Verdict != want || r.Error == "" || r.Request == nil {
			t.Errorf("%s: got %s: %s", step, r.Verdict, r.Error)
		}
	}
	// Nothing listens: nothing was sent.
	d := openDirect(t, New(), `{"client_id":"k","client_secret":"secret-of-the-app","api_base":"http://127.0.0.1:1","oapi_base":"http://127.0.0.1:1"}`)
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
	if got := d.Send(ctx, toAnn(), req); got.Verdict != relay.Ambiguous {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
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
	tokenOf := func(r *http.Request) string {
		return r.Header.Get(tokenHeader) + r.URL.Query().Get("access_token")
	}
	answers := plugintest.Echoes(dingtalktest.ClientSecret)
	answers["with a code"] = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"code":"news","message":"%s %s %s"}`, r.URL.RawQuery, tokenOf(r), dingtalktest.ClientSecret)
	}
	answers["with a number"] = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"errcode":60011,"errmsg":"%s %s %s"}`, r.URL.RawQuery, tokenOf(r), dingtalktest.ClientSecret)
	}
	answers["a token that breaks off"] = plugintest.Answer(200, `{"accessToken":"acce55-token-of-the-app-0001","expire`, "Content-Length", "1000")
	for name, answer := range answers {
		for _, step := range newVendor(t).Steps() {
			t.Run(step+", "+name, func(t *testing.T) {
				v := newVendor(t)
				v.Fail(step, "", 1, answer)
				d := openDirect(t, New(), v.Entry())
				m := lookUp(t, d, annPhone)
				plugintest.Masked(t, m.Report, dingtalktest.ClientSecret, "acce55-token")
				if m.Steps == nil && step != stepToken {
					t.Error("the report has no steps")
				}
				report := plugintest.Send(t, d, toAnn(), relay.Rendered{Text: "see " + dingtalktest.ClientSecret})
				plugintest.Masked(t, report, dingtalktest.ClientSecret, "acce55-token")
			})
		}
	}
}
