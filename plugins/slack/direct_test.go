package slack

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/slack/slacktest"
)

const (
	user      = "U012AB3CD"
	tokenPart = "standinstandin"
)

var annByEmail = relay.Person{Name: "Ann", Email: "ann@example.com"}

// entry is the settings of a stand-in's `providers` entry.
func entry(v *slacktest.Vendor) credentials {
	return credentials{BotToken: slacktest.Token, APIBase: v.URL + "/api"}
}

// of makes Settings as relay does, the masker included.
func of(c credentials, s settings) plugin.Settings {
	provider, _ := json.Marshal(c)
	target, _ := json.Marshal(s)
	m := &relay.Masker{}
	m.Add(relay.SecretsIn(json.RawMessage(providerSchema), provider)...)
	m.Add(relay.SecretsIn(json.RawMessage(destinationSchema), target)...)
	return plugin.Settings{Destination: "dba", Entry: "slack", Provider: provider, Target: target, Masker: m}
}

func openDirect(t testing.TB, p *Provider, c credentials) plugin.Direct {
	t.Helper()
	d, problems := p.OpenDirect(of(c, settings{}))
	if d == nil || len(problems) > 0 {
		t.Fatalf("open: %v", problems)
	}
	return d
}

// standIn is a stand-in that knows Ann, and what reaches its people.
func standIn(t testing.TB) (*slacktest.Vendor, plugin.Direct) {
	t.Helper()
	v := slacktest.New(t)
	v.Know(user, annByEmail)
	return v, openDirect(t, New(), entry(v))
}

// reachAnn is a stand-in that knows Ann, and how to reach her.
func reachAnn(t testing.TB) plugintest.Reach {
	v, p := slacktest.New(t), New()
	v.Know(user, annByEmail)
	return plugintest.Reach{
		Vendor: v, Open: func() plugin.Direct { return openDirect(t, p, entry(v)) },
		User: user, Person: annByEmail, MatchBy: plugin.ByEmail, Secrets: []string{tokenPart},
	}
}

func to(id string) *plugin.Delivery {
	return &plugin.Delivery{ID: "0199", Attempt: 1, User: id, Context: plugin.Context{Direct: true, Recipient: &annByEmail}}
}

func send(t testing.TB, d plugin.Destination, delivery *plugin.Delivery, r relay.Rendered) relay.Report {
	t.Helper()
	report := plugintest.Send(t, d, delivery, r)
	secretless(t, report)
	return report
}

// secretless fails where a report shows the token.
func secretless(t testing.TB, report any) {
	t.Helper()
	plugintest.NoSecrets(t, report, tokenPart)
}

func calls(v *slacktest.Vendor) string {
	var names []string
	for _, c := range v.Calls("") {
		names = append(names, c.Step)
	}
	return strings.Join(names, " ")
}

func TestDirectMessages(t *testing.T) {
	for name, r := range messages() {
		t.Run(name, func(t *testing.T) {
			v, d := standIn(t)
			got := send(t, d, to(user), r)
			if got.Verdict != relay.Delivered || got.Receipt != "D"+user+" 1503435956.000001" || got.Error != "" {
				t.Fatalf("got %+v", got)
			}
			sent := v.Direct()
			if len(sent) != 1 || sent[0].User != user {
				t.Fatalf("got %v", sent)
			}
			plugintest.Golden(t, "direct/"+name, []byte(sent[0].Body), *update)
			if len(got.Steps) != 1 || got.Steps[0].Name != conversationsOpen || got.Request.URL != v.URL+"/api/chat.postMessage" || got.Request.Body != sent[0].Body {
				t.Errorf("the log has %+v", got)
			}
		})
	}
}

