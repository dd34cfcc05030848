package discord

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/discord/discordtest"
)

const (
	user      = "80351110224678912"
	tokenPart = "nStandInStandIn"
)

// entry is the settings of a stand-in's `providers` entry.
func entry(v *discordtest.Vendor) credentials {
	return credentials{BotToken: discordtest.Token, APIBase: v.URL + "/api/v10"}
}

// of makes Settings as relay does, the masker included.
func of(c credentials) plugin.Settings {
	provider, _ := json.Marshal(c)
	m := &relay.Masker{}
	m.Add(relay.SecretsIn(json.RawMessage(providerSchema), provider)...)
	return plugin.Settings{Destination: "dba", Entry: "discord", Provider: provider, Target: []byte("{}"), Masker: m}
}

func openDirect(t testing.TB, p *Provider, c credentials) plugin.Direct {
	t.Helper()
	d, problems := p.OpenDirect(of(c))
	if d == nil || len(problems) > 0 {
		t.Fatalf("open: %v", problems)
	}
	return d
}

// standIn is a stand-in that knows Ann, and what reaches its people.
func standIn(t testing.TB) (*discordtest.Vendor, plugin.Direct) {
	t.Helper()
	v := discordtest.New(t)
	v.Know(user, ann)
	return v, openDirect(t, New(), entry(v))
}

// reachAnn is a stand-in that knows Ann, and how to reach her.
func reachAnn(t testing.TB) plugintest.Reach {
	v, p := discordtest.New(t), New()
	v.Know(user, ann)
	return plugintest.Reach{
		Vendor: v, Open: func() plugin.Direct { return openDirect(t, p, entry(v)) },
		User: user, Person: ann, Secrets: []string{tokenPart},
	}
}

func to(id, delivery string) *plugin.Delivery {
	return &plugin.Delivery{ID: delivery, Attempt: 1, User: id, Context: plugin.Context{Direct: true, Recipient: &ann}}
}

// tell sends a direct message of its own.
func tell(t testing.TB, d plugin.Direct, delivery string, r relay.Rendered) relay.Report {
	t.Helper()
	return tellUser(t, d, user, delivery, r)
}

func tellUser(t testing.TB, d plugin.Direct, id, delivery string, r relay.Rendered) relay.Report {
	t.Helper()
	report := plugintest.Send(t, d, to(id, delivery), r)
	plugintest.NoSecrets(t, report, tokenPart)
	return report
}

func TestDirectMessages(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) {
			v, d := standIn(t)
			got := tell(t, d, "0199", r)
			if got.Verdict != relay.Delivered || got.Receipt != "1300000000000000001" || got.Error != "" {
				t.Fatalf("got %+v", got)
			}
			sent := v.Direct()
			if len(sent) != 1 || sent[0].User != user {
				t.Fatalf("got %v", sent)
			}
			plugintest.Golden(t, "direct/"+name, []byte(sent[0].Body), *update)
			if len(got.Steps) != 1 || got.Steps[0].Name != createDM || got.Request.URL != v.URL+"/api/v10/channels/9"+user+"/messages" || got.Request.Body != sent[0].Body {
				t.Errorf("the log has %+v", got)
			}
		})
	}
}

