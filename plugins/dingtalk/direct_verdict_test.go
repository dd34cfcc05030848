package dingtalk

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
)

// directReplies are the documents' tables for a message to one person.
func directReplies() []plugintest.Reply {
	const (
		temporary = relay.Temporary
		message   = relay.MessageRefused
		recipient = relay.RecipientRefused
		target    = relay.DestinationRefused
	)
	rows := []plugintest.Reply{
		{Status: 200, Body: `{"processQueryKey":"k","invalidStaffIdList":[],"flowControlledStaffIdList":[]}`, Verdict: relay.Delivered},
		{Status: 200, Body: `{"processQueryKey":"k"}`, Verdict: relay.Delivered},
		{Status: 200, Body: `{"processQueryKey":"k","invalidStaffIdList":["manager7"],"flowControlledStaffIdList":[]}`, Verdict: relay.Unmatched},
		{Status: 200, Body: `{"processQueryKey":"k","filteredStaffIdList":["manager7"]}`, Verdict: recipient},
		{Status: 200, Body: `{"processQueryKey":"k","flowControlledStaffIdList":["manager7"]}`, Verdict: temporary},
		{Status: 200, Body: `{}`, Verdict: relay.Ambiguous}, {Status: 200, Body: ``, Verdict: relay.Ambiguous}, {Status: 200, Body: `ok`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `{"errcode":0}`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `<html>`, Verdict: relay.Ambiguous, Wait: 5 * time.Minute},
		{Status: 200, Body: `{"code":"news"}`, Verdict: relay.Ambiguous},
		{Status: 200, Body: `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}`, Verdict: temporary, Wait: 5 * time.Minute},
		{Status: 403, Body: `{"status":1111,"wait":7,"source":"x5","punish":"deny","uuid":"u"}`, Verdict: temporary, Wait: 7 * time.Minute},
		{Status: 302, Verdict: target, Probe: true},
		{Status: 400, Body: `x`, Verdict: message}, {Status: 404, Verdict: target, Probe: true},
		{Status: 429, Headers: retryAfter, Verdict: temporary, Wait: 30 * time.Second},
		{Status: 500, Verdict: relay.Ambiguous}, {Status: 502, Body: `<html>`, Verdict: relay.Ambiguous}, {Status: 503, Verdict: temporary},
		{Status: 400, Body: `{"code":"news"}`, Verdict: temporary}, {Status: 400, Body: `{"code":"news"}`, Attempt: 3, Verdict: message},
		{Status: 500, Body: `{"code":"news"}`, Verdict: relay.Ambiguous}, {Status: 403, Body: `{"code":"Forbidden.News"}`, Verdict: target, Probe: true},
		{Status: 200, Body: `{"errcode":90020}`, Verdict: target, Probe: true},
	}
	add := func(status int, r plugintest.Reply, names ...string) {
		for _, name := range names {
			r.Status, r.Body = status, fmt.Sprintf(`{"code":%q,"message":"m","requestid":"r"}`, name)
			rows = append(rows, r)
		}
	}
	for _, name := range []string{"robotCode.empty", "userIds.empty", "userIds.overMax", "userId.empty", "msgKey.empty", "msgKey.invalid", "msgParam.invalid",
		"msgParam.tooLong", "msgBody.invalid", "msg.unsupport", "param.invalid"} {
		add(400, plugintest.Reply{Verdict: message}, "invalidParameter."+name)
	}
	add(400, plugintest.Reply{Verdict: target}, "invalidParameter.robotCode.notExsit", "invalidParameter.robotCode.invalid", "invalidParameter.robotCode.auth",
		"robot.oto.notExist", "chatbotId.notAllow.sendOTO", "bot.stopped", "send.forbidden", "sign.not.match")
	add(400, plugintest.Reply{Verdict: target, Probe: true}, "ip.not.match")
	add(400, plugintest.Reply{Verdict: message}, "template.not.existed", "template.stopped", "miss.param.text", "miss.param.markdownTotitle", "invalid.param.actionCardTobtns",
		"sendMessage.model.notMatch", "keywords.not.match", "contain.unsafe.url", "contain.notAllowed.text", "contain.notAllowed.picture",
		"contain.notAllowed.content", "receivers.exceed", "illegal.excludes")
	add(400, plugintest.Reply{Verdict: recipient}, "staffId.notExisted", "illegal.receivers", "session.notExisted", "session.expired", "bot.forbidden.sendMessage")
	add(400, plugintest.Reply{Verdict: temporary, Wait: time.Minute}, "send.byToken.tooFast", "send.too.fast", "too.many.group", "too.many.people")
	add(500, plugintest.Reply{Verdict: temporary}, "system.error", "unknownError")
	add(400, plugintest.Reply{Verdict: target}, "AuthenticationFailed.MissingParameter", "invalidClientIdOrSecret")
	// Refused twice, with a new token too.
	add(400, plugintest.Reply{Verdict: target}, "InvalidAuthentication", "invalidParameter.token.invalid", "token.notExisted")
	add(403, plugintest.Reply{Verdict: target}, "Forbidden.AccessDenied.AccessTokenPermissionDenied")
	add(403, plugintest.Reply{Verdict: target, Probe: true}, "Forbidden.AccessDenied.IpNotInWhiteList", "Forbidden.AccessDenied.ApiCountLimitForOrg")
	add(403, plugintest.Reply{Verdict: temporary, Wait: time.Second}, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "Forbidden.AccessDenied.QpsLimitForApi", "Forbidden.AccessDenied.QpsLimitForNews")
	return rows
}