func TestNativeDirectMessageMayNotChooseWhomItGoesTo(t *testing.T) {
	_, d := standIn(t)
	for body, want := range map[string]string{
		`{"text":"x","channel":"C1"}`: "the message has a channel",
		`{"text":"x","channel":null}`: "the message has a channel",
		`{"foo":1}`:                   "no text, no blocks",
		`{"text":"` + strings.Repeat("字", maxText+1) + `"}`: "slack allows 40000",
	} {
		if _, err := d.Compose(to(user), relay.Rendered{Native: json.RawMessage(body)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", body, err, want)
		}
	}
	req, err := d.Compose(to(user), relay.Rendered{Native: json.RawMessage(" {\"text\":\"x\"}\n")})
	if err != nil || string(req.Body) != `{"channel":"U012AB3CD","text":"x"}` {
		t.Errorf("got %s, %v", req.Body, err)
	}
}

func TestResolve(t *testing.T) {
	v, d := standIn(t)
	v.Know("W777", relay.Person{Email: "bob+x@example.com"})
	people := []relay.Person{
		{Email: " Ann@Example.com "}, {Email: "nobody@example.com"}, {Email: "not an email"}, {Email: "a@b@c"}, {Email: "@b"}, {Email: "a@"},
		{Email: "a\x00@b.c"}, {}, {Email: "bob+x@example.com"},
	}
	want := []string{user, "users_not_found", "not an email", "not an email", "not an email", "not an email", "not an email", "not an email", "W777"}
	got := d.Resolve(t.Context(), plugin.ByEmail, people)
	secretless(t, got)
	for i, m := range got {
		switch {
		case m.User != "":
			if m.User != want[i] || m.Verdict != "" || m.Keep != matchKeep || m.Request == nil {
				t.Errorf("%q: got %+v", people[i].Email, m)
			}
		case m.Verdict != relay.Unmatched || m.Keep != missKeep || !strings.Contains(m.Error, want[i]):
			t.Errorf("%q: got %+v", people[i].Email, m)
		}
	}
	if got := calls(v); got != "users.lookupByEmail users.lookupByEmail users.lookupByEmail" {
		t.Errorf("called %s", got)
	}
	if got := d.Resolve(t.Context(), plugin.ByPhone, people[:1]); got[0].Verdict != relay.Unmatched {
		t.Errorf("by phone: got %+v", got)
	}
}

func TestResolveRefusesWhoCannotBeWrittenTo(t *testing.T) {
	v, d := standIn(t)
	for body, want := range map[string]relay.Verdict{
		`{"ok":true,"user":{"id":"U1AA","deleted":true}}`:                relay.Unmatched,
		`{"ok":true,"user":{"id":"U1AA","is_bot":true}}`:                 relay.Unmatched,
		`{"ok":false,"error":"invalid_arguments"}`:                       relay.Unmatched,
		`{"ok":true,"user":{"id":"B1AA"}}`:                               relay.Temporary,
		`{"ok":true}`:                                                    relay.Temporary,
		`{"ok":true,"user":"U1"}`:                                        relay.Temporary,
		`{"ok":false,"error":"invalid_post_type"}`:                       relay.Temporary,
		`{"ok":true,"user":{"id":"U1AA","is_bot":0,"deleted":"no one"}}`: "",
	} {
		v.Fail(slacktest.Lookup, "", 1, plugintest.Answer(200, body))
		if got := d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{annByEmail})[0]; got.Verdict != want || (got.Error == "") != (want == "") {
			t.Errorf("%s: got %+v", body, got)
		}
	}
}

