package feishu

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/feishu/feishutest"
)

const (
	annUser  = "ou_ann"
	annEmail = "ann@example.com"
	annPhone = "+8613800000000"
	delivery = "0199a5b0-0000-7000-8000-000000000001"
)

// newVendor is a Feishu that knows Ann.
func newVendor(t testing.TB) *feishutest.Vendor {
	v := feishutest.New(t)
	v.Know(annUser, relay.Person{Name: "Ann", Email: annEmail, Phone: annPhone})
	return v
}

// reachAnn is a Feishu that knows Ann, and how to reach her.
func reachAnn(t testing.TB) plugintest.Reach {
	v, p := newVendor(t), New()
	return plugintest.Reach{
		Vendor: v, Open: func() plugin.Direct { return openDirect(t, p, v.Entry()) },
		User: annUser, Person: relay.Person{Name: "Ann", Email: annEmail}, MatchBy: plugin.ByEmail,
		Secrets: []string{feishutest.AppSecret, plugintest.TokenPart},
	}
}

func openDirect(t testing.TB, p *Provider, entry string) *direct {
	t.Helper()
	d, problems := p.OpenDirect(plugin.Settings{Destination: "dba", Entry: "feishu", Provider: json.RawMessage(entry), Target: json.RawMessage(`{}`), Masker: &relay.Masker{}})
	if d == nil || len(problems) > 0 {
		t.Fatalf("open: %+v", problems)
	}
	return d.(*direct)
}

func toAnn() *plugin.Delivery {
	return &plugin.Delivery{ID: delivery, Attempt: 1, User: annUser, Context: plugin.Context{Direct: true}}
}

func lookUp(t testing.TB, d plugin.Direct, address string) plugin.Match {
	t.Helper()
	return d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{{Email: address}})[0]
}

var hello = relay.Rendered{Text: "hello"}

