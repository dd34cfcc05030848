package wecom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/wecom/wecomtest"
)

const deliveryID = "0199a5b0-0000-7000-8000-00003f9a2c1b"

// directSettings are an entry's as relay hands them over.
func directSettings(entry string) plugin.Settings {
	m := &relay.Masker{}
	m.Add(relay.SecretsIn(json.RawMessage(providerSchema), json.RawMessage(entry))...)
	return plugin.Settings{Destination: "dba", Entry: "wecom", Provider: json.RawMessage(entry), Target: json.RawMessage(`{}`), Masker: m}
}

// reach opens what reaches people at a stand-in, with an entry changed.
func reach(t testing.TB, v *wecomtest.Vendor, change ...string) plugin.Direct {
	t.Helper()
	return openDirect(t, New(), strings.NewReplacer(change...).Replace(v.Entry()))
}

func openDirect(t testing.TB, p *Provider, entry string) plugin.Direct {
	t.Helper()
	d, problems := p.OpenDirect(directSettings(entry))
	if d == nil || len(problems) > 0 {
		t.Fatalf("got %v, %+v", d, problems)
	}
	return d
}

// reachAnn is a stand-in that knows Ann, and how to reach her.
func reachAnn(t testing.TB) plugintest.Reach {
	v, p := vendor(t), New()
	return plugintest.Reach{
		Vendor: v, Open: func() plugin.Direct { return openDirect(t, p, v.Entry()) },
		User: "Ann01", Person: relay.Person{Name: "Ann", Email: "ann@example.com"}, MatchBy: plugin.ByEmail, Secrets: secrets(),
	}
}

// vendor knows Ann by email, and Bob by phone.
func vendor(t testing.TB) *wecomtest.Vendor {
	v := wecomtest.New(t)
	v.Know("Ann01", relay.Person{Name: "Ann", Email: "ann@example.com"})
	v.Know("bob", relay.Person{Name: "Bob", Phone: "+8613800001111"})
	v.Know("eve", relay.Person{Name: "Eve", Phone: "+14155550100"})
	return v
}

// plainly is the message of a template that returned a string.
func plainly(s string) relay.Rendered { return relay.Rendered{Text: s} }

// send makes one attempt.
func send(t testing.TB, d plugin.Direct, delivery plugin.Delivery, made relay.Rendered) relay.Report {
	t.Helper()
	delivery.Direct, delivery.Attempt = true, max(delivery.Attempt, 1)
	if delivery.ID == "" {
		delivery.ID = deliveryID
	}
	got := plugintest.Send(t, d, &delivery, made)
	plugintest.NoSecrets(t, got, secrets()...)
	return got
}

func resolve(t testing.TB, d plugin.Direct, by string, people ...relay.Person) []plugin.Match {
	t.Helper()
	got := d.Resolve(t.Context(), by, people)
	if len(got) != len(people) {
		t.Fatalf("%d answers for %d people", len(got), len(people))
	}
	plugintest.NoSecrets(t, got, secrets()...)
	return got
}

// secrets are what stands in queries and bodies, of which the log shows none
// unmasked.
func secrets() []string { return []string{wecomtest.Secret, plugintest.TokenPart} }

func steps(v *wecomtest.Vendor) []string {
	var names []string
	for _, c := range v.Calls("") {
		names = append(names, c.Step)
	}
	return names
}

func TestDirectMessage(t *testing.T) {
	v := vendor(t)
	d := reach(t, v)
	m := resolve(t, d, plugin.ByEmail, relay.Person{Email: " Ann@example.com "})[0]
	if m.User != "Ann01" || m.Keep != 12*time.Hour || m.Verdict != "" {
		t.Fatalf("got %+v", m)
	}
	if len(m.Steps) != 1 || m.Steps[0].Name != "gettoken" || m.Steps[0].Request.URL != v.URL+"/cgi-bin/gettoken?<secret>" {
		t.Errorf("steps %+v", m.Steps)
	}
	if m.Request.URL != v.URL+"/cgi-bin/user/get_userid_by_email?<secret>" || m.Request.Body != `{"email":"Ann@example.com","email_type":1}` {
		t.Errorf("request %+v", m.Request)
	}
	got := send(t, d, plugin.Delivery{User: m.User}, plainly("hello"))
	if got.Verdict != relay.Delivered || got.Receipt == "" || got.Error != "" || len(got.Steps) != 0 {
		t.Errorf("got %+v", got)
	}
	if want := v.URL + "/cgi-bin/message/send?<secret>"; got.Request.URL != want {
		t.Errorf("got %s, want %s", got.Request.URL, want)
	}
	if sent := v.Direct(); len(sent) != 1 || sent[0].User != "Ann01" || !strings.Contains(sent[0].Body, `hello\n(3f9a2c1b)`) || len(v.Channel()) != 0 {
		t.Errorf("got %+v", sent)
	}
	if got := steps(v); !slices.Equal(got, v.Steps()) {
		t.Errorf("got the calls %v, want %v", got, v.Steps())
	}
}