// One person's failure is nobody else's; only where Slack wants to hear nothing
// more are the others not asked about.
func TestResolvePartly(t *testing.T) {
	people := []relay.Person{{Email: "bob@example.com"}, annByEmail}
	v, d := standIn(t)
	v.Break(slacktest.Lookup, "bob", 1)
	got := d.Resolve(t.Context(), plugin.ByEmail, people)
	if got[0].Verdict != relay.Temporary || got[1].User != user {
		t.Errorf("broken: got %+v", got)
	}
	v, d = standIn(t)
	v.Throttle(slacktest.Lookup, 1)
	got = d.Resolve(t.Context(), plugin.ByEmail, people)
	for _, m := range got {
		if m.Verdict != relay.Temporary || m.RetryAfter != time.Second {
			t.Errorf("throttled: got %+v", m)
		}
	}
	v.Revoke()
	got = d.Resolve(t.Context(), plugin.ByEmail, people)
	for _, m := range got {
		if m.Verdict != relay.DestinationRefused || m.Probe || !strings.Contains(m.Error, "token_revoked") {
			t.Errorf("revoked: got %+v", m)
		}
	}
	if got := len(v.Calls("")); got != 2 {
		t.Errorf("%d calls", got)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, m := range d.Resolve(ended, plugin.ByEmail, people) {
		if m.Verdict != relay.Temporary {
			t.Errorf("out of time: got %+v", m)
		}
	}
}

// TestAPIVerdicts: what each code means, by the call that it answers.
func TestAPIVerdicts(t *testing.T) {
	type row struct{ lookup, open, person, channel relay.Verdict }
	const (
		temporary, ambiguous, message = relay.Temporary, relay.Ambiguous, relay.MessageRefused
		refused, recipient, unmatched = relay.DestinationRefused, relay.RecipientRefused, relay.Unmatched
	)
	all := func(v relay.Verdict) row { return row{v, v, v, v} }
	rows := map[string]row{}
	add := func(r row, codes string) {
		for code := range strings.FieldsSeq(codes) {
			rows[code] = r
		}
	}
	add(all(temporary), "ratelimited rate_limited service_unavailable request_timeout team_added_to_org org_login_required message_limit_exceeded something_new")
	add(row{temporary, temporary, ambiguous, ambiguous}, "internal_error fatal_error")
	add(all(refused), `not_authed invalid_auth account_inactive token_revoked token_expired missing_scope not_allowed_token_type no_permission access_denied
		accesslimited two_factor_setup_required enterprise_is_restricted is_bot team_access_not_granted ekm_access_denied app_access_restricted`)
	add(row{temporary, message, message, message}, `invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type
		invalid_json json_not_object unknown_method deprecated_endpoint method_deprecated upgrade_required
		users_list_not_supplied not_enough_users too_many_users
		no_text invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long too_many_attachments too_many_contact_cards
		attachment_payload_limit_exceeded metadata_too_large metadata_must_be_sent_from_app invalid_metadata_format invalid_metadata_schema
		markdown_text_conflict as_user_not_supported missing_file_data duplicate_message_not_found duplicate_channel_not_found`)
	add(row{unmatched, message, message, message}, "invalid_arguments")
	add(row{unmatched, unmatched, unmatched, refused}, "users_not_found user_not_found")
	add(row{temporary, recipient, recipient, refused}, `user_disabled user_not_visible channel_not_found invalid_user_combination
		method_not_supported_for_channel_type not_in_channel is_archived messages_tab_disabled restricted_action restricted_action_read_only_channel
		restricted_action_thread_only_channel restricted_action_non_threadable_channel restricted_action_thread_locked cannot_reply_to_message
		team_not_found send_on_behalf_not_allowed slack_connect_file_link_sharing_blocked app_cannot_join_channel`)
	v, d := standIn(t)
	c, _ := New().Open(of(entry(v), settings{Channel: slacktest.ChannelID}))
	check := func(code, where string, got relay.Report, want relay.Verdict) {
		t.Helper()
		if got.Verdict != want || !strings.HasPrefix(got.Error, "slack answered "+code) {
			t.Errorf("%s of %s: got %s (%s), want %s", code, where, got.Verdict, got.Error, want)
		}
		if got.Probe != (where == "channel" && (rows[code].person == recipient || rows[code].person == unmatched)) {
			t.Errorf("%s of %s: probe %v", code, where, got.Probe)
		}
		if long := code == "org_login_required" || code == "message_limit_exceeded"; long != (got.RetryAfter >= time.Hour) {
			t.Errorf("%s of %s: wait %s", code, where, got.RetryAfter)
		}
		secretless(t, got)
	}
	for code, want := range rows {
		for _, status := range []int{200, 400, 503} {
			answer := plugintest.Answer(status, `{"ok":false,"error":"`+code+`"}`)
			v.Fail(slacktest.Lookup, "", 1, answer)
			check(code, "lookup", d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{annByEmail})[0].Report, want.lookup)
			forget(d)
			v.Fail(slacktest.Open, "", 1, answer)
			check(code, "open", send(t, d, to(user), relay.Rendered{Text: "x"}), want.open)
			v.Fail(slacktest.Post, "", 1, answer)
			check(code, "person", send(t, d, to(user), relay.Rendered{Text: "x"}), want.person)
			v.Fail(slacktest.Post, "", 1, answer)
			check(code, "channel", send(t, c, &plugin.Delivery{}, relay.Rendered{Text: "x"}), want.channel)
		}
	}
	if len(v.Direct())+len(v.Channel()) > 0 {
		t.Errorf("something was sent: %v %v", v.Direct(), v.Channel())
	}
}

