package teams

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

const (
	annID = "49c4641c-ab91-4248-aebb-6a7de286397b"
	bobID = "5b649834-7412-4cce-9e69-176e95a394f5"
)

// vendor is a stand-in that knows Ann.
func vendor(t testing.TB) *teamstest.Vendor {
	v := teamstest.New(t)
	v.Know(annID, relay.Person{Email: "ann@contoso.com"})
	return v
}

// yamlJSON is a YAML mapping as JSON.
func yamlJSON(t testing.TB, text string) json.RawMessage {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openDirect opens direct messages as relay does: what the schemas mark as
// secret is masked.
func openDirect(t testing.TB, p *Provider, provider, target json.RawMessage) plugin.Direct {
	t.Helper()
	m := &relay.Masker{}
	m.Add(relay.SecretsIn(p.Describe().ProviderSchema, provider)...)
	m.Add(relay.SecretsIn(p.Describe().DestinationSchema, target)...)
	d, problems := p.OpenDirect(plugin.Settings{Destination: "dba", Entry: "teams", Provider: provider, Target: target, Masker: m})
	if len(problems) > 0 || d == nil {
		t.Fatalf("open: %v, %+v", d, problems)
	}
	return d
}

// reachAnn is a stand-in that knows Ann, and how to reach her.
func reachAnn(t testing.TB) plugintest.Reach {
	v, p := vendor(t), New()
	return plugintest.Reach{
		Vendor: v, Open: func() plugin.Direct { return openDirect(t, p, yamlJSON(t, v.Entry()), yamlJSON(t, v.Target())) },
		User: annID, Person: relay.Person{Name: "Ann", Email: "ann@contoso.com"}, MatchBy: plugin.ByEmail, Secrets: secrets(),
	}
}

// secrets are those of the stand-in: the app's, also as it stands in a form, and
// its tokens.
func secrets() []string {
	return []string{teamstest.Secret, "s3C~ret.Of-The_App%2F", "eyJ0eXAiOiJKV1Qi"}
}

func openBot(t testing.TB, v *teamstest.Vendor) plugin.Direct {
	t.Helper()
	return openDirect(t, New(), yamlJSON(t, v.Entry()), yamlJSON(t, v.Target()))
}

func delivery(user string, attempt int) *plugin.Delivery {
	return &plugin.Delivery{ID: "0199a5b0-0000-7000-8000-000000000001", Attempt: attempt, User: user,
		Context: plugin.Context{Direct: true, Recipient: &relay.Person{Name: "Ann", Email: "ann@contoso.com"}}}
}

// deliver makes the first attempt of a message to a person.
func deliver(t *testing.T, d plugin.Direct, user string) relay.Report {
	t.Helper()
	return attempt(t, d, user, 1)
}

func attempt(t *testing.T, d plugin.Direct, user string, attempt int) relay.Report {
	t.Helper()
	return plugintest.Send(t, d, delivery(user, attempt), relay.Rendered{Text: "hello"})
}

func resolve(t testing.TB, d plugin.Direct, emails ...string) []plugin.Match {
	t.Helper()
	var people []relay.Person
	for _, e := range emails {
		people = append(people, relay.Person{Name: "x", Email: e})
	}
	got := d.Resolve(t.Context(), plugin.ByEmail, people)
	if len(got) != len(emails) {
		t.Fatalf("%d answers for %d people", len(got), len(emails))
	}
	return got
}

// steps are the names of the calls that the stand-in got since before.
func steps(v *teamstest.Vendor, before int) []string {
	var names []string
	for _, c := range v.Calls("")[before:] {
		names = append(names, c.Step)
	}
	return names
}

func TestDirectMessage(t *testing.T) {
	v := vendor(t)
	d := openBot(t, v)
	if got := resolve(t, d, "ann@contoso.com")[0]; got.User != annID || got.Keep < time.Hour || got.Verdict != "" || len(got.Steps) != 1 || got.Request == nil {
		t.Fatalf("got %+v", got)
	}
	before := len(v.Calls(""))
	r := deliver(t, d, annID)
	if r.Verdict != relay.Delivered || r.Receipt != "1776000000001" || r.Error != "" {
		t.Fatalf("got %+v", r)
	}
	want := []string{teamstest.Catalog, teamstest.List, teamstest.Install, teamstest.List, teamstest.Chat, teamstest.Token, teamstest.Activity}
	if got := steps(v, before); !slices.Equal(got, want) {
		t.Errorf("calls: got %v, want %v", got, want)
	}
	var logged []string
	for _, s := range r.Steps {
		logged = append(logged, s.Name)
	}
	if !slices.Equal(append(logged, teamstest.Activity), want) || !strings.HasSuffix(r.Request.URL, "@unq.gbl.spaces/activities") || r.Response.Status != 201 {
		t.Errorf("the log has %v, %+v", logged, r.Request)
	}
	all := append([]string{teamstest.Token}, append(steps(v, 0)[1:2], want...)...)
	for _, step := range v.Steps() {
		if !slices.Contains(all, step) {
			t.Errorf("the stand-in names step %s, which nothing calls", step)
		}
	}
	before = len(v.Calls(""))
	if r := deliver(t, d, annID); r.Verdict != relay.Delivered || len(r.Steps) != 0 {
		t.Errorf("the second message: %+v", r)
	}
	if got := steps(v, before); !slices.Equal(got, []string{teamstest.Activity}) {
		t.Errorf("the second message: %v", got)
	}
	if sent := v.Direct(); len(sent) != 2 || sent[0].User != annID || !strings.Contains(sent[0].Body, "hello") || len(v.Channel()) != 0 {
		t.Errorf("got %+v", sent)
	}
}

func TestResolve(t *testing.T) {
	v := vendor(t)
	v.KnowAs(bobID, "bob_fabrikam.com#EXT#@contoso.onmicrosoft.com", "bob@fabrikam.com")
	v.KnowAs("00000000-0000-4000-8000-000000000001", "pat.obrien@contoso.com", "pat.o'brien+x@contoso.com")
	v.Know("00000000-0000-4000-8000-000000000002", relay.Person{Email: "gone@contoso.com"})
	v.Disable("00000000-0000-4000-8000-000000000002")
	v.KnowAs("00000000-0000-4000-8000-000000000003", "a@contoso.com", "shared@contoso.com")
	v.KnowAs("00000000-0000-4000-8000-000000000004", "b@contoso.com", "shared@contoso.com")
	d := openBot(t, v)
	for address, want := range map[string]struct{ user, why string }{
		" ann@contoso.com ": {annID, ""}, "ANN@contoso.com": {annID, ""}, "bob@fabrikam.com": {bobID, ""},
		"bob_fabrikam.com#EXT#@contoso.onmicrosoft.com": {bobID, ""},
		"pat.o'brien+x@contoso.com":                     {"00000000-0000-4000-8000-000000000001", ""},
		"nobody@contoso.com":                            {"", "no user has this"},
		"gone@contoso.com":                              {"", "disabled"},
		"shared@contoso.com":                            {"", "2 users have this mail"},
	} {
		got := resolve(t, d, address)[0]
		if got.User != want.user || !strings.Contains(got.Error, want.why) || got.Request == nil {
			t.Errorf("%s: got %+v", address, got)
		}
		if verdict := map[bool]relay.Verdict{true: relay.Unmatched}[want.user == ""]; got.Verdict != verdict {
			t.Errorf("%s: got %s", address, got.Verdict)
		}
		if keep := map[bool]time.Duration{true: keepMiss, false: keepMatch}[want.user == ""]; got.Keep != keep {
			t.Errorf("%s: kept for %s", address, got.Keep)
		}
	}
	before := len(v.Calls(""))
	for _, address := range []string{"", "ann", "@", "a@b@c", "a b@contoso.com", "a\u0000@contoso.com", strings.Repeat("a", 400) + "@contoso.com"} {
		if got := resolve(t, d, address)[0]; got.Verdict != relay.Unmatched || !strings.HasPrefix(got.Error, "not an email") {
			t.Errorf("%q: got %+v", address, got)
		}
	}
	if got := d.Resolve(t.Context(), plugin.ByPhone, []relay.Person{{Phone: "+8613800000000", Email: "ann@contoso.com"}}); got[0].Verdict != relay.Unmatched {
		t.Errorf("by phone: %+v", got)
	}
	if got := len(v.Calls("")); got != before {
		t.Errorf("%d calls for what cannot be looked up", got-before)
	}
}

// TestResolvePartly: one person's failure is theirs, unless it would be
// everybody's.
func TestResolvePartly(t *testing.T) {
	v := vendor(t)
	v.Know(bobID, relay.Person{Email: "bob@contoso.com"})
	d := openBot(t, v)
	v.Break(teamstest.Users, "carol", 1)
	got := resolve(t, d, "ann@contoso.com", "carol@contoso.com", "bob@contoso.com")
	if got[0].User != annID || got[1].Verdict != relay.Temporary || got[1].Keep != 0 || got[2].User != bobID {
		t.Errorf("got %+v", got)
	}
	v.Throttle(teamstest.Users, 1)
	before := len(v.Calls(""))
	got = resolve(t, d, "ann@contoso.com", "not an email", "bob@contoso.com")
	if got[0].Verdict != relay.Temporary || got[0].RetryAfter != time.Second || got[1].Verdict != relay.Unmatched || got[2].Verdict != relay.Temporary || got[2].RetryAfter != time.Second {
		t.Errorf("got %+v", got)
	}
	if n := len(v.Calls("")) - before; n != 1 {
		t.Errorf("%d calls after the vendor said it was too fast", n)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, m := range d.Resolve(ended, plugin.ByEmail, []relay.Person{{Email: "ann@contoso.com"}, {Email: "bob@contoso.com"}}) {
		if m.Verdict != relay.Temporary || m.User != "" {
			t.Errorf("out of time: %+v", m)
		}
	}
}

func TestExplicitID(t *testing.T) {
	v := vendor(t)
	d := openBot(t, v)
	for _, id := range []string{annID, strings.ToUpper(annID), "ann@contoso.com"} {
		if got := deliver(t, d, id); got.Verdict != relay.Delivered {
			t.Errorf("%s: got %+v", id, got)
		}
	}
	if got := deliver(t, d, bobID); got.Verdict != relay.RecipientRefused || got.Response.Status != 404 {
		t.Errorf("unknown: got %+v", got)
	}
	before := len(v.Calls(""))
	for _, id := range []string{"", "U012AB3CD", "29:1abc_-D", "49c4641c", "../me", "a b@contoso.com"} {
		if got := deliver(t, d, id); got.Verdict != relay.Unmatched || !strings.Contains(got.Error, "an Entra object id") {
			t.Errorf("%q: got %+v", id, got)
		}
	}
	if got := len(v.Calls("")); got != before {
		t.Errorf("%d calls for ids that nobody has", got-before)
	}
}

// TestSideBySide: many deliveries to one person at once install the app once,
// and share tokens: one for Graph and one for the connector.
func TestSideBySide(t *testing.T) {
	v := plugintest.CheckTogether(t, reachAnn)
	if tokens := len(v.Calls(teamstest.Token)); tokens != 2 {
		t.Errorf("%d tokens", tokens)
	}
}

func TestInstall(t *testing.T) {
	t.Run("SomebodyWasQuicker", func(t *testing.T) {
		v := vendor(t)
		d := openBot(t, v)
		deliver(t, openBot(t, v), annID)
		v.Fail(teamstest.List, "", 1, plugintest.Answer(200, `{"value":[]}`))
		if got := deliver(t, d, annID); got.Verdict != relay.Delivered || got.Steps[3].Response.Status != 409 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("NotListedYet", func(t *testing.T) {
		v := vendor(t)
		v.Fail(teamstest.List, "", 2, plugintest.Answer(200, `{"value":[]}`))
		if got := deliver(t, openBot(t, v), annID); got.Verdict != relay.Temporary {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("NoChatYet", func(t *testing.T) {
		v := vendor(t)
		d := openBot(t, v)
		v.Fail(teamstest.Chat, "", 2, plugintest.Answer(404, `{"error":{"code":"NotFound","message":"x"}}`))
		if got := deliver(t, d, annID); got.Verdict != relay.Temporary {
			t.Errorf("got %+v", got)
		}
		if got := attempt(t, d, annID, chatTries); got.Verdict != relay.RecipientRefused {
			t.Errorf("the last try: got %+v", got)
		}
		if got := attempt(t, d, annID, 2); got.Verdict != relay.Delivered {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("TakenAway", func(t *testing.T) {
		v := vendor(t)
		d := openBot(t, v)
		deliver(t, d, annID)
		v.Uninstall(annID)
		if got := deliver(t, d, annID); got.Verdict != relay.Delivered || len(v.Direct()) != 2 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("RefusedAgain", func(t *testing.T) {
		v := vendor(t)
		d := openBot(t, v)
		v.Fail(teamstest.Activity, "", 2, plugintest.Answer(403, `{"error":{"code":"ForbiddenOperationException","message":"x"}}`))
		if got := deliver(t, d, annID); got.Verdict != relay.RecipientRefused || len(v.Calls(teamstest.Activity)) != 2 || len(v.Calls(teamstest.Install)) != 2 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("ChatOpenedAnew", func(t *testing.T) {
		v := vendor(t)
		d := openBot(t, v)
		gone := plugintest.Answer(404, `{"error":{"code":"ConversationNotFound","message":"x"}}`)
		v.Fail(teamstest.Activity, "", 1, gone)
		if got := deliver(t, d, annID); got.Verdict != relay.RecipientRefused || len(v.Calls(teamstest.Activity)) != 1 {
			t.Errorf("a chat that was just looked up: got %+v", got)
		}
		deliver(t, d, annID)
		v.Fail(teamstest.Activity, "", 1, gone)
		if got := deliver(t, d, annID); got.Verdict != relay.Delivered || len(v.Calls(teamstest.Install)) != 1 {
			t.Errorf("a chat that was remembered: got %+v", got)
		}
	})
	t.Run("AppPublishedAnew", func(t *testing.T) {
		v := vendor(t)
		d := openBot(t, v)
		v.Fail(teamstest.Install, "", 1, plugintest.Answer(404, `{"error":{"code":"NotFound","message":"x"}}`))
		if got := deliver(t, d, annID); got.Verdict != relay.RecipientRefused {
			t.Errorf("got %+v", got)
		}
		if got := deliver(t, d, annID); got.Verdict != relay.Delivered || len(v.Calls(teamstest.Catalog)) != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestDescribesDirect(t *testing.T) {
	v := teamstest.New(t)
	p := New()
	d := openDirect(t, p, yamlJSON(t, v.Entry()), yamlJSON(t, v.Target()))
	if got := p.Describe().Direct; !slices.Equal(got.MatchBy, []string{plugin.ByEmail}) || got.Timeout != 30*time.Second {
		t.Errorf("got %+v", got)
	}
	var want []plugin.Window
	for _, w := range []plugin.Window{
		{Rate: relay.Rate{Count: 50, Per: time.Second}}, {Rate: relay.Rate{Count: 7, Per: time.Second}, PerUser: true}, {Rate: relay.Rate{Count: 8, Per: 2 * time.Second}, PerUser: true},
		{Rate: relay.Rate{Count: 60, Per: 30 * time.Second}, PerUser: true}, {Rate: relay.Rate{Count: 1800, Per: time.Hour}, PerUser: true},
	} {
		w.Key = d.Account()
		want = append(want, w)
	}
	if got := d.(plugin.Paced).Windows(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	other := openDirect(t, p, yamlJSON(t, strings.Replace(v.Entry(), "client_secret: ", "app_id: 00000000-0000-4000-8000-000000000009, client_secret: ", 1)), nil)
	if other.Account() == d.Account() || openDirect(t, p, yamlJSON(t, v.Entry()), nil).Account() != d.Account() {
		t.Error("accounts are not told apart")
	}
}

func TestProbe(t *testing.T) {
	probe := func(v *teamstest.Vendor) string {
		var all []string
		for _, p := range openBot(t, v).(plugin.Prober).Probe(t.Context()) {
			all = append(all, fmt.Sprintf("%v %s: %s", p.Warning, p.Pointer, p.Message))
		}
		return strings.Join(all, "\n")
	}
	v := vendor(t)
	if got := probe(v); got != "" || len(v.Calls(teamstest.Catalog)) != 1 {
		t.Errorf("got %s", got)
	}
	v.Fail(teamstest.Catalog, "", 1, plugintest.Answer(200, `{"value":[]}`))
	if got := probe(v); !strings.HasPrefix(got, "false /app_id: the organization's app catalog has no app with the manifest id "+teamstest.Client) {
		t.Errorf("got %s", got)
	}
	v.Fail(teamstest.Catalog, "", 1, plugintest.Answer(403, `{"error":{"code":"Forbidden","message":"x"}}`))
	if got := probe(v); !strings.Contains(got, "AppCatalog.Read.All") {
		t.Errorf("got %s", got)
	}
	v.Break(teamstest.Token, "", 1)
	if got := probe(v); !strings.HasPrefix(got, "true /client_secret") {
		t.Errorf("got %s", got)
	}
	v.Revoke()
	if got := probe(v); !strings.HasPrefix(got, "false /client_secret: the sign-in service answered invalid_client") || strings.Contains(got, teamstest.Secret) {
		t.Errorf("got %s", got)
	}
}

// TestRedirects: a token goes nowhere else.
func TestRedirects(t *testing.T) {
	v, other := vendor(t), teamstest.New(t)
	for _, step := range v.Steps() {
		d := openBot(t, v)
		v.Fail(step, "", 1, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		})
		got := resolve(t, d, "ann@contoso.com")[0].Report
		if got.Verdict == "" {
			got = deliver(t, d, annID)
		}
		if got.Verdict != relay.DestinationRefused || !strings.Contains(got.Error, "redirects are not followed") {
			t.Errorf("%s: got %+v", step, got)
		}
		v.Uninstall(annID)
	}
	if calls := other.Calls(""); len(calls) != 0 {
		t.Errorf("followed to %+v", calls)
	}
}