func TestResolve(t *testing.T) {
	v := vendor(t)
	d := reach(t, v)
	const noEmail, noPhone, noMobile = "not an email", "not a phone number in E.164", "not a mobile number of mainland China"
	for _, c := range []struct {
		by, value, user, why string
		called               bool
	}{
		{plugin.ByEmail, "ann@example.com", "Ann01", "", true},
		{plugin.ByEmail, "who@example.com", "", "wecom answered 46004: no member whom the app may see has this email as the enterprise mailbox (email_type: 1)", true},
		{plugin.ByEmail, "", "", noEmail, false},
		{plugin.ByEmail, "ann", "", noEmail, false},
		{plugin.ByEmail, "@example.com", "", noEmail, false},
		{plugin.ByEmail, "ann@", "", noEmail, false},
		{plugin.ByEmail, "a@b@c", "", noEmail, false},
		{plugin.ByEmail, "a b@example.com", "", noEmail, false},
		{plugin.ByEmail, "a\n@example.com", "", noEmail, false},
		{plugin.ByPhone, "+86 138-0000-1111", "bob", "", true},
		{plugin.ByPhone, "13800001111", "bob", "", true},
		{plugin.ByPhone, "+14155550100", "eve", "", true},
		{plugin.ByPhone, "+8613800002222", "", "wecom answered 46004: no member whom the app may see has this phone number", true},
		{plugin.ByPhone, "+861012345678", "", noMobile, false},
		{plugin.ByPhone, "+86138000011112", "", noMobile, false},
		{plugin.ByPhone, "4155550100", "", noMobile, false},
		{plugin.ByPhone, "", "", noPhone, false},
		{plugin.ByPhone, "+123", "", noPhone, false},
		{plugin.ByPhone, "+01234567", "", noPhone, false},
		{plugin.ByPhone, "+1234567890123456", "", noPhone, false},
		{plugin.ByPhone, "+1415555o100", "", noPhone, false},
		{plugin.ByPhone, "++14155550100", "", noPhone, false},
	} {
		before := len(v.Calls(wecomtest.ByEmail)) + len(v.Calls(wecomtest.ByMobile))
		m := resolve(t, d, c.by, relay.Person{Email: c.value, Phone: c.value})[0]
		called := len(v.Calls(wecomtest.ByEmail)) + len(v.Calls(wecomtest.ByMobile)) - before
		if m.User != c.user || !strings.HasPrefix(m.Error, c.why) || called > 1 || (called == 1) != c.called {
			t.Errorf("%s %q: got %q (%s) with %d calls", c.by, c.value, m.User, m.Error, called)
		}
		if c.user == "" && (m.Verdict != relay.Unmatched || m.Keep != 24*time.Hour) {
			t.Errorf("%s %q: got %s for %s", c.by, c.value, m.Verdict, m.Keep)
		}
	}
	var body struct{ Mobile string }
	if calls := v.Calls(wecomtest.ByMobile); json.Unmarshal([]byte(calls[0].Body), &body) != nil || body.Mobile != "13800001111" {
		t.Errorf("got %s", calls[0].Body)
	}
}

// Companies keep emails in one of two places. No email is asked for in both.
func TestEmailType(t *testing.T) {
	v := vendor(t)
	v.KeepEmailsAs(2)
	ann := relay.Person{Email: "ann@example.com"}
	enterprise, personal := reach(t, v), reach(t, v, `{"corp_id"`, `{"email_type": 2, "corp_id"`)
	if m := resolve(t, enterprise, plugin.ByEmail, ann)[0]; m.Verdict != relay.Unmatched {
		t.Errorf("got %+v", m)
	}
	if n := len(v.Calls(wecomtest.ByEmail)); n != 1 {
		t.Errorf("%d calls for one email", n)
	}
	if m := resolve(t, personal, plugin.ByEmail, ann)[0]; m.User != "Ann01" {
		t.Errorf("got %+v", m)
	}
	if enterprise.Account() == personal.Account() {
		t.Error("answers of one kind of email would be kept for the other")
	}
}