// forget makes the next message open its chat.
func forget(d plugin.Direct) { d.(*direct).api.chats.Drop(user) }

// TestAPIStatuses: answers that have no code.
func TestAPIStatuses(t *testing.T) {
	v, d := standIn(t)
	for _, c := range []struct {
		status             int
		body               string
		lookup, open, post relay.Verdict
	}{
		{200, "", relay.Temporary, relay.Temporary, relay.Ambiguous},
		{200, "<html>", relay.Temporary, relay.Temporary, relay.Ambiguous},
		{200, "{}", relay.Temporary, relay.Temporary, relay.Ambiguous},
		{200, `{"ok":"true"}`, relay.Temporary, relay.Temporary, relay.Ambiguous},
		{201, `{"ok":true}`, relay.Temporary, relay.Temporary, relay.Ambiguous},
		{302, "", relay.DestinationRefused, relay.DestinationRefused, relay.DestinationRefused},
		{400, "", relay.Temporary, relay.MessageRefused, relay.MessageRefused},
		{404, "<html>", relay.DestinationRefused, relay.DestinationRefused, relay.DestinationRefused},
		{429, "", relay.Temporary, relay.Temporary, relay.Temporary},
		{429, `{"ok":false,"error":"invalid_auth"}`, relay.Temporary, relay.Temporary, relay.Temporary},
		{500, "<html>", relay.Temporary, relay.Temporary, relay.Ambiguous},
		{503, "", relay.Temporary, relay.Temporary, relay.Ambiguous},
	} {
		answer := plugintest.Answer(c.status, c.body, "Location", "https://example.com/", "Retry-After", "30")
		check := func(step string, got relay.Report, want relay.Verdict) {
			t.Helper()
			if got.Verdict != want || got.Error == "" || got.Probe != (c.status == 302) || (got.RetryAfter != 0) != (c.status == 429 || c.status >= 500) {
				t.Errorf("%d %q of %s: got %+v, want %s", c.status, c.body, step, got, want)
			}
		}
		v.Fail(slacktest.Lookup, "", 1, answer)
		check("lookup", d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{annByEmail})[0].Report, c.lookup)
		forget(d)
		v.Fail(slacktest.Open, "", 1, answer)
		check("open", send(t, d, to(user), relay.Rendered{Text: "x"}), c.open)
		v.Fail(slacktest.Post, "", 1, answer)
		check("post", send(t, d, to(user), relay.Rendered{Text: "x"}), c.post)
	}
}

// Slack's answer repeats the message, and may be longer than what relay reads.
func TestLongAnswer(t *testing.T) {
	v, d := standIn(t)
	v.Fail(slacktest.Post, "", 1, plugintest.Answer(200, `{"ok":true,"channel":"D1","ts":"1.2","message":{"text":"`+strings.Repeat(`\u5b57`, 40000)+`"}}`))
	if got := send(t, d, to(user), relay.Rendered{Text: "x"}); got.Verdict != relay.Delivered || got.Receipt != "D1 1.2" {
		t.Errorf("got %s %q %s", got.Verdict, got.Receipt, got.Error)
	}
}