// What a webhook alone takes is left out, and so is what would undo the
// deduplication.
func TestNativeDirectMessage(t *testing.T) {
	_, d := standIn(t)
	native := ` {"content":"<x>", "username":"u","avatar_url":"a","thread_name":"t","applied_tags":[],"nonce":"mine","enforce_nonce":false,"tts":true} `
	req, err := d.Compose(to(user, "0199"), relay.Rendered{Native: json.RawMessage(native)})
	want := `{"allowed_mentions":{"parse":[]},"content":"<x>","tts":true,"nonce":"` + nonce("0199") + `","enforce_nonce":true}`
	if err != nil || string(req.Body) != want {
		t.Errorf("got %s, %v", req.Body, err)
	}
	req, err = d.Compose(to(user, "0199"), relay.Rendered{Native: json.RawMessage(`{"content":"x","allowed_mentions":{"parse":["users"]}}`)})
	if err != nil || !strings.HasPrefix(string(req.Body), `{"allowed_mentions":{"parse":["users"]},"content":"x",`) {
		t.Errorf("got %s, %v", req.Body, err)
	}
	for body, want := range map[string]string{
		`[]`:        "a JSON object",
		`{"foo":1}`: "no content, embeds, components or poll",
		`{"content":"` + strings.Repeat("字", maxContent+1) + `"}`: "discord allows 2000",
	} {
		if _, err := d.Compose(to(user, "0199"), relay.Rendered{Native: json.RawMessage(body)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", body, err, want)
		}
	}
}

// A delivery keeps its nonce over all attempts, so that one whose answer was
// lost is there once.
func TestNonce(t *testing.T) {
	r := reachAnn(t)
	d, text := r.Open(), relay.Rendered{Text: "x"}
	if got := r.SendUnanswered(t, d, to(user, "0199"), text); got.DedupFor != nonceFor {
		t.Errorf("unanswered: got %+v", got)
	}
	if got := tell(t, d, "0199", text); got.Verdict != relay.Delivered || got.Receipt != "1300000000000000001" {
		t.Errorf("again: got %+v", got)
	}
	tell(t, d, "0200", text)
	if n := len(r.Vendor.Direct()); n != 2 {
		t.Errorf("%d messages", n)
	}
	if got := nonce("0199"); len(got) != 25 || got != nonce("0199") || got == nonce("0200") {
		t.Errorf("got %q", got)
	}
}

// TestBotVerdicts: what each code means, by the call that it answers.
func TestBotVerdicts(t *testing.T) {
	type verdicts struct{ open, message relay.Verdict }
	const (
		temporary, ambiguous, message = relay.Temporary, relay.Ambiguous, relay.MessageRefused
		refused, recipient, unmatched = relay.DestinationRefused, relay.RecipientRefused, relay.Unmatched
	)
	type row struct {
		status int
		body   string
		want   verdicts
	}
	rows := []row{
		{200, "", verdicts{temporary, ambiguous}}, {200, "{}", verdicts{temporary, ambiguous}}, {204, "", verdicts{temporary, ambiguous}},
		{302, "", verdicts{refused, refused}},
		{400, `{"code":0,"message":"400: Bad Request"}`, verdicts{recipient, message}}, {400, `{"code":99999}`, verdicts{recipient, message}},
		{401, `{"message":"401: Unauthorized","code":0}`, verdicts{refused, refused}}, {403, `{"code":20026}`, verdicts{refused, refused}},
		{404, "<html>", verdicts{refused, refused}},
		{429, `{"retry_after":1.5,"global":false}`, verdicts{temporary, temporary}}, {429, `{"code":50007,"retry_after":1.5}`, verdicts{temporary, temporary}},
		{500, "<html>", verdicts{temporary, ambiguous}}, {502, "", verdicts{temporary, ambiguous}}, {503, "", verdicts{temporary, ambiguous}},
	}
	for verdict, codes := range map[verdicts][]int{
		{recipient, recipient}: {50007, 50278, 50033, 10003},
		{unmatched, unmatched}: {10013},
		{temporary, temporary}: {40003, 20016, 20028, 20029, 40004, 40006, 40062, 130000},
		{refused, refused}:     {40001, 50014, 50001, 50013, 40333, 10015, 50027},
		{recipient, message}:   {50035, 50006, 50109, 40005, 50045, 50041, 200000, 240000},
	} {
		for _, code := range codes {
			for _, status := range []int{400, 403, 404} {
				rows = append(rows, row{status, fmt.Sprintf(`{"code":%d,"message":"words"}`, code), verdict})
			}
		}
	}
	v, d := standIn(t)
	check := func(now row, step string, got relay.Report, want relay.Verdict) {
		t.Helper()
		if got.Verdict != want || got.Error == "" || got.Probe != (now.status == 302) {
			t.Errorf("%d %s of %s: got %+v, want %s", now.status, now.body, step, got, want)
		}
		if long := strings.Contains(now.body, "40003"); long != (got.RetryAfter >= 10*time.Minute) {
			t.Errorf("%d %s of %s: wait %s", now.status, now.body, step, got.RetryAfter)
		}
	}
	for _, now := range rows {
		answer := plugintest.Answer(now.status, now.body)
		forget(d)
		v.Fail(discordtest.CreateDM, "", 1, answer)
		check(now, createDM, tell(t, d, "0199", relay.Rendered{Text: "x"}), now.want.open)
		v.Fail(discordtest.CreateMessage, "", 1, answer)
		check(now, createMessage, tell(t, d, "0199", relay.Rendered{Text: "x"}), now.want.message)
	}
	if n := len(v.Direct()); n > 0 {
		t.Errorf("%d messages", n)
	}
}

// forget makes the next message open its channel.
func forget(d plugin.Direct) { d.(*direct).bot.chats.Drop(user) }

func TestTooManyDMsWaitsAsLongAsDiscordSays(t *testing.T) {
	v, d := standIn(t)
	for hint, want := range map[string]time.Duration{"3": tooManyWait, "3600.5": 3600500 * time.Millisecond} {
		v.Fail(discordtest.CreateDM, "", 1, plugintest.Answer(429, `{"code":40003,"message":"You are opening direct messages too fast","retry_after":`+hint+`}`))
		if got := tell(t, d, "0199", relay.Rendered{Text: "x"}); got.Verdict != relay.Temporary || got.RetryAfter != want {
			t.Errorf("%s: got %+v", hint, got)
		}
	}
}

func TestSteps(t *testing.T) { plugintest.CheckSteps(t, reachAnn, time.Second) }

func TestConcurrentMessages(t *testing.T) { plugintest.CheckTogether(t, reachAnn) }

// A global limit that one call meets holds webhooks and bots alike.
func TestGlobalLimitIsShared(t *testing.T) {
	v := discordtest.New(t)
	v.Know(user, ann)
	p := New()
	target, _ := json.Marshal(settings{URL: v.WebhookURL()})
	hook, _ := p.Open(plugin.Settings{Target: target, Masker: &relay.Masker{}})
	if got := send(t, hook, relay.Rendered{Text: "x"}); got.Verdict != relay.Delivered || len(v.Channel()) != 1 {
		t.Fatalf("got %+v", got)
	}
	v.Fail(discordtest.CreateDM, "", 1, plugintest.Answer(429, `{"retry_after":600.5,"global":true}`))
	d := openDirect(t, p, entry(v))
	tell(t, d, "0199", relay.Rendered{Text: "x"})
	for _, got := range []relay.Report{tell(t, d, "0199", relay.Rendered{Text: "x"}), send(t, hook, relay.Rendered{Text: "x"})} {
		if got.Verdict != relay.Temporary || got.RetryAfter < 590*time.Second || !strings.HasPrefix(got.Error, "not sent") {
			t.Errorf("got %+v", got)
		}
	}
	if n := len(v.Calls("")); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestChatsAreRemembered(t *testing.T) {
	v := discordtest.New(t)
	v.Know(user, ann)
	p := New()
	text := relay.Rendered{Text: "x"}
	tell(t, openDirect(t, p, entry(v)), "1", text)
	d := openDirect(t, p, entry(v)) // another destination of the bot
	tell(t, d, "2", text)
	if a, b := len(v.Calls(discordtest.CreateDM)), len(v.Calls(discordtest.CreateMessage)); a != 1 || b != 2 {
		t.Errorf("%d and %d calls", a, b)
	}
	v.Forget()
	if got := tell(t, d, "3", text); got.Verdict != relay.Delivered || len(got.Steps) != 2 || len(v.Direct()) != 3 {
		t.Errorf("after the channel was closed: got %+v", got)
	}
	v.Fail(discordtest.CreateMessage, "", 2, plugintest.Answer(404, `{"code":10003,"message":"Unknown Channel"}`))
	if got := tell(t, d, "4", text); got.Verdict != relay.RecipientRefused || len(got.Steps) != 2 {
		t.Errorf("a channel that stays closed: got %+v", got)
	}
	v.Fail(discordtest.CreateDM, "", 1, plugintest.Answer(200, `{"id":"../../webhooks"}`))
	if got := tell(t, d, "5", text); got.Verdict != relay.Temporary || len(v.Calls(discordtest.CreateMessage)) != 6 {
		t.Errorf("an id that is none: got %+v", got)
	}
}

func TestExplicitIDs(t *testing.T) {
	v, d := standIn(t)
	for _, id := range []string{"", "ann", "ann#1234", "<@80351110224678912>", "0", "123456789012345678901", "1/../2", "ann@example.com"} {
		if got := tellUser(t, d, id, "0199", relay.Rendered{Text: "x"}); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "Copy User ID") {
			t.Errorf("%q: got %+v", id, got)
		}
	}
	if n := len(v.Calls("")); n > 0 {
		t.Errorf("%d calls", n)
	}
	if got := tellUser(t, d, "99", "0199", relay.Rendered{Text: "x"}); got.Verdict != relay.RecipientRefused || !strings.Contains(got.Error, "50033") {
		t.Errorf("an unknown user: got %+v", got)
	}
	for _, m := range d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{ann, ann}) {
		if m.Verdict != relay.Unmatched || m.User != "" {
			t.Errorf("got %+v", m)
		}
	}
}