// One person's failure is nobody else's, unless it is sure to meet everybody.
func TestResolvePartly(t *testing.T) {
	people := []relay.Person{{Email: "ann@example.com"}, {Email: "bad@example.com"}, {Email: "none"}, {Email: "who@example.com"}}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   []relay.Verdict
		calls  int
	}{
		"busy":    {wecomtest.Code(-1, "busy"), []relay.Verdict{"", relay.Temporary, relay.Unmatched, relay.Unmatched}, 3},
		"fast":    {wecomtest.Code(45009, "limit"), []relay.Verdict{"", relay.Temporary, relay.Unmatched, relay.Temporary}, 2},
		"refused": {wecomtest.Code(60011, "no privilege"), []relay.Verdict{"", relay.DestinationRefused, relay.Unmatched, relay.DestinationRefused}, 2},
	} {
		v := vendor(t)
		v.Fail(wecomtest.ByEmail, "bad@", 1, c.answer)
		var got []relay.Verdict
		for _, m := range resolve(t, reach(t, v), plugin.ByEmail, people...) {
			got = append(got, m.Verdict)
			if (m.Keep > 0) != (m.Verdict == "" || m.Verdict == relay.Unmatched) {
				t.Errorf("%s: %s is kept for %s", name, m.Verdict, m.Keep)
			}
		}
		if calls := len(v.Calls(wecomtest.ByEmail)); !slices.Equal(got, c.want) || calls != c.calls {
			t.Errorf("%s: got %q with %d calls, want %q with %d", name, got, calls, c.want, c.calls)
		}
	}
}

// An id that somebody wrote down is used as it is, unless it cannot be one.
func TestExplicitID(t *testing.T) {
	v := vendor(t)
	d := reach(t, v)
	if got := send(t, d, plugin.Delivery{User: "ANN01"}, plainly("hi")); got.Verdict != relay.Delivered {
		t.Errorf("got %+v", got)
	}
	if got := send(t, d, plugin.Delivery{User: "nobody"}, plainly("hi")); got.Verdict != relay.RecipientRefused || !strings.Contains(got.Error, "81013") {
		t.Errorf("got %+v", got)
	}
	before := len(v.Calls(""))
	for _, id := range []string{"", "@all", "ann01|bob", "张三", "a b", strings.Repeat("a", 65)} {
		got := send(t, d, plugin.Delivery{User: id}, plainly("hi"))
		if got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "ids.wecom") {
			t.Errorf("%q: got %+v", id, got)
		}
	}
	if n := len(v.Calls("")) - before; n != 0 || len(v.Direct()) != 1 {
		t.Errorf("%d calls, sent %+v", n, v.Direct())
	}
}

// Every code that says that a token ended early is answered with a new one,
// once, for the look-up and for the message; then with a pause.
func TestTokens(t *testing.T) {
	var refusals []http.HandlerFunc
	for _, code := range []int{40014, 41001, 42001} {
		refusals = append(refusals, wecomtest.Code(code, "token"))
	}
	plugintest.CheckTokens(t, reachAnn, map[string][]http.HandlerFunc{wecomtest.ByEmail: refusals, wecomtest.Send: refusals})
}

// However many ask, a refused secret is tried once: more would ban the address.
func TestSecretIsRefused(t *testing.T) {
	for name, open := range map[string]func(v *wecomtest.Vendor) plugin.Direct{
		"wrong secret": func(v *wecomtest.Vendor) plugin.Direct { return reach(t, v, wecomtest.Secret, "another-secret") },
		"wrong corp":   func(v *wecomtest.Vendor) plugin.Direct { return reach(t, v, wecomtest.CorpID, "wwffffffffffffffff") },
		"revoked": func(v *wecomtest.Vendor) plugin.Direct {
			d := reach(t, v)
			send(t, d, plugin.Delivery{User: "bob"}, plainly("before"))
			v.Revoke()
			return d
		},
	} {
		v := vendor(t)
		d := open(v)
		before := len(v.Calls(wecomtest.GetToken))
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				got := send(t, d, plugin.Delivery{User: "Ann01"}, plainly(fmt.Sprint(i)))
				if got.Verdict != relay.DestinationRefused || got.Probe || !strings.HasPrefix(got.Error, "wecom answered 400") {
					t.Errorf("%s: got %+v", name, got)
				}
			})
		}
		all.Wait()
		if n := len(v.Calls(wecomtest.GetToken)) - before; n != 1 {
			t.Errorf("%s: the secret was tried %d times", name, n)
		}
		pointer := "/secret"
		if name == "wrong corp" {
			pointer = "/corp_id"
		}
		problems := d.(plugin.Prober).Probe(t.Context())
		if len(problems) != 1 || problems[0].Warning || !problems[0].Provider || problems[0].Pointer != pointer || !strings.Contains(problems[0].Message, "within a minute") {
			t.Errorf("%s: got %+v", name, problems)
		}
	}
}

