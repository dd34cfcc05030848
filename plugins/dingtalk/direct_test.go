package dingtalk

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
)

const (
	annUser  = "manager7"
	annPhone = "+8613800000000"
	delivery = "0193a5b0-0000-7000-8000-000000000001"
)

// newVendor is a DingTalk that knows Ann.
func newVendor(t testing.TB) *dingtalktest.Vendor {
	v := dingtalktest.New(t)
	v.Know(annUser, relay.Person{Name: "Ann", Phone: annPhone})
	return v
}

// reachAnn is a DingTalk that knows Ann, and how to reach her.
func reachAnn(t testing.TB) plugintest.Reach {
	v, p := newVendor(t), New()
	return plugintest.Reach{
		Vendor: v, Open: func() plugin.Direct { return openDirect(t, p, v.Entry()) },
		User: annUser, Person: relay.Person{Name: "Ann", Phone: annPhone}, MatchBy: plugin.ByPhone,
		Secrets: []string{dingtalktest.ClientSecret, plugintest.TokenPart},
	}
}

func openDirect(t testing.TB, p *Provider, entry string) plugin.Direct {
	t.Helper()
	d, problems := p.OpenDirect(plugin.Settings{Destination: "dba", Entry: "dingtalk", Provider: json.RawMessage(entry), Target: json.RawMessage(`{}`), Masker: &relay.Masker{}})
	if d == nil || len(problems) > 0 {
		t.Fatalf("open: %+v", problems)
	}
	return d
}

func toAnn() *plugin.Delivery {
	return &plugin.Delivery{ID: delivery, Attempt: 1, User: annUser, Context: plugin.Context{Direct: true}}
}

func lookUp(t testing.TB, d plugin.Direct, phone string) plugin.Match {
	t.Helper()
	return d.Resolve(t.Context(), plugin.ByPhone, []relay.Person{{Phone: phone}})[0]
}

var hello = relay.Rendered{Text: "hello"}

func TestDirectMessage(t *testing.T) {
	v := newVendor(t)
	p := New()
	if by := p.Describe().Direct.MatchBy; !slices.Equal(by, []string{"phone"}) {
		t.Errorf("people are looked up by %v", by)
	}
	d := openDirect(t, p, v.Entry())
	m := lookUp(t, d, annPhone)
	if m.User != annUser || m.Keep != keepMatch || m.Request == nil || !slices.Equal(plugintest.StepNames(m.Report), []string{stepToken}) {
		t.Fatalf("got %+v", m)
	}
	got := plugintest.Send(t, d, toAnn(), hello)
	if got.Verdict != relay.Delivered || got.Receipt != "query-key-1" || len(got.Steps) != 0 {
		t.Errorf("got %s, receipt %q, steps %v: %s", got.Verdict, got.Receipt, plugintest.StepNames(got), got.Error)
	}
	// Another destination of the same app shares its token.
	if got := plugintest.Send(t, openDirect(t, p, v.Entry()), toAnn(), hello); got.Verdict != relay.Delivered {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
	if n := len(v.Calls(stepToken)); n != 1 {
		t.Errorf("%d token calls", n)
	}
	sent := v.Direct()
	if len(sent) != 2 || sent[0].User != annUser || sent[0].Body != sent[1].Body {
		t.Errorf("got %+v", sent)
	}
	// The channel's robot is there as ever.
	c := open(t, settings{URL: v.URL + "/robot/send?access_token=" + dingtalktest.RobotToken})
	req, err := c.Compose(toAnn(), hello)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := c.Send(t.Context(), toAnn(), req); got.Verdict != relay.Delivered {
			t.Errorf("got %s: %s", got.Verdict, got.Error)
		}
	}
	if n := len(v.Channel()); n != 1 {
		t.Errorf("%d messages in the channel; one msgUuid shows once", n)
	}
}

func TestDirectGolden(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	all := messages()
	all["native"] = relay.Rendered{Native: json.RawMessage(`{"msgKey":"sampleLink","msgParam":{"title":"t","text":"x","messageUrl":"https://example.com/?a=1&b=<2>"}}`)}
	all["native-string"] = relay.Rendered{Native: json.RawMessage(`{"msgKey":"sampleText","msgParam":"{\"content\":\"x\"}"}`)}
	for name, r := range all {
		t.Run(name, func(t *testing.T) {
			to := toAnn()
			req, err := d.Compose(to, r)
			if err != nil {
				t.Fatal(err)
			}
			plugintest.Golden(t, "direct/"+name, req.Body, *update)
			if got := d.Send(t.Context(), to, req); got.Verdict != relay.Delivered {
				t.Errorf("got %s: %s", got.Verdict, got.Error)
			}
			if name == "approval" && (strings.Contains(string(req.Body), "@ann_01") || !strings.Contains(string(req.Body), "Ann ")) {
				t.Errorf("somebody is called: %s", req.Body)
			}
		})
	}
}