func TestMissingScopeIsNamed(t *testing.T) {
	v, d := standIn(t)
	v.Grant("chat:write", "im:write")
	want := "slack answered missing_scope: it needs users:read.email, the token has chat:write,im:write; add the scope under OAuth & Permissions and install the app again"
	if got := d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{annByEmail})[0]; got.Verdict != relay.DestinationRefused || got.Error != want {
		t.Errorf("got %+v", got)
	}
	v.Grant("chat:write")
	if got := send(t, d, to(user), relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || !strings.Contains(got.Error, "needs im:write") || len(got.Steps) > 0 {
		t.Errorf("got %+v", got)
	}
	v.Grant("im:write")
	if got := send(t, d, to(user), relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || !strings.Contains(got.Error, "needs chat:write") || len(got.Steps) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestNativeFaultIsNamed(t *testing.T) {
	_, d := standIn(t)
	got := send(t, d, to(user), relay.Rendered{Native: json.RawMessage(`{"blocks":[{"type":"section"}]}`)})
	if got.Verdict != relay.MessageRefused || got.Error != "slack answered invalid_blocks: [ERROR] a section needs text or 1 to 10 fields [json-pointer:/blocks/0]" {
		t.Errorf("got %s %s", got.Verdict, got.Error)
	}
}

func TestSteps(t *testing.T) { plugintest.CheckSteps(t, reachAnn, time.Second) }

func TestUnansweredMessageIsAmbiguous(t *testing.T) {
	r := reachAnn(t)
	r.SendUnanswered(t, r.Open(), r.Delivery(), relay.Rendered{Text: "x"})
}

func TestConcurrentMessages(t *testing.T) { plugintest.CheckTogether(t, reachAnn) }

func TestChatsAreRemembered(t *testing.T) {
	v := slacktest.New(t)
	v.Know(user, annByEmail)
	p := New()
	text := relay.Rendered{Text: "x"}
	send(t, openDirect(t, p, entry(v)), to(user), text)
	d := openDirect(t, p, entry(v)) // another destination of the account
	send(t, d, to(user), text)
	if got := calls(v); got != "conversations.open chat.postMessage chat.postMessage" {
		t.Errorf("called %s", got)
	}
	v.Forget()
	if got := send(t, d, to(user), text); got.Verdict != relay.Delivered || len(got.Steps) != 2 || len(v.Direct()) != 3 {
		t.Errorf("after the chat was closed: got %+v", got)
	}
	if got := len(v.Calls("")); got != 6 {
		t.Errorf("%d calls", got)
	}
	v.Fail(slacktest.Post, "", 2, plugintest.Answer(200, `{"ok":false,"error":"channel_not_found"}`))
	if got := send(t, d, to(user), text); got.Verdict != relay.RecipientRefused || len(got.Steps) != 2 {
		t.Errorf("a chat that stays closed: got %+v", got)
	}
	if other := openDirect(t, p, credentials{BotToken: slacktest.Token + "2", APIBase: v.URL + "/api"}); other.(*direct).api.chats == d.(*direct).api.chats {
		t.Error("two accounts share their chats")
	}
}

func TestExplicitIDs(t *testing.T) {
	v, d := standIn(t)
	for _, id := range []string{"", "ann", "u012ab", "C012AB3CD", "D012AB3CD", "U1", `U1">,x`, "ann@example.com", "U012AB3CD "} {
		if got := send(t, d, to(id), relay.Rendered{Text: "x"}); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "Copy member ID") {
			t.Errorf("%q: got %+v", id, got)
		}
	}
	if n := len(v.Calls("")); n > 0 {
		t.Errorf("%d calls", n)
	}
	if got := send(t, d, to("U0NOBODY"), relay.Rendered{Text: "x"}); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "user_not_found") {
		t.Errorf("an unknown user: got %+v", got)
	}
}

// Whatever the answers hold, no report shows the token.
func TestTokenStaysSecret(t *testing.T) {
	v, d := standIn(t)
	echo := plugintest.Answer(200, `{"ok":false,"error":"`+slacktest.Token+`","needed":"`+slacktest.Token+`"}`, "X-Slack-Req-Id", slacktest.Token)
	v.Fail(slacktest.Lookup, "", 1, echo)
	secretless(t, d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{annByEmail}))
	v.Fail(slacktest.Open, "", 1, echo)
	send(t, d, to(user), relay.Rendered{Text: "x"})
	v.Fail(slacktest.Post, "", 1, echo)
	send(t, d, to(user), relay.Rendered{Text: "my token is " + slacktest.Token})
	v.Fail(slacktest.Post, "", 1, plugintest.Answer(200, `{"ok":true,"channel":"`+slacktest.Token+`","ts":"`+slacktest.Token+`"}`))
	send(t, d, to(user), relay.Rendered{Text: "x"})
	v.Fail(slacktest.Auth, "", 1, echo)
	secretless(t, d.(plugin.Prober).Probe(t.Context()))
}

func TestRevokedToken(t *testing.T) {
	v, d := standIn(t)
	v.Revoke()
	if got := send(t, d, to(user), relay.Rendered{Text: "x"}); got.Verdict != relay.DestinationRefused || got.Probe || len(v.Calls("")) != 1 {
		t.Errorf("got %+v", got)
	}
	if got := d.Resolve(t.Context(), plugin.ByEmail, []relay.Person{annByEmail})[0]; got.Verdict != relay.DestinationRefused || got.Probe {
		t.Errorf("got %+v", got)
	}
}