// Who needs a new token at the same time shares it; and two destinations share
// an app.
func TestTokenIsShared(t *testing.T) {
	v := vendor(t)
	p := New()
	var both [2]plugin.Direct
	for i := range both {
		both[i], _ = p.OpenDirect(directSettings(v.Entry()))
	}
	for range 2 {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if got := send(t, both[i%2], plugin.Delivery{User: "Ann01", ID: fmt.Sprintf("%08d", i)}, plainly("hi")); got.Verdict != relay.Delivered {
					t.Errorf("got %+v", got)
				}
			})
		}
		all.Wait()
	}
	if n := len(v.Calls(wecomtest.GetToken)); n != 1 {
		t.Errorf("%d tokens", n)
	}
	v.Expire()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			send(t, both[i%2], plugin.Delivery{User: "bob", ID: fmt.Sprintf("%08d", i)}, plainly("hi"))
		})
	}
	all.Wait()
	if n := len(v.Calls(wecomtest.GetToken)); n != 2 {
		t.Errorf("%d tokens", n)
	}
	if n := len(v.Direct()); n != 32 { // the second round to Ann was the first's duplicate
		t.Errorf("%d messages", n)
	}
}

// What goes wrong at a step: too fast, busy, no answer.
func TestSteps(t *testing.T) {
	for _, step := range []string{wecomtest.GetToken, wecomtest.ByEmail, wecomtest.Send} {
		for name, c := range map[string]struct {
			fail func(v *wecomtest.Vendor)
			want relay.Verdict
			wait time.Duration
		}{
			"throttled": {func(v *wecomtest.Vendor) { v.Throttle(step, 1) }, relay.Temporary, 0},
			"limited":   {func(v *wecomtest.Vendor) { v.Fail(step, "", 1, wecomtest.Code(45009, "limit")) }, relay.Temporary, time.Minute},
			"429":       {func(v *wecomtest.Vendor) { v.Fail(step, "", 1, plugintest.Answer(429, "", "Retry-After", "7")) }, relay.Temporary, 7 * time.Second},
			"broken":    {func(v *wecomtest.Vendor) { v.Break(step, "", 1) }, relay.Temporary, 0},
			"lost":      {func(v *wecomtest.Vendor) { v.Fail(step, "", 1, plugintest.Abort) }, relay.Ambiguous, 0},
			"no JSON":   {func(v *wecomtest.Vendor) { v.Fail(step, "", 1, plugintest.Answer(200, "<html>")) }, relay.Ambiguous, 0},
			"502":       {func(v *wecomtest.Vendor) { v.Fail(step, "", 1, plugintest.Answer(502, "<html>")) }, relay.Temporary, 0},
		} {
			v := vendor(t)
			d := reach(t, v)
			c.fail(v)
			try := func() relay.Report {
				if m := resolve(t, d, plugin.ByEmail, relay.Person{Email: "ann@example.com"})[0]; m.User == "" {
					return m.Report
				}
				return send(t, d, plugin.Delivery{User: "Ann01"}, plainly("hi"))
			}
			want, wait := c.want, c.wait
			if step != wecomtest.Send {
				want = relay.Temporary // nobody was sent anything
			}
			if step == wecomtest.ByEmail && name == "limited" {
				wait = 10 * time.Minute // it may be the block of a day
			}
			if got := try(); got.Verdict != want || got.RetryAfter != wait || got.Error == "" {
				t.Errorf("%s, %s: got %s after %s (%s), want %s", step, name, got.Verdict, got.RetryAfter, got.Error, want)
			}
			if got := try(); got.Verdict != relay.Delivered || len(v.Direct()) != 1 {
				t.Errorf("%s, %s: then got %s (%s)", step, name, got.Verdict, got.Error)
			}
		}
	}
}

