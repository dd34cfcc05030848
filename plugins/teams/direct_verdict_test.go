package teams

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

// refusal is an answer that a step gets, and what comes of it.
type refusal struct {
	status  int
	body    string
	verdict relay.Verdict
	probe   bool
	words   string // in the error
}

// waits reports whether an answer is given, and has to be read, with a wait.
func (r refusal) waits() bool {
	return r.verdict == relay.Temporary || r.verdict == relay.Ambiguous && r.status != 408
}

// run answers a step so, and makes a delivery to Ann; or looks her up.
func (r refusal) run(t *testing.T, step string) relay.Report {
	t.Helper()
	v := vendor(t)
	d := openBot(t, v)
	v.Fail(step, "", 2, plugintest.Answer(r.status, r.body, "Retry-After", "2.128"))
	if step == teamstest.Users || step == teamstest.ByMail {
		address := "ann@contoso.com"
		if step == teamstest.ByMail {
			address = "nobody@contoso.com"
		}
		return resolve(t, d, address)[0].Report
	}
	return deliver(t, d, annID)
}

func (r refusal) check(t *testing.T, step string) {
	t.Helper()
	got := r.run(t, step)
	if got.Verdict != r.verdict || got.Probe != r.probe || !strings.Contains(got.Error, r.words) || (got.Error == "") != (r.verdict == relay.Delivered) {
		t.Errorf("%s: %d %s: got %s, probe %v, %q; want %s, %v, %q", step, r.status, r.body, got.Verdict, got.Probe, got.Error, r.verdict, r.probe, r.words)
	}
	if r.waits() != (got.RetryAfter == 2128*time.Millisecond) {
		t.Errorf("%s: %d %s: wait %s", step, r.status, r.body, got.RetryAfter)
	}
	if got.Response == nil || got.Response.Status != r.status {
		t.Errorf("%s: %d %s: response %+v", step, r.status, r.body, got.Response)
	}
}

func coded(code string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":"some words"}}`, code)
}

func TestLoginVerdicts(t *testing.T) {
	oauth := func(code string) string {
		return fmt.Sprintf(`{"error":%q,"error_description":"AADSTS1: words\r\nTrace ID: 1","error_codes":[1]}`, code)
	}
	for _, r := range []refusal{
		{401, oauth("invalid_client"), relay.DestinationRefused, false, "the sign-in service answered invalid_client (status 401 Unauthorized): AADSTS1: words Trace ID: 1; make a new client secret"},
		{400, oauth("unauthorized_client"), relay.DestinationRefused, false, "check tenant_id and client_id"},
		{400, oauth("invalid_scope"), relay.DestinationRefused, false, "check graph_base"},
		{400, oauth("invalid_request"), relay.DestinationRefused, false, "check tenant_id"},
		{400, oauth("unsupported_grant_type"), relay.DestinationRefused, false, "unsupported_grant_type"},
		{400, oauth("invalid_grant"), relay.DestinationRefused, false, "invalid_grant"},
		{400, oauth("something_new"), relay.DestinationRefused, false, "something_new"},
		{400, oauth("temporarily_unavailable"), relay.Temporary, false, "temporarily_unavailable"},
		{400, oauth("server_error"), relay.Temporary, false, "server_error"},
		{429, oauth("temporarily_unavailable"), relay.Temporary, false, "429"},
		{429, "", relay.Temporary, false, "429"}, {500, oauth("server_error"), relay.Temporary, false, "500"}, {503, "<html>", relay.Temporary, false, "503"}, {502, "", relay.Temporary, false, "502"},
		{404, "<html>", relay.DestinationRefused, true, "404"}, {400, "<html>", relay.DestinationRefused, true, "400"}, {302, "", relay.DestinationRefused, true, "redirects"},
	} {
		r.check(t, teamstest.Token)
	}
	for _, body := range []string{"", "<html>", `{"token_type":"Bearer"}`, `[]`} {
		if got := (refusal{status: 200, body: body}).run(t, teamstest.Token); got.Verdict != relay.Temporary || !strings.Contains(got.Error, "without a token") {
			t.Errorf("%q: got %+v", body, got)
		}
	}
}