func TestDirectMessage(t *testing.T) {
	v := newVendor(t)
	p := New()
	if by := p.Describe().Direct.MatchBy; !slices.Equal(by, []string{"email", "phone"}) {
		t.Errorf("people are looked up by %v", by)
	}
	d := openDirect(t, p, v.Entry())
	m := lookUp(t, d, annEmail)
	if m.User != annUser || m.Keep != keepMatch || m.Request == nil || !slices.Equal(plugintest.StepNames(m.Report), []string{stepToken}) {
		t.Fatalf("got %+v", m)
	}
	got := plugintest.Send(t, d, toAnn(), hello)
	if got.Verdict != relay.Delivered || got.Receipt != "om_1" || len(got.Steps) != 0 {
		t.Errorf("got %s, receipt %q, steps %v: %s", got.Verdict, got.Receipt, plugintest.StepNames(got), got.Error)
	}
	// Another destination of the same app shares its token, and another attempt
	// of the same delivery is the same message.
	again := toAnn()
	again.Attempt = 2
	if got := plugintest.Send(t, openDirect(t, p, v.Entry()), again, hello); got.Verdict != relay.Delivered || got.Receipt != "om_1" {
		t.Errorf("got %s, receipt %q: %s", got.Verdict, got.Receipt, got.Error)
	}
	if tokens, sends, sent := len(v.Calls(stepToken)), len(v.Calls(stepSend)), len(v.Direct()); tokens != 1 || sends != 2 || sent != 1 {
		t.Errorf("%d token calls, %d sends, %d messages", tokens, sends, sent)
	}
	if sent := v.Direct()[0]; sent.User != annUser || !strings.Contains(sent.Body, `"uuid":"`+delivery+`"`) {
		t.Errorf("got %+v", sent)
	}
	// The channel's bot is there as ever.
	if got := plugintest.Send(t, open(t, settings{URL: v.URL + hookPath + feishutest.HookToken}, ""), toAnn(), hello); got.Verdict != relay.Delivered || len(v.Channel()) != 1 {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}

func TestDirectGolden(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	all := messages()
	all["content"] = relay.Rendered{Native: json.RawMessage(`{"msg_type":"text","content":"{\"text\":\"hi <at user_id=\\\"ou_ann\\\">Ann</at>\"}"}`)}
	for name, r := range all {
		t.Run(name, func(t *testing.T) {
			to := toAnn()
			to.ID += name // each is a message of its own
			req, err := d.Compose(to, r)
			if err != nil {
				t.Fatal(err)
			}
			plugintest.Golden(t, "direct/"+name, req.Body, *update)
			if got := d.Send(t.Context(), to, req); got.Verdict != relay.Delivered {
				t.Errorf("got %s: %s", got.Verdict, got.Error)
			}
			if name == "content" { // which groups do not take
				return
			}
			var group struct{ Card json.RawMessage }
			var person oneToOne
			if json.Unmarshal(compose(t, open(t, settings{URL: hook}, ""), r), &group) != nil || json.Unmarshal(req.Body, &person) != nil {
				t.Fatal("no JSON")
			}
			if len(group.Card) > 0 && string(group.Card) != person.Content {
				t.Errorf("a group gets another card: %s", group.Card)
			}
		})
	}
}

// Whatever a message holds, the person gets it, and its request has no more
// bytes than in a group.
func TestDirectSizes(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	for i, unit := range []string{"a", "字", "😀", "\"", "\\", "<", "**b** ", "[l](https://example.com/x) "} {
		s := strings.Repeat(unit, 2*maxBody/len(unit))
		m := relay.Message{Title: s, Text: s, Footer: s, Image: &relay.Image{URL: "https://example.com", Alt: s}}
		for i := range 12 {
			m.Fields = append(m.Fields, relay.Field{Name: s, Value: s, Short: i%2 == 0})
			m.Actions = append(m.Actions, relay.Action{Text: s, URL: fmt.Sprint("https://example.com/", i)})
		}
		for j, r := range []relay.Rendered{portable(m), portable(relay.Message{Title: "t", Text: s}), {Text: s}} {
			to := toAnn()
			to.ID = fmt.Sprint(i, "-", j)
			req, err := d.Compose(to, r)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(req.Body); n > maxBody || j > 0 && n < maxBody-100 || !strings.Contains(string(req.Body), "…") {
				t.Errorf("%q, %d: %d bytes", unit, j, n)
			}
			if got := d.Send(t.Context(), to, req); got.Verdict != relay.Delivered {
				t.Errorf("%q, %d: got %s: %s", unit, j, got.Verdict, got.Error)
			}
		}
	}
}

func TestDirectNativeIsChecked(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	frame := func(kind, content string) int {
		body, _ := json.Marshal(oneToOne{Receiver: annUser, MsgType: kind, Content: content, UUID: delivery})
		return len(body)
	}
	fill := func(kind, key string, n int) string {
		return `{"msg_type":"` + kind + `","content":{"` + key + `":"` + strings.Repeat("x", n-frame(kind, `{"`+key+`":""}`)) + `"}}`
	}
	for name, c := range map[string]struct{ body, want string }{
		"no object":       {`[]`, "a JSON object"},
		"nothing":         {`{"foo":1}`, "no msg_type"},
		"type no string":  {`{"msg_type":1}`, "not a string"},
		"unknown type":    {`{"msg_type":"markdown","content":{"x":1}}`, `msg_type "markdown" is not one`},
		"receiver":        {`{"msg_type":"text","content":{"text":"x"},"receive_id":"ou_b"}`, "receive_id is relay's"},
		"signed":          {`{"msg_type":"text","content":{"text":"x"},"sign":"b"}`, "sign is relay's"},
		"another key":     {`{"msg_type":"text","content":{"text":"x"},"root":"b"}`, `"root" is no key of a direct message`},
		"text":            {`{"msg_type":"text","content":{"text":"x"}}`, ""},
		"text without":    {`{"msg_type":"text","content":{"content":"x"}}`, "content with text"},
		"no content":      {`{"msg_type":"file"}`, "needs content"},
		"post of a group": {`{"msg_type":"post","content":{"post":{"zh_cn":{"title":"T","content":[]}}}}`, ""},
		"post":            {`{"msg_type":"post","content":{"zh_cn":{"title":"T","content":[[{"tag":"md","text":"x"}]]}}}`, ""},
		"card":            {`{"msg_type":"interactive","card":{"elements":[]}}`, ""},
		"card in content": {`{"msg_type":"interactive","content":"{\"elements\":[]}"}`, ""},
		"card alone":      {`{"type":"template","data":{"template_id":"x"}}`, ""},
		"bad card":        {`{"msg_type":"interactive","content":{"schema":"2.0","body":{"elements":[{"tag":"note"}]}}}`, "card.body.elements[0] is a note"},
		"bad card alone":  {`{"schema":"2.0","body":{"elements":[{"tag":"note"}]}}`, "card.body.elements[0] is a note"},
		"full text":       {fill("text", "text", 150_000), ""},
		"too long a text": {fill("text", "text", 150_001), "the message has 150001 bytes; feishu allows 150000"},
		"full":            {fill("post", "zh_cn", 30_000), ""},
		"too large":       {fill("post", "zh_cn", 30_001), "the message has 30001 bytes; feishu allows 30000"},
	} {
		to := toAnn()
		req, err := d.Compose(to, relay.Rendered{Native: json.RawMessage(c.body)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
			continue
		}
		if err == nil {
			if got := d.Send(t.Context(), to, req); got.Verdict != relay.Delivered {
				t.Errorf("%s: got %s: %s", name, got.Verdict, got.Error)
			}
		}
	}
	for _, r := range []relay.Rendered{portable(relay.Message{}), {Text: "\x01"}} {
		if _, err := d.Compose(toAnn(), r); err == nil {
			t.Errorf("%+v is not refused", r)
		}
	}
}

// The form of an id says which one it is; what is none is refused without a call.
func TestReceivers(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	for i, id := range []string{"ou_1", "on_1", "gfa21d92"} {
		v.Know(id, relay.Person{})
		to := toAnn()
		to.ID, to.User = fmt.Sprint(i), id
		if got := plugintest.Send(t, d, to, hello); got.Verdict != relay.Delivered {
			t.Errorf("%s: got %s: %s", id, got.Verdict, got.Error)
		}
	}
	calls := len(v.Calls(""))
	for _, id := range []string{"", "oc_1", "cli_1", "all", annEmail, "ou_ a", "on_字", annPhone, "ou_" + strings.Repeat("a", 64)} {
		to := toAnn()
		to.User = id
		if got := plugintest.Send(t, d, to, hello); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "open_id of this app (ou_…)") {
			t.Errorf("%q: got %s: %s", id, got.Verdict, got.Error)
		}
	}
	if n := len(v.Calls("")); n != calls {
		t.Errorf("%d calls", n-calls)
	}
	to := toAnn()
	to.User = "ou_stranger"
	if got := plugintest.Send(t, d, to, hello); got.Verdict != relay.RecipientRefused {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
}

// An id that the vendor does not know refuses the whole card; it is sent again
// with names, also where a template wrote it.
func TestDirectUnknownPerson(t *testing.T) {
	gone := relay.Person{Name: `Gone "G"`, Email: "gone@example.com", IDs: map[string]string{"feishu": "ou_gone"}}
	event, _ := json.Marshal(relay.Event{Actor: &gone})
	for name, r := range map[string]relay.Rendered{
		"portable": portable(relay.Message{Text: token0 + " " + token1, Mentions: []relay.Person{gone, ann}}),
		"native":   {Native: json.RawMessage(`{"schema":"2.0","body":{"elements":[{"tag":"markdown","content":"<at email=gone@example.com></at> <at id=ou_other></at>"}]}}`)},
	} {
		v := newVendor(t)
		to := toAnn()
		to.Event = event
		got := plugintest.Send(t, openDirect(t, New(), v.Entry()), to, r)
		if got.Verdict != relay.Delivered || !slices.Equal(plugintest.StepNames(got), []string{stepToken, stepSend}) {
			t.Fatalf("%s: got %s, steps %v: %s", name, got.Verdict, plugintest.StepNames(got), got.Error)
		}
		if body := v.Direct()[0].Body; strings.Contains(body, "<at") || !strings.Contains(body, `Gone \\\"G\\\"`) || !strings.Contains(body, delivery) {
			t.Errorf("%s: got %s", name, body)
		}
	}
}

func TestLookUp(t *testing.T) {
	v := newVendor(t)
	v.Know("ou_us", relay.Person{Phone: "+14155550100", Email: "US@Example.com"})
	d := openDirect(t, New(), v.Entry())
	for _, c := range []struct{ by, key, want, why string }{
		{plugin.ByEmail, annEmail, annUser, ""}, {plugin.ByEmail, " Ann@Example.COM ", annUser, ""}, {plugin.ByEmail, "us@example.com", "ou_us", ""},
		{plugin.ByEmail, "bob@example.com", "", "nobody with this email"},
		{plugin.ByEmail, "bob", "", "not an email"}, {plugin.ByEmail, "a@b@c", "", "not an email"}, {plugin.ByEmail, "a b@c", "", "not an email"},
		{plugin.ByEmail, "@c", "", "not an email"}, {plugin.ByEmail, "a@", "", "not an email"}, {plugin.ByEmail, "a@b\x00", "", "not an email"},
		{plugin.ByPhone, annPhone, annUser, ""}, {plugin.ByPhone, "+86 138-0000-0000", annUser, ""}, {plugin.ByPhone, "13800000000", annUser, ""},
		{plugin.ByPhone, "+1 415 555 0100", "ou_us", ""}, {plugin.ByPhone, "+8613900000000", "", "nobody with this phone"},
		{plugin.ByPhone, "14155550100", "", "nobody with this phone"}, {plugin.ByPhone, "4155550100", "", "another country's code"},
		{plugin.ByPhone, "+861012345678", "", "another country's code"}, {plugin.ByPhone, "hello", "", "E.164"}, {plugin.ByPhone, "+12", "", "E.164"},
		{plugin.ByPhone, "+1234567890123456", "", "E.164"}, {plugin.ByPhone, "0013800000000", "", "E.164"},
	} {
		before := len(v.Calls(stepLookUp))
		m := d.Resolve(t.Context(), c.by, []relay.Person{{Email: c.key, Phone: c.key}})[0]
		switch asked := len(v.Calls(stepLookUp)) > before; {
		case m.User != c.want, !strings.Contains(m.Error, c.why), c.want == "" && (m.Verdict != relay.Unmatched || m.Keep != keepMiss):
			t.Errorf("%s %q: got %+v", c.by, c.key, m)
		case asked != (c.want != "" || strings.HasPrefix(c.why, "nobody")):
			t.Errorf("%s %q: asked %v", c.by, c.key, asked)
		}
	}
}

// Up to fifty people share a call, and nobody is asked for twice.
func TestLookUpsAreBatched(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	var people []relay.Person
	for i := range 120 {
		p := relay.Person{Email: fmt.Sprintf("p%d@example.com", i)}
		if i%2 == 0 {
			v.Know(fmt.Sprintf("ou_%d", i), p)
		}
		people = append(people, p, p)
	}
	for i, m := range d.Resolve(t.Context(), plugin.ByEmail, people) {
		if n := i / 2; n%2 == 0 && m.User != fmt.Sprintf("ou_%d", n) || n%2 == 1 && m.Verdict != relay.Unmatched {
			t.Errorf("%d: got %+v", n, m)
		}
	}
	if n := len(v.Calls(stepLookUp)); n != 3 {
		t.Errorf("%d calls", n)
	}
}

func TestDirectWindows(t *testing.T) {
	windows := openDirect(t, New(), `{"app_id":"cli_a","app_secret":"s"}`).Windows()
	want := map[relay.Rate]bool{{Count: 1000, Per: time.Minute}: false, {Count: 50, Per: time.Second}: false, {Count: 5, Per: time.Second}: true}
	if len(windows) != len(want) {
		t.Errorf("got %+v", windows)
	}
	for _, w := range windows {
		if perUser, ok := want[w.Rate]; !ok || perUser != w.PerUser {
			t.Errorf("got %+v", w)
		}
	}
	account := func(entry string) string { return openDirect(t, New(), entry).Account() }
	one := account(`{"app_id":"cli_a","app_secret":"s"}`)
	if one != account(`{"app_id":"cli_a","app_secret":"s","domain":"feishu"}`) {
		t.Error("the same app is another account")
	}
	for _, other := range []string{`{"app_id":"cli_b","app_secret":"s"}`, `{"app_id":"cli_a","app_secret":"t"}`, `{"app_id":"cli_a","app_secret":"s","domain":"lark"}`} {
		if one == account(other) {
			t.Errorf("%s is the same account", other)
		}
	}
}