// A message whose answer was lost is sent again as it was, and shown once.
func TestLostAnswer(t *testing.T) {
	r := reachAnn(t)
	d := r.Open()
	first := &plugin.Delivery{ID: deliveryID, Attempt: 1, User: "Ann01", Context: plugin.Context{Direct: true}}
	if got := r.SendUnanswered(t, d, first, plainly("hello")); got.DedupFor != 4*time.Hour {
		t.Errorf("got %+v", got)
	}
	for attempt := 2; attempt < 4; attempt++ {
		if got := send(t, d, plugin.Delivery{User: "Ann01", Attempt: attempt}, plainly("hello")); got.Verdict != relay.Delivered {
			t.Errorf("got %+v", got)
		}
	}
	if n := len(r.Vendor.Direct()); n != 1 {
		t.Errorf("%d messages", n)
	}
	if got := send(t, d, plugin.Delivery{User: "Ann01", ID: deliveryID + "0"}, plainly("hello")); got.Verdict != relay.Delivered || len(r.Vendor.Direct()) != 2 {
		t.Errorf("another delivery with the same text: got %+v, %d messages", got, len(r.Vendor.Direct()))
	}
}

func TestNoConnection(t *testing.T) {
	d, _ := New().OpenDirect(directSettings(`{"corp_id":"ww1","agent_id":"7","secret":"aSecret-0123456789","api_base":"http://127.0.0.1:1/x/"}`))
	got := send(t, d, plugin.Delivery{User: "ann"}, plainly("hi"))
	if got.Verdict != relay.Temporary || got.Request.URL != "http://127.0.0.1:1/x/cgi-bin/gettoken?<secret>" {
		t.Errorf("got %+v", got)
	}
	if problems := d.(plugin.Prober).Probe(t.Context()); len(problems) != 1 || !problems[0].Warning {
		t.Errorf("got %+v", problems)
	}
}

// A look-up whose answer is odd finds nobody, and is tried again.
func TestOddUserID(t *testing.T) {
	for _, id := range []string{"", "@all", "a|b"} {
		v := vendor(t)
		v.Fail(wecomtest.ByEmail, "", 1, plugintest.Answer(200, fmt.Sprintf(`{"errcode":"0","userid":%q}`, id)))
		if m := resolve(t, reach(t, v), plugin.ByEmail, relay.Person{Email: "ann@example.com"})[0]; m.User != "" || m.Verdict != relay.Temporary {
			t.Errorf("%q: got %+v", id, m)
		}
	}
}

func TestProbe(t *testing.T) {
	v := vendor(t)
	for _, c := range []struct {
		d       plugin.Direct
		pointer string
	}{
		{reach(t, v), ""}, {reach(t, v, wecomtest.Secret, "another-secret"), "/secret"}, {reach(t, v, wecomtest.CorpID, "ww00"), "/corp_id"},
	} {
		got := c.d.(plugin.Prober).Probe(t.Context())
		if c.pointer == "" && len(got) > 0 || c.pointer != "" && (len(got) != 1 || got[0].Pointer != c.pointer || got[0].Warning) {
			t.Errorf("got %+v, want %q", got, c.pointer)
		}
	}
	if len(v.Direct()) > 0 {
		t.Error("somebody got something")
	}
}

// What one member gets is counted for each app.
func TestDirectWindows(t *testing.T) {
	v := vendor(t)
	windows := reach(t, v).(plugin.Paced).Windows()
	if len(windows) != 2 || !windows[0].PerUser || !windows[1].PerUser ||
		windows[0].Rate != (relay.Rate{Count: 30, Per: time.Minute}) || windows[1].Rate != (relay.Rate{Count: 1000, Per: time.Hour}) {
		t.Errorf("got %+v", windows)
	}
	if slices.Equal(windows, reach(t, v, fmt.Sprint(wecomtest.AgentID), "1000003").(plugin.Paced).Windows()) {
		t.Error("another app has the same windows")
	}
	d := New().Describe().Direct
	if !slices.Equal(d.MatchBy, []string{"email", "phone"}) {
		t.Errorf("got %+v", d)
	}
}