func TestGraphVerdicts(t *testing.T) {
	// What means the same in every step.
	for _, step := range []string{teamstest.Users, teamstest.ByMail, teamstest.Catalog, teamstest.List, teamstest.Install, teamstest.Chat} {
		for _, r := range []refusal{
			{401, coded("InvalidAuthenticationToken"), relay.DestinationRefused, false, "graph answered InvalidAuthenticationToken (status 401 Unauthorized): some words"},
			{404, "<html>", relay.DestinationRefused, true, "404"}, // of no Graph
			{307, "", relay.DestinationRefused, true, "redirects"},
			{408, "", relay.Temporary, false, "408"}, {423, coded("Locked"), relay.Temporary, false, "Locked"}, {429, coded("TooManyRequests"), relay.Temporary, false, "TooManyRequests"},
			{500, coded("InternalServerError"), relay.Temporary, false, "500"}, {502, "<html>", relay.Temporary, false, "502"}, {503, coded("serviceNotAvailable"), relay.Temporary, false, "503"},
			{504, "", relay.Temporary, false, "504"}, {509, "", relay.Temporary, false, "509"},
		} {
			r.check(t, step)
		}
		if step != teamstest.Install {
			for _, body := range []string{"", "<html>", "[]"} {
				if got := (refusal{status: 200, body: body}).run(t, step); got.Verdict != relay.Temporary {
					t.Errorf("%s: 200 %q: got %+v", step, body, got)
				}
			}
		}
	}
	for step, rows := range map[string][]refusal{
		teamstest.Users:  {{403, coded("Authorization_RequestDenied"), relay.DestinationRefused, false, "User.Read.All with admin consent"}},
		teamstest.ByMail: {{403, coded("Authorization_RequestDenied"), relay.DestinationRefused, false, "User.Read.All"}, {400, coded("Request_UnsupportedQuery"), relay.Unmatched, false, "400"}},
		teamstest.Catalog: {
			{403, coded("Forbidden"), relay.DestinationRefused, false, "AppCatalog.Read.All"}, {400, coded("BadRequest"), relay.DestinationRefused, false, "400"},
			{404, coded("NotFound"), relay.DestinationRefused, false, "404"}, {200, `{"value":[]}`, relay.DestinationRefused, false, teamstest.Client},
		},
		teamstest.List: {
			{403, coded("Forbidden"), relay.DestinationRefused, false, "TeamsAppInstallation.ReadWriteSelfForUser.All"},
			{404, coded("NotFound"), relay.RecipientRefused, false, "404"}, {400, coded("BadRequest"), relay.MessageRefused, false, "400"},
		},
		teamstest.Install: {
			{403, coded("Forbidden"), relay.RecipientRefused, false, "may not have the app"}, {403, "<html>", relay.DestinationRefused, true, "403"},
			{404, coded("NotFound"), relay.RecipientRefused, false, "404"}, {400, coded("BadRequest"), relay.MessageRefused, false, "400"},
		},
		teamstest.Chat: {{403, coded("Forbidden"), relay.DestinationRefused, false, "TeamsAppInstallation"}},
	} {
		for _, r := range rows {
			r.check(t, step)
		}
	}
	// A user that is not there by that name is asked for by mail.
	for _, status := range []int{400, 404} {
		if got := (refusal{status: status, body: coded("Request_ResourceNotFound")}).run(t, teamstest.Users); got.Verdict != "" || len(got.Steps) != 2 {
			t.Errorf("%d: got %+v", status, got)
		}
	}
}

