package wecom

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/wecom/wecomtest"
)

// documentedForApps is the vendor's table (90236, 90313): what a code means for a message.
func documentedForApps() map[int]relay.Verdict {
	all := map[int]relay.Verdict{}
	for verdict, codes := range map[relay.Verdict][]int{
		relay.Temporary: {-1, 6000, 45009, 45033, 81026},
		relay.DestinationRefused: {
			40001, 40013, 40091, 40056, 41011, 301002, 48001, 48002, 48004, 48006, 60031, 50003, 50006, 301007, 43009, 60020, 45024,
			40014, 42001, 41001, 41002, 41004, 2000002,
		},
		relay.RecipientRefused: {40003, 60111, 46004, 60021, 40031, 43004, 60011, 81013, 50002, 701008, 701099, 60103, 60105, 60146, 60147, 60148},
		relay.MessageRefused: {
			82001, 40032, 82002, 82003, 40008, 40035, 40063, 41016, 41033, 44001, 44004, 40058, 40033, 40039, 45034, 40094, 40127,
			40004, 40005, 40006, 40007, 40009, 40123, 45001, 40206, 45002, 45008, 40201, 40204, 82004,
		},
	} {
		for _, code := range codes {
			all[code] = verdict
		}
	}
	for code := 42027; code <= 42051; code++ {
		all[code] = relay.MessageRefused
	}
	return all
}

func TestDirectVerdicts(t *testing.T) {
	documented := documentedForApps()
	for code := range appCodes() {
		if _, ok := documented[int(code)]; !ok {
			t.Errorf("code %d stands in no document", code)
		}
	}
	for code, want := range documented {
		v := vendor(t)
		d := reach(t, v)
		v.Fail(wecomtest.Send, "", 2, wecomtest.Code(code, "some words"))
		got := send(t, d, plugin.Delivery{User: "Ann01"}, plainly("hi"))
		wait := time.Duration(0)
		if code == 45009 {
			wait = time.Minute
		}
		if got.Verdict != want || got.RetryAfter != wait || got.Probe || !strings.HasPrefix(got.Error, fmt.Sprintf("wecom answered %d: ", code)) || strings.Contains(got.Error, "203.0.113.7") {
			t.Errorf("%d: got %+v, want %s", code, got, want)
		}

		// A look-up never refuses a message or a recipient.
		switch want {
		case relay.RecipientRefused, relay.MessageRefused:
			want = relay.Unmatched
		}
		if code == 60011 {
			want = relay.DestinationRefused
		}
		v.Fail(wecomtest.ByEmail, "", 2, wecomtest.Code(code, "some words"))
		m := resolve(t, d, plugin.ByEmail, relay.Person{Email: "ann@example.com"})[0]
		if m.Verdict != want || m.RetryAfter != 10*wait || m.Probe || m.User != "" || !strings.HasPrefix(m.Error, fmt.Sprintf("wecom answered %d: ", code)) {
			t.Errorf("%d: the look-up got %+v, want %s", code, m, want)
		}

		// And a token is refused for good, or for now.
		if want != relay.DestinationRefused || code == 60011 {
			want = relay.Temporary
		}
		v.Fail(wecomtest.GetToken, "", 1, wecomtest.Code(code, "some words"))
		if m := resolve(t, reach(t, v), plugin.ByEmail, relay.Person{Email: "ann@example.com"})[0]; m.Verdict != want || m.RetryAfter != wait || m.Probe {
			t.Errorf("%d: the token got %+v, want %s", code, m, want)
		}
	}
}

// What has no code is read by its status. For a look-up all that is not about
// the credentials or the address is temporary.
func TestDirectStatus(t *testing.T) {
	const image = `{"msgtype":"image","image":{"media_id":"m"}}` // takes no mark
	for _, c := range []struct {
		status  int
		body    string
		attempt int
		sent    relay.Verdict
		bare    relay.Verdict // of a message that is not checked for duplicates
		looked  relay.Verdict
		probe   bool
	}{
		{200, `{"errcode":0,"invaliduser":"ann01","msgid":"1"}`, 1, relay.RecipientRefused, relay.RecipientRefused, relay.Temporary, false},
		{200, `{"errcode":0,"unlicenseduser":"ann01","msgid":"1"}`, 1, relay.RecipientRefused, relay.RecipientRefused, relay.Temporary, false},
		{200, `{"errcode":"0","msgid":"1"}`, 1, relay.Delivered, relay.Delivered, relay.Temporary, false},
		{200, `{}`, 1, relay.Ambiguous, relay.Ambiguous, relay.Temporary, false},
		{200, `{"errcode":null}`, 1, relay.Ambiguous, relay.Ambiguous, relay.Temporary, false},
		{201, `{"errcode":0}`, 1, relay.Ambiguous, relay.Ambiguous, relay.Temporary, false},
		{302, ``, 1, relay.DestinationRefused, relay.DestinationRefused, relay.DestinationRefused, true},
		{400, ``, 1, relay.MessageRefused, relay.MessageRefused, relay.Temporary, false},
		{403, ``, 1, relay.DestinationRefused, relay.DestinationRefused, relay.DestinationRefused, true},
		{404, ``, 1, relay.DestinationRefused, relay.DestinationRefused, relay.DestinationRefused, true},
		{429, ``, 1, relay.Temporary, relay.Temporary, relay.Temporary, false},
		{500, ``, 1, relay.Temporary, relay.Ambiguous, relay.Temporary, false},
		{500, `{"errcode":0}`, 1, relay.Temporary, relay.Ambiguous, relay.Temporary, false},
		{503, ``, 1, relay.Temporary, relay.Ambiguous, relay.Temporary, false},
		{200, `{"errcode":999999}`, 1, relay.Temporary, relay.Temporary, relay.Temporary, false},
		{200, `{"errcode":999999}`, 3, relay.MessageRefused, relay.MessageRefused, relay.Temporary, false},
	} {
		v := vendor(t)
		d := reach(t, v)
		answer := plugintest.Answer(c.status, c.body, "Location", "https://example.com/elsewhere")
		v.Fail(wecomtest.Send, "", 2, answer)
		v.Fail(wecomtest.ByEmail, "", 1, answer)
		delivery := plugin.Delivery{User: "Ann01", Attempt: c.attempt}
		sent, bare := send(t, d, delivery, plainly("hi")), send(t, d, delivery, relay.Rendered{Native: []byte(image)})
		m := resolve(t, d, plugin.ByEmail, relay.Person{Email: "ann@example.com"})[0]
		if sent.Verdict != c.sent || bare.Verdict != c.bare || m.Verdict != c.looked || sent.Probe != c.probe || m.Probe != c.probe {
			t.Errorf("%d %s: got %s, %s, %s (%s), want %s, %s, %s", c.status, c.body, sent.Verdict, bare.Verdict, m.Verdict, sent.Error, c.sent, c.bare, c.looked)
		}
	}
}