func TestDirectVerdicts(t *testing.T) {
	for _, r := range directReplies() {
		v := newVendor(t)
		v.Fail(stepSend, "", 2, r.ServeHTTP)
		to := toAnn()
		to.Attempt = max(r.Attempt, 1)
		r.Check(t, plugintest.Send(t, openDirect(t, New(), v.Entry()), to, hello))
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
	for step, replies := range map[string][]plugintest.Reply{
		stepToken: {
			{Status: 400, Body: `{"requestid":"r","code":"invalidClientIdOrSecret","message":"m"}`, Verdict: target},
			{Status: 400, Body: `{"code":"news"}`, Verdict: target, Probe: true},
			{Status: 400, Body: `{"code":"invalidParameter.param.invalid"}`, Verdict: target, Probe: true},
			{Status: 403, Body: `{"code":"Forbidden.AccessDenied.QpsLimitForApi"}`, Verdict: temporary, Wait: time.Second},
			{Status: 403, Body: `{"code":"Forbidden.AccessDenied.IpNotInWhiteList"}`, Verdict: target, Probe: true},
			{Status: 404, Body: `not found`, Verdict: target, Probe: true},
			{Status: 301, Verdict: target, Probe: true},
			{Status: 429, Headers: retryAfter, Verdict: temporary, Wait: 30 * time.Second},
			{Status: 500, Verdict: temporary}, {Status: 200, Body: `{}`, Verdict: temporary}, {Status: 200, Body: `<html>`, Verdict: temporary, Wait: 5 * time.Minute},
			{Status: 200, Body: `{"status":1111,"punish":"deny"}`, Verdict: temporary, Wait: 5 * time.Minute},
		},
		stepLookUp: {
			{Status: 200, Body: `{"errcode":60121,"errmsg":"m"}`, Verdict: unmatched},
			{Status: 200, Body: `{"errcode":"40104"}`, Verdict: unmatched},
			{Status: 200, Body: `{"errcode":400002}`, Verdict: unmatched},
			{Status: 200, Body: `{"errcode":88,"sub_code":"60121"}`, Verdict: unmatched},
			{Status: 200, Body: `{"errcode":0,"result":{}}`, Verdict: unmatched},
			{Status: 200, Body: `{"errcode":-1}`, Verdict: temporary},
			{Status: 200, Body: `{"errcode":999}`, Verdict: temporary},
			{Status: 200, Body: `{"errcode":88,"sub_code":"90018"}`, Verdict: temporary, Wait: time.Second},
			{Status: 200, Body: `{"errcode":90002}`, Verdict: temporary, Wait: time.Second},
			{Status: 200, Body: `{"errcode":88,"sub_code":"90020"}`, Verdict: target, Probe: true},
			{Status: 200, Body: `{"errcode":88,"sub_code":60011}`, Verdict: target},
			{Status: 200, Body: `{"errcode":60020}`, Verdict: target, Probe: true},
			{Status: 200, Body: `{"errcode":88,"sub_code":"40014"}`, Verdict: target},
			{Status: 403, Body: `{"code":"Forbidden.AccessDenied.QpsLimitForApi"}`, Verdict: temporary, Wait: time.Second},
			{Status: 200, Body: `{"status":1111,"wait":6,"punish":"deny"}`, Verdict: temporary, Wait: 6 * time.Minute},
			{Status: 200, Body: `<html>`, Verdict: temporary, Wait: 5 * time.Minute}, {Status: 200, Body: `{}`, Verdict: temporary},
			{Status: 404, Verdict: target, Probe: true}, {Status: 429, Headers: retryAfter, Verdict: temporary, Wait: 30 * time.Second},
			{Status: 500, Verdict: temporary}, {Status: 400, Verdict: temporary},
		},
	} {
		for _, r := range replies {
			v := newVendor(t)
			v.Fail(step, "", 2, r.ServeHTTP)
			d := openDirect(t, New(), v.Entry())
			m := lookUp(t, d, annPhone)
			r.Check(t, m.Report)
			if m.User != "" || (m.Keep != 0) != (r.Verdict == unmatched) {
				t.Errorf("%s %d %s: got %q, kept for %s", step, r.Status, r.Body, m.User, m.Keep)
			}
			if step == stepToken {
				v.Fail(step, "", 2, r.ServeHTTP)
				r.Check(t, plugintest.Send(t, d, toAnn(), hello))
			}
		}
	}
}

func TestSteps(t *testing.T) { plugintest.CheckSteps(t, reachAnn, time.Second) }

// Out of time before the answer came: the message may be there.
func TestUnanswered(t *testing.T) {
	r := reachAnn(t)
	r.SendUnanswered(t, r.Open(), r.Delivery(), hello)
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
	answers["a token that breaks off"] = plugintest.Answer(200, `{"accessToken":"`+plugintest.TokenPart+`0001","expire`, "Content-Length", "1000")
	for name, answer := range answers {
		for _, step := range newVendor(t).Steps() {
			t.Run(step+", "+name, func(t *testing.T) {
				v := newVendor(t)
				v.Fail(step, "", 1, answer)
				d := openDirect(t, New(), v.Entry())
				m := lookUp(t, d, annPhone)
				plugintest.Masked(t, m.Report, dingtalktest.ClientSecret, plugintest.TokenPart)
				if m.Steps == nil && step != stepToken {
					t.Error("the report has no steps")
				}
				report := plugintest.Send(t, d, toAnn(), relay.Rendered{Text: "see " + dingtalktest.ClientSecret})
				plugintest.Masked(t, report, dingtalktest.ClientSecret, plugintest.TokenPart)
			})
		}
	}
}
