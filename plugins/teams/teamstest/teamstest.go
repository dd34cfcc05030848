// Package teamstest stands in for Microsoft Teams in tests: the sign-in
// service, Graph, the Bot Framework's connector, and two flows.
package teamstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// The account that the stand-in serves. Secret is the client secret, which
// stands in requests to the sign-in service only; Signature is that of its flows.
const (
	Tenant    = "11111111-2222-4333-8444-555555555555"
	Client    = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	Secret    = "s3C~ret.Of-The_App/with+odd=signs"
	Signature = "S1gnature_Of-The-Flow"

	app = "99999999-8888-4777-8666-555555555555" // the catalog's id of the Teams app
)

// The calls, by the names that the provider logs them under.
const (
	Token    = "oauth2/token"
	Users    = "users"
	ByMail   = "users?mail"
	Catalog  = "appCatalogs/teamsApps"
	List     = "installedApps"
	Install  = "installedApps/add"
	Chat     = "installedApps/chat"
	Activity = "activities"

	Flow       = "flow"        // the channel's webhook
	DirectFlow = "flow/direct" // a flow that takes a recipient
)

// Vendor is the stand-in. Its methods may be called concurrently.
type Vendor struct {
	*plugintest.Vendor

	mu     sync.Mutex // guards the fields below
	issued int
	tokens map[string]string // good ones → their scope
	users  []*user
}

var _ plugintest.DirectVendor = (*Vendor)(nil)

type user struct {
	id, principal, mail string
	disabled, installed bool
}

// New starts a stand-in that ends with the test. It knows nobody yet.
func New(t testing.TB) *Vendor {
	v := &Vendor{Vendor: plugintest.NewVendor(t), tokens: map[string]string{}}
	v.Handle(Token, "POST /login/{tenant}/oauth2/v2.0/token", v.token)
	v.graph(Users, "GET /v1.0/users/{user}", v.getUser)
	v.graph(ByMail, "GET /v1.0/users", v.findUsers)
	v.graph(Catalog, "GET /v1.0/appCatalogs/teamsApps", v.catalog)
	v.graph(List, "GET /v1.0/users/{user}/teamwork/installedApps", v.list)
	v.graph(Install, "POST /v1.0/users/{user}/teamwork/installedApps", v.install)
	v.graph(Chat, "GET /v1.0/users/{user}/teamwork/installedApps/{installation}/chat", v.chat)
	v.Handle(Activity, "POST /teams/v3/conversations/{chat}/activities", v.activity)
	v.Handle(Flow, "/workflows/channel/triggers/manual/paths/invoke", v.flow)
	v.Handle(DirectFlow, "/workflows/direct/triggers/manual/paths/invoke", v.flow)
	return v
}

// Entry implements [plugintest.DirectVendor].
func (v *Vendor) Entry() string {
	return fmt.Sprintf(`{tenant_id: %q, client_id: %q, client_secret: %q, login_base: %q, graph_base: %q, service_url: %q}`,
		Tenant, Client, Secret, v.URL+"/login", v.URL+"/v1.0", v.URL+"/teams")
}

// Target implements [plugintest.DirectVendor].
func (v *Vendor) Target() string { return fmt.Sprintf(`{url: %q}`, v.FlowURL("channel")) }

// FlowURL is the URL of the flow "channel", or of "direct", which takes a recipient.
func (v *Vendor) FlowURL(name string) string {
	return v.URL + "/workflows/" + name + "/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" + Signature
}

// Know implements [plugintest.DirectVendor]: the email is both the user
// principal name and the mail, the id the Entra object id.
func (v *Vendor) Know(id string, p relay.Person) { v.KnowAs(id, p.Email, p.Email) }

// KnowAs adds a person whose user principal name is not their mail, as that of
// a guest.
func (v *Vendor) KnowAs(id, principal, mail string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.users = append(v.users, &user{id: id, principal: principal, mail: mail})
}

// Disable disables a person's account.
func (v *Vendor) Disable(id string) { v.change(id, func(u *user) { u.disabled = true }) }

// Uninstall takes the app away from a person.
func (v *Vendor) Uninstall(id string) { v.change(id, func(u *user) { u.installed = false }) }

func (v *Vendor) change(id string, f func(*user)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if u := v.find(id); u != nil {
		f(u)
	}
}

// Expire implements [plugintest.DirectVendor].
func (v *Vendor) Expire() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.tokens)
}

// Steps implements [plugintest.DirectVendor]. The sign-in service is asked
// twice: for Graph, and before the last step.
func (v *Vendor) Steps() []string {
	return []string{Token, Users, Catalog, List, Install, Chat, Activity}
}

// Throttle implements [plugintest.DirectVendor].
func (v *Vendor) Throttle(step string, times int) {
	v.Fail(step, "", times, plugintest.Answer(http.StatusTooManyRequests, fault(step, "TooManyRequests", "temporarily_unavailable"), "Retry-After", "1"))
}

// Break implements [plugintest.DirectVendor].
func (v *Vendor) Break(step, match string, times int) {
	status := http.StatusServiceUnavailable
	switch step {
	case Activity: // 503 would leave open whether it was sent
		status = http.StatusPreconditionFailed
	case Flow, DirectFlow: // the same
		status = http.StatusTooManyRequests
	}
	v.Fail(step, match, times, plugintest.Answer(status, fault(step, "PreconditionFailed", "temporarily_unavailable")))
}

// fault is the body of a refusal; the sign-in service has its own shape.
func fault(step, code, login string) string {
	if step == Token {
		return fmt.Sprintf(`{"error":%q,"error_description":"AADSTS90033: words","error_codes":[90033]}`, login)
	}
	return fmt.Sprintf(`{"error":{"code":%q,"message":"words","innerError":{"request-id":"1"}}}`, code)
}

// find is who has the id or the user principal name, or nil.
func (v *Vendor) find(name string) *user {
	for _, u := range v.users {
		if strings.EqualFold(u.id, name) || u.principal != "" && strings.EqualFold(u.principal, name) {
			return u
		}
	}
	return nil
}

// allowed reports whether a call has a good token for a scope.
func (v *Vendor) allowed(r *http.Request, scope string) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && v.tokens[token] == scope
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": "words"}})
}
