package teams

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

func openFlow(t *testing.T, v *teamstest.Vendor) plugin.Direct {
	t.Helper()
	target, _ := json.Marshal(settings{DirectMessageURL: v.FlowURL("direct")})
	return openDirect(t, New(), yamlJSON(t, v.Entry()), target) // the bot's credentials lose
}

func TestDirectFlow(t *testing.T) {
	v := teamstest.New(t)
	d := openFlow(t, v)
	for i, m := range resolve(t, d, " ann@contoso.com ", "nobody", "") {
		if want := []string{"ann@contoso.com", "", ""}[i]; m.User != want || m.Keep == 0 || want == "" && (m.Verdict != relay.Unmatched || !strings.Contains(m.Error, "not an email")) {
			t.Errorf("%d: got %+v", i, m)
		}
	}
	if len(v.Calls("")) != 0 {
		t.Error("an email needs no call")
	}
	r := deliver(t, d, "ann@contoso.com")
	if r.Verdict != relay.Delivered || r.Receipt == "" || !strings.HasSuffix(r.Request.URL, "/<secret>") {
		t.Errorf("got %+v", r)
	}
	// An Entra object id is good for mentions and bots; here the email counts.
	if r := deliver(t, d, annID); r.Verdict != relay.Delivered {
		t.Errorf("got %+v", r)
	}
	nobody := &plugin.Delivery{User: annID, Context: plugin.Context{Direct: true, Recipient: &relay.Person{Name: "Ann"}}}
	req, err := d.Compose(nobody, relay.Rendered{Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if r := d.Send(t.Context(), nobody, req); r.Verdict != relay.Unmatched || !strings.Contains(r.Error, "ids.teams") || r.Request != nil {
		t.Errorf("got %+v", r)
	}
	sent := v.Direct()
	if len(sent) != 2 || sent[0].User != "ann@contoso.com" || sent[1].User != "ann@contoso.com" || len(v.Calls("")) != 2 {
		t.Errorf("got %+v", sent)
	}
	if d.Account() != "flow "+v.FlowURL("direct") {
		t.Errorf("got %s", d.Account())
	}
	channel := open(t, v.FlowURL("direct")).(plugin.Paced).Windows()
	if got := d.(plugin.Paced).Windows(); len(got) != 1 || got[0] != channel[0] {
		t.Errorf("a flow is counted twice: %v, %v", got, channel)
	}
	v.Throttle(teamstest.DirectFlow, 1)
	if r := deliver(t, d, "ann@contoso.com"); r.Verdict != relay.Temporary || r.RetryAfter == 0 {
		t.Errorf("got %+v", r)
	}
	v.Fail(teamstest.DirectFlow, "", 1, plugintest.Answer(404, coded("WorkflowNotFound")))
	if r := deliver(t, d, "ann@contoso.com"); r.Verdict != relay.DestinationRefused || r.Probe {
		t.Errorf("got %+v", r)
	}
	plugintest.Masked(t, deliver(t, d, "ann@contoso.com"), teamstest.Signature)
}

// directMessages are composed for both ways to a person.
func directMessages() map[string]relay.Rendered {
	all := messages()
	return map[string]relay.Rendered{
		"portable": all["approval"], "text": {Text: "plain <b>\nand more"}, "card": all["card"],
		"message":  {Native: json.RawMessage(`{"type":"message","recipient":"eve@contoso.com","n":12345678901234567890,"attachments":[{"contentType":"` + cardType + `","content":{"type":"AdaptiveCard","text":"<b>"}}]}`)},
		"untitled": portableOf(relay.Message{Text: "**bold** " + token0 + "\n\nsecond", Mentions: []relay.Person{ann}}),
	}
}

func TestGoldenDirect(t *testing.T) {
	v := teamstest.New(t)
	bot, flow := openBot(t, v), openFlow(t, v)
	for name, r := range directMessages() {
		for kind, d := range map[string]plugin.Direct{"bot": bot, "flow": flow} {
			if kind == "bot" && name == "message" {
				continue // a bot's activity has another recipient
			}
			user := map[string]string{"bot": annID, "flow": "ann@contoso.com"}[kind]
			first, err := d.Compose(delivery(user, 1), r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again, err := d.Compose(delivery(user, 2), r)
			if err != nil || string(first.Body) != string(again.Body) {
				t.Errorf("%s for %s: the second attempt is another message", name, kind)
			}
			if r.Native == nil {
				refuse(t, first.Body)
			}
			plugintest.Golden(t, "direct/"+kind+"_"+name, first.Body, *update)
		}
	}
	if req, _ := bot.Compose(delivery(annID, 1), relay.Rendered{Text: "x"}); req.URL != v.URL+"/teams/v3/conversations/%7Bchat%7D/activities" || req.Method != "POST" || req.Header.Get("Authorization") != "" {
		t.Errorf("got %+v", req)
	}
}

// TestDirectSizes: what is cut for a channel is small enough here, too.
func TestDirectSizes(t *testing.T) {
	v := vendor(t)
	bot, flow := openBot(t, v), openFlow(t, v)
	long := strings.Repeat(`"字 `, 20000)
	for name, r := range map[string]relay.Rendered{
		"text": {Text: long}, "portable": portableOf(relay.Message{Title: long, Text: long, Footer: long, Fields: []relay.Field{{Name: long, Value: long}}}),
	} {
		for user, d := range map[string]plugin.Direct{annID: bot, "ann@contoso.com": flow} {
			req, err := d.Compose(delivery(user, 1), r)
			if err != nil || len(req.Body) > maxNative {
				t.Fatalf("%s: %v, %d bytes", name, err, len(req.Body))
			}
			if got := d.Send(t.Context(), delivery(user, 1), req); got.Verdict != relay.Delivered {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	}
	native := func(length int) relay.Rendered {
		return relay.Rendered{Native: json.RawMessage(`{"type":"AdaptiveCard","body":[{"type":"TextBlock","text":"` + strings.Repeat("x", length) + `"}]}`)}
	}
	for _, d := range []plugin.Direct{bot, flow} {
		if _, err := d.Compose(delivery("ann@contoso.com", 1), native(28000)); err != nil {
			t.Error(err)
		}
		if _, err := d.Compose(delivery("ann@contoso.com", 1), native(28<<10)); err == nil || !strings.Contains(err.Error(), "teams allows 28672 (28 KB)") {
			t.Errorf("got %v", err)
		}
	}
}

func TestNativeActivity(t *testing.T) {
	d := openBot(t, teamstest.New(t))
	for body, want := range map[string]string{
		`{"type":"message","text":"hi <b>","textFormat":"plain"}`:                                               "",
		`{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.hero","content":{}}]}`: "",
		`{"type":"message"}`:                 "neither a text nor attachments",
		`{"type":"typing"}`:                  `type is "typing"`,
		`{"text":"x"}`:                       `type is ""`,
		`{"@type":"MessageCard","text":"x"}`: "Adaptive Cards only",
		`[]`:                                 "a JSON object",
	} {
		req, err := d.Compose(delivery(annID, 1), relay.Rendered{Native: json.RawMessage(body)})
		if want == "" && (err != nil || string(req.Body) != body) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v", body, err)
		}
	}
	for _, r := range []relay.Rendered{portableOf(relay.Message{}), {Text: " "}} {
		if _, err := d.Compose(delivery(annID, 1), r); err == nil {
			t.Errorf("an empty message was composed: %+v", r)
		}
	}
}