// Whatever the answers hold, no report shows the token.
func TestTokenStaysSecret(t *testing.T) {
	v, d := standIn(t)
	echo := plugintest.Answer(400, `{"code":50035,"message":"`+discordtest.Token+`"}`, "X-RateLimit-Bucket", discordtest.Token)
	v.Fail(discordtest.CreateDM, "", 1, echo)
	tell(t, d, "1", relay.Rendered{Text: "x"})
	v.Fail(discordtest.CreateMessage, "", 1, echo)
	tell(t, d, "2", relay.Rendered{Text: "x"})
	v.Fail(discordtest.CreateMessage, "", 1, plugintest.Answer(200, `{"id":"`+discordtest.Token+`"}`))
	tell(t, d, "3", relay.Rendered{Native: json.RawMessage(`{"content":"` + discordtest.Token + `"}`)})
	v.Fail(discordtest.CurrentUser, "", 1, echo)
	if got := plugintest.Problems(d.(plugin.Prober).Probe(t.Context())); strings.Contains(got, discordtest.Token) {
		t.Errorf("got %q", got)
	}
}

// After a refusal of the token there is one call for a delivery, and no probe:
// Discord bans addresses that go on asking.
func TestRevokedToken(t *testing.T) {
	v, d := standIn(t)
	v.Revoke()
	got := tell(t, d, "0199", relay.Rendered{Text: "x"})
	if got.Verdict != relay.DestinationRefused || got.Probe || len(v.Calls("")) != 1 || !strings.Contains(got.Error, "Reset Token") {
		t.Errorf("got %+v", got)
	}
}

func TestProbe(t *testing.T) {
	v, d := standIn(t)
	probe := func(d plugin.Direct) string { return plugintest.Problems(d.(plugin.Prober).Probe(t.Context())) }
	if got := probe(d); got != "" || len(v.Direct()) > 0 {
		t.Errorf("got %q", got)
	}
	v.Throttle(discordtest.CurrentUser, 1)
	if got := probe(d); !strings.HasPrefix(got, "warning provider /bot_token the token could not be tried: status 429") {
		t.Errorf("got %q", got)
	}
	v.Revoke()
	if got := probe(d); !strings.HasPrefix(got, "provider /bot_token status 401") || !strings.Contains(got, "Reset Token") {
		t.Errorf("got %q", got)
	}
	nowhere := openDirect(t, New(), credentials{BotToken: discordtest.Token, APIBase: "http://127.0.0.1:1/api"})
	if got := probe(nowhere); !strings.HasPrefix(got, "warning provider /bot_token the token could not be tried: nothing could be sent") {
		t.Errorf("got %q", got)
	}
}
