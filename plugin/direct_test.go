package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// reaching is an echo that reaches people, if it has a token.
type reaching struct{}

func (reaching) Describe() Description {
	d := echo{}.Describe()
	d.ProviderSchema = json.RawMessage(`{"type":"object","properties":{"token":{"type":"string","writeOnly":true}}}`)
	d.Direct = DirectLimits{MatchBy: []string{ByEmail}, Timeout: 30 * time.Second, Concurrency: 4}
	return d
}

func (reaching) Open(s Settings) (Destination, []Problem) {
	if !strings.Contains(string(s.Target), "url") {
		return nil, []Problem{{Message: "no url", NoChannel: true}}
	}
	return echo{}.Open(s)
}

func (reaching) OpenDirect(s Settings) (Direct, []Problem) {
	var p struct{ Token string }
	if json.Unmarshal(s.Provider, &p) != nil || p.Token == "" {
		return nil, []Problem{{Provider: true, Pointer: "/token", Message: "no token", Warning: true}}
	}
	return person{p.Token}, nil
}

type person struct{ token string }

func (p person) Account() string { return p.token }
func (p person) Compose(d *Delivery, r relay.Rendered) (*Request, error) {
	return &Request{URL: "http://people/" + d.User, Body: []byte(r.Text)}, nil
}

func (p person) Send(_ context.Context, d *Delivery, r *Request) relay.Report {
	return relay.Report{Verdict: relay.Delivered, Receipt: fmt.Sprint(d.User, " ", d.Direct, " ", d.Recipient.Name),
		Steps: []relay.Step{{Name: "open", DurationMS: 7, Request: &relay.Request{Method: "GET"}, Response: &relay.Response{Status: 200, Body: "ok"}, Error: "none"}}}
}

func (p person) Resolve(_ context.Context, by string, people []relay.Person) []Match {
	var out []Match
	for _, one := range people {
		switch one.Email {
		case "panic":
			panic("on purpose")
		case "short":
			return nil
		case "nobody":
			out = append(out, Unmatched(time.Minute, "asked with "+p.token))
		default:
			out = append(out, Matched("U-"+by+"-"+one.Email, time.Hour))
		}
	}
	return out
}