// Whatever a message holds, the person gets it.
func TestDirectSizes(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	for _, unit := range []string{"a", "字", "😀", "\"", "\\", "a\n", "**b** ", "[l](https://example.com/x) "} {
		for _, buttons := range []int{0, 1, 2, 3, 7} {
			s := strings.Repeat(unit, 2*maxParam/len(unit))
			m := relay.Message{Title: s, Text: s, Footer: s, Fields: []relay.Field{{Name: s, Value: s}}}
			for i := range buttons {
				m.Actions = append(m.Actions, relay.Action{Text: s, URL: fmt.Sprint("https://example.com/", i)})
			}
			for _, r := range []relay.Rendered{{Portable: &m}, {Text: s}} {
				if got := plugintest.Send(t, d, toAnn(), r); got.Verdict != relay.Delivered || !strings.Contains(got.Request.Body, "…") {
					t.Errorf("%q, %d buttons: got %s: %s", unit, buttons, got.Verdict, got.Error)
				}
			}
		}
	}
}

func TestDirectNativeIsChecked(t *testing.T) {
	param := func(n int) string {
		return `{"msgKey":"sampleText","msgParam":{"content":"` + strings.Repeat("a", n) + `"}}`
	}
	const frame = len(`{"content":""}`)
	d := openDirect(t, New(), newVendor(t).Entry())
	for body, want := range map[string]string{
		param(maxParam - frame):     "",
		param(maxParam - frame + 1): "msgParam has 15001 bytes; dingtalk allows 15000",
		`[]`:                        "a direct message of dingtalk is",
		`null`:                      "a direct message of dingtalk is",
		`{"msgtype":"text","text":{"content":"x"}}`:                                                              `a msgtype is for groups; a direct message of dingtalk is {"msgKey": "sampleMarkdown", "msgParam": {"title": …`,
		`{"msgParam":{"content":"x"}}`:                                                                           "the message has no msgKey",
		`{"msgKey":"sampleText"}`:                                                                                "msgParam is no object",
		`{"msgKey":"sampleText","msgParam":"hello"}`:                                                             "msgParam is no object",
		`{"msgKey":"sampleText","msgParam":{"text":"x"}}`:                                                        "msgParam.content is missing",
		`{"msgKey":"sampleText","msgParam":{"content":"x"},"userIds":1}`:                                         "userIds is relay's to fill in",
		`{"msgKey":"sampleText","msgParam":{"content":"x"},"at":{}}`:                                             `"at" is no key of a direct message`,
		`{"msgKey":"sampleActionCard3","msgParam":{"title":"t","text":"x","actionTitle1":"a","actionURL1":"u"}}`: "msgParam.actionTitle2 is missing",
		`{"msgKey":"sampleActionCard6","msgParam":{"title":"t","text":"x"}}`:                                     "msgParam.buttonTitle1 is missing",
		`{"msgKey":"sampleVideo","msgParam":{"videoMediaId":"@v"}}`:                                              "",
	} {
		_, err := d.Compose(toAnn(), relay.Rendered{Native: json.RawMessage(body)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.100s: got %v, want %q", body, err, want)
		}
	}
	for _, r := range []relay.Rendered{{Portable: &relay.Message{}}, {Text: "\x01"}} {
		if _, err := d.Compose(toAnn(), r); err == nil {
			t.Errorf("%+v is not refused", r)
		}
	}
}

func TestLookUp(t *testing.T) {
	v := newVendor(t)
	v.Know("us", relay.Person{Phone: "14155550100"}) // a number without its country could be somebody else's
	d := openDirect(t, New(), v.Entry())
	for phone, want := range map[string]string{
		annPhone: annUser, "+86 138-0000-0000": annUser, "13800000000": annUser,
		"+8613900000000": "", "+14155550100": "", "+85212345678": "", "+861012345678": "", "hello": "", "": "",
	} {
		before := len(v.Calls(stepLookUp))
		m := lookUp(t, d, phone)
		asked := len(v.Calls(stepLookUp)) > before
		switch {
		case m.User != want, want == "" && (m.Verdict != relay.Unmatched || m.Keep != keepMiss || m.Error == ""):
			t.Errorf("%q: got %+v", phone, m)
		case asked != (mainland(phone) != ""):
			t.Errorf("%q: asked %v", phone, asked)
		}
	}
	if m := lookUp(t, d, "+14155550100"); !strings.Contains(m.Error, "ids.dingtalk") {
		t.Errorf("got %q", m.Error)
	}
}

// An id that DingTalk cannot have made is refused without a call.
func TestUserIDs(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	for _, user := range []string{"", "a b", "+8613800000000", "@all", strings.Repeat("a", 65)} {
		to := toAnn()
		to.User = user
		if got := plugintest.Send(t, d, to, hello); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "ids.dingtalk") {
			t.Errorf("%q: got %s: %s", user, got.Verdict, got.Error)
		}
	}
	if n := len(v.Calls("")); n != 0 {
		t.Errorf("%d calls", n)
	}
	to := toAnn()
	to.User = "stranger"
	if got := plugintest.Send(t, d, to, hello); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "visible scope") {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}