func TestConnectorVerdicts(t *testing.T) {
	old := `{"errorCode":209,"message":"{\r\n  \"subCode\": \"MessageWritesBlocked\",\r\n  \"details\": \"Thread is not active\"}"}`
	for _, r := range []refusal{
		{status: 201, body: `{"id":"1"}`, verdict: relay.Delivered}, {status: 200, body: `{}`, verdict: relay.Delivered}, {status: 202, verdict: relay.Delivered},
		{400, coded("Bad Argument"), relay.MessageRefused, false, "the bot connector answered Bad Argument (status 400 Bad Request): some words"},
		{400, coded("BadSyntax"), relay.MessageRefused, false, "BadSyntax"},
		{401, coded("BotNotRegistered"), relay.DestinationRefused, false, "make an Azure Bot"},
		{401, `{"message":"Authorization has been denied for this request."}`, relay.DestinationRefused, false, "401"},
		{403, coded("BotDisabledByAdmin"), relay.RecipientRefused, false, "admin center"},
		{403, coded("BotNotInConversationRoster"), relay.RecipientRefused, false, "BotNotInConversationRoster"},
		{403, coded("ConversationBlockedByUser"), relay.RecipientRefused, false, "blocked the app"},
		{403, old, relay.RecipientRefused, false, "the bot connector answered MessageWritesBlocked (status 403 Forbidden): Thread is not active; the person has blocked the app"},
		{403, `{"errorCode":7,"message":"words"}`, relay.RecipientRefused, false, "answered 7"},
		{403, coded("ForbiddenOperationException"), relay.RecipientRefused, false, "not installed"},
		{403, coded("InvalidBotApiHost"), relay.DestinationRefused, false, "set service_url"},
		{403, coded("NotEnoughPermissions"), relay.DestinationRefused, false, "NotEnoughPermissions"},
		{403, coded("Something"), relay.RecipientRefused, false, "Something"},
		{403, "<html>", relay.DestinationRefused, true, "403"}, {404, "", relay.DestinationRefused, true, "404"}, {308, "", relay.DestinationRefused, true, "redirects"},
		{404, coded("ConversationNotFound"), relay.RecipientRefused, false, "ConversationNotFound"},
		{404, coded("ActivityNotFoundInConversation"), relay.RecipientRefused, false, "ActivityNotFound"},
		{412, coded("PreconditionFailed"), relay.Temporary, false, "412"},
		{413, coded("MessageSizeTooBig"), relay.MessageRefused, false, "MessageSizeTooBig"},
		{429, coded("Throttled"), relay.Temporary, false, "Throttled"},
		{500, coded("ServiceError"), relay.Ambiguous, false, "ServiceError"}, {502, "<html>", relay.Ambiguous, false, "502"}, {503, coded("ServiceError"), relay.Ambiguous, false, "503"},
		{504, "", relay.Ambiguous, false, "504"}, {409, coded("Conflict"), relay.MessageRefused, false, "409"},
	} {
		r.check(t, teamstest.Activity)
	}
	for _, r := range []refusal{{status: 200, body: "<!DOCTYPE html>"}, {status: 201, body: coded("ServiceError")}, {status: 408}} {
		if got := r.run(t, teamstest.Activity); got.Verdict != relay.Ambiguous || got.Error == "" {
			t.Errorf("%d %s: got %+v", r.status, r.body, got)
		}
	}
}

func TestSteps(t *testing.T) { plugintest.CheckSteps(t, reachAnn, time.Second) }

// TestNoConnection: what could not be sent leaves nothing open, in the last
// step too.
func TestNoConnection(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	v := vendor(t)
	d := openDirect(t, New(), yamlJSON(t, strings.ReplaceAll(v.Entry(), v.URL+"/teams", closed.URL)), nil)
	if got := deliver(t, d, annID); got.Verdict != relay.Temporary {
		t.Errorf("no connection: got %+v", got)
	}
}

// TestDirectLeaksNothing: whatever the vendor says back, no report shows a
// secret or a token.
func TestDirectLeaksNothing(t *testing.T) {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var body [2000]byte
			n, _ := r.Body.Read(body[:])
			words := r.Header.Get("Authorization") + " " + string(body[:n]) + " " + teamstest.Secret
			w.Header().Set("Request-Id", words[:min(len(words), 60)])
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"error": map[string]any{"code": words, "message": words}, "error_description": words,
			})
		}
	}
	for _, step := range append(teamstest.New(t).Steps(), teamstest.ByMail) {
		for _, status := range []int{200, 400, 401, 403, 404, 409, 429, 500} {
			t.Run(fmt.Sprint(step, ", ", status), func(t *testing.T) {
				v := vendor(t)
				d := openBot(t, v)
				v.Fail(step, "", 1, echo(status))
				plugintest.NoSecrets(t, resolve(t, d, "ann@contoso.com", "nobody@contoso.com"), secrets()...)
				plugintest.NoSecrets(t, deliver(t, d, annID), secrets()...)
				plugintest.NoSecrets(t, d.(plugin.Prober).Probe(t.Context()), secrets()...)
			})
		}
	}
}