func reachingServer(t *testing.T) *server {
	t.Helper()
	s := newServer(reaching{}, Logger(io.Discard))
	configured, err := s.Configure(t.Context(), &pluginpb.ConfigureRequest{Settings: []*pluginpb.Settings{
		{Revision: "both", Provider: []byte(`{"token":"very-secret-token"}`), Target: []byte(`{"url":"http://very-secret-url"}`)},
		{Revision: "channel", Provider: []byte("{}"), Target: []byte(`{"url":"http://x"}`)},
		{Revision: "people", Provider: []byte(`{"token":"very-secret-token"}`), Target: []byte(`{}`)},
		{Revision: "nothing", Provider: []byte("{}"), Target: []byte(`{}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, p := range configured.Problems {
		said[p.Revision] += fmt.Sprintf("%s %v %v;", p.Message, p.Warning, p.NoChannel)
	}
	want := map[string]string{"channel": "no token true false;", "people": "no url false true;", "nothing": "no url false true;no token true false;"}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("problems %v, want %v", said, want)
	}
	if _, err := s.PutTemplates(t.Context(), &pluginpb.PutTemplatesRequest{Templates: []*pluginpb.Template{
		{Revision: "t1", Name: "one.ts", Code: []byte(`$relay("default", function (e, c) { return c.direct + " " + c.recipient.name })`)},
	}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServerDeliversToPeople(t *testing.T) {
	s := reachingServer(t)
	for _, c := range []struct {
		settings string
		verdict  relay.Verdict
		words    string // of the receipt or the error
	}{
		{"both", relay.Delivered, "U1 true Ann"},
		{"people", relay.Delivered, "U1 true Ann"},
		{"channel", relay.Temporary, "these settings have no credentials for direct messages"},
		{"nothing", relay.Temporary, "the plugin does not have these settings"},
	} {
		d := delivery(1, "hello", "t1")
		d.Settings, d.User = c.settings, "U1"
		d.Context.Direct, d.Context.Recipient = true, []byte(`{"name":"Ann"}`)
		got := DecodeReport(deliver(t, s, d)[1])
		if got.Verdict != c.verdict || !strings.Contains(got.Receipt+got.Error, c.words) {
			t.Errorf("%s: got %+v", c.settings, got)
		}
		if c.verdict == relay.Delivered && (len(got.Steps) != 1 || got.Steps[0].Name != "open" || got.Steps[0].Response.Body != "ok" || got.Steps[0].DurationMS != 7 || got.Steps[0].Error != "none" || string(got.Message) != `"true Ann"`) {
			t.Errorf("%s: steps %+v, message %s", c.settings, got.Steps, got.Message)
		}
	}
	d := delivery(1, "hello", "t1")
	d.Settings = "people"
	d.Context.Recipient = []byte(`{"name":"Ann"}`)
	if got := DecodeReport(deliver(t, s, d)[1]); got.Verdict != relay.Temporary || got.Error != "these settings name no channel" {
		t.Errorf("to a channel that there is not: %+v", got)
	}
}

func TestServerResolves(t *testing.T) {
	s := reachingServer(t)
	resolve := func(settings string, emails ...string) []Match {
		t.Helper()
		req := &pluginpb.ResolveRequest{Settings: settings, By: ByEmail, TimeoutMs: 1000}
		for _, e := range emails {
			req.People = append(req.People, []byte(`{"email":"`+e+`"}`))
		}
		resp, err := s.Resolve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		var out []Match
		for _, m := range resp.Matches {
			out = append(out, DecodeMatch(m))
		}
		return out
	}
	got := resolve("both", "ann", "nobody")
	if got[0].User != "U-email-ann" || got[0].Keep != time.Hour || got[0].Verdict != "" ||
		got[1].User != "" || got[1].Verdict != relay.Unmatched || got[1].Keep != time.Minute || got[1].Error != "asked with <secret>" {
		t.Errorf("got %+v", got)
	}
	for settings, words := range map[string]string{"both": "panicked", "channel": "no credentials", "unknown": "does not have these settings"} {
		got := resolve(settings, "ann", "panic")
		if len(got) != 2 || got[0].Verdict != relay.Temporary || got[1].Verdict != relay.Temporary || !strings.Contains(got[1].Error, words) {
			t.Errorf("%s: got %+v", settings, got)
		}
	}
	if got := resolve("both", "ann", "short"); len(got) != 2 || got[0].Verdict != relay.Temporary || got[0].Error != "the provider answered for 0 of 2 people" {
		t.Errorf("a provider that loses count: %+v", got)
	}
	if _, err := s.Resolve(t.Context(), &pluginpb.ResolveRequest{People: [][]byte{[]byte("no json")}}); err == nil {
		t.Error("no person, and no error")
	}
	described, err := s.Describe(t.Context(), nil)
	if err != nil || described.Direct.TimeoutMs != 30_000 || described.Direct.Concurrency != 4 || described.Direct.MatchBy[0] != "email" {
		t.Errorf("describes itself as %v, %v", described, err)
	}
}

// A stranger's answer about a person is never more than one of those allowed.
func TestMatchOfAStranger(t *testing.T) {
	for verdict, want := range map[pluginpb.Verdict]relay.Verdict{
		pluginpb.Verdict_UNMATCHED: relay.Unmatched, pluginpb.Verdict_TEMPORARY: relay.Temporary, pluginpb.Verdict_DESTINATION_REFUSED: relay.DestinationRefused,
		pluginpb.Verdict_DELIVERED: relay.Temporary, pluginpb.Verdict_AMBIGUOUS: relay.Temporary, 99: relay.Temporary,
	} {
		if got := DecodeMatch(&pluginpb.Match{Report: &pluginpb.Report{Verdict: verdict}}); got.Verdict != want {
			t.Errorf("%v: got %s, want %s", verdict, got.Verdict, want)
		}
	}
	if got := DecodeMatch(&pluginpb.Match{User: "U1", KeepMs: -1, Report: &pluginpb.Report{Verdict: 3, Error: "x"}}); got.Verdict != "" || got.Keep != 0 || got.Error != "" {
		t.Errorf("a match with a verdict: %+v", got)
	}
}

func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Memory[string]
		if _, ok := m.Get("a"); ok {
			t.Error("remembers what it was never told")
		}
		m.Put("a", "1", time.Minute)
		m.Put("b", "2", time.Hour)
		time.Sleep(2 * time.Minute)
		if _, ok := m.Get("a"); ok {
			t.Error("remembers for too long")
		}
		if v, ok := m.Get("b"); !ok || v != "2" {
			t.Errorf("b is %q, %v", v, ok)
		}
		m.Drop("b")
		if _, ok := m.Get("b"); ok {
			t.Error("remembers what was dropped")
		}
	})
	var s Shared[int]
	fresh := func() *int { return new(int) }
	x, again, y := s.Get("x", fresh), s.Get("x", fresh), s.Get("y", fresh)
	if x != again || x == y {
		t.Error("an account is one thing, two are two")
	}
}
