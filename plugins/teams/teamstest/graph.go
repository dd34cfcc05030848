package teamstest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// graph serves a call to Graph that has a good token.
func (v *Vendor) graph(step, pattern string, f func(w http.ResponseWriter, r *http.Request, body []byte)) {
	v.Handle(step, pattern, func(w http.ResponseWriter, r *http.Request, body []byte) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if !v.allowed(r, graphScope) {
			refuse(w, 401, "InvalidAuthenticationToken")
			return
		}
		f(w, r, body)
	})
}

const selected = "id,mail,userPrincipalName,accountEnabled"

func (u *user) json() map[string]any {
	return map[string]any{"id": u.id, "mail": u.mail, "userPrincipalName": u.principal, "accountEnabled": !u.disabled}
}

func (v *Vendor) getUser(w http.ResponseWriter, r *http.Request, _ []byte) {
	switch u := v.find(r.PathValue("user")); {
	case r.URL.Query().Get("$select") != selected:
		refuse(w, 400, "BadRequest")
	case u == nil:
		refuse(w, 404, "Request_ResourceNotFound")
	default:
		answer(w, 200, u.json())
	}
}

var equals = regexp.MustCompile(`^(mail|externalId|teamsApp/id) eq '((?:[^']|'')*)'$`)

// filtered is the value that a query filters a property by.
func filtered(r *http.Request, property string) (string, bool) {
	m := equals.FindStringSubmatch(r.URL.Query().Get("$filter"))
	if m == nil || m[1] != property {
		return "", false
	}
	return strings.ReplaceAll(m[2], "''", "'"), true
}

func (v *Vendor) findUsers(w http.ResponseWriter, r *http.Request, _ []byte) {
	mail, ok := filtered(r, "mail")
	if !ok || r.URL.Query().Get("$select") != selected {
		refuse(w, 400, "Request_UnsupportedQuery")
		return
	}
	found := []any{}
	for _, u := range v.users {
		if u.mail != "" && strings.EqualFold(u.mail, mail) {
			found = append(found, u.json())
		}
	}
	answer(w, 200, map[string]any{"value": found})
}

func (v *Vendor) catalog(w http.ResponseWriter, r *http.Request, _ []byte) {
	id, ok := filtered(r, "externalId")
	if !ok {
		refuse(w, 400, "BadRequest")
		return
	}
	found := []any{}
	if id == Client { // the manifest of the stand-in's app has the same id
		found = append(found, map[string]any{"id": app, "externalId": id, "distributionMethod": "organization"})
	}
	answer(w, 200, map[string]any{"value": found})
}

func (v *Vendor) list(w http.ResponseWriter, r *http.Request, _ []byte) {
	id, ok := filtered(r, "teamsApp/id")
	u := v.find(r.PathValue("user"))
	found := []any{}
	switch {
	case u == nil:
		refuse(w, 404, "NotFound")
		return
	case !ok || r.URL.Query().Get("$expand") != "teamsApp":
		refuse(w, 400, "BadRequest")
		return
	case u.installed && id == app:
		found = append(found, map[string]any{"id": u.installation(), "teamsApp": map[string]any{"id": app, "externalId": Client}})
	}
	answer(w, 200, map[string]any{"value": found})
}

// installation is an id as Graph makes them: base64 with signs that a path
// has to escape.
func (u *user) installation() string { return "NjkwM2Zh+/" + u.id + "==" }

func (u *user) chat() string { return "19:" + u.id + "_" + Client + "@unq.gbl.spaces" }

func (v *Vendor) install(w http.ResponseWriter, r *http.Request, body []byte) {
	var bind map[string]string
	err := json.Unmarshal(body, &bind)
	switch u := v.find(r.PathValue("user")); {
	case u == nil:
		refuse(w, 404, "NotFound")
	case err != nil || len(bind) != 1 || bind["teamsApp@odata.bind"] != "https://graph.microsoft.com/v1.0/appCatalogs/teamsApps/"+app ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		refuse(w, 400, "BadRequest")
	case u.installed:
		refuse(w, 409, "Conflict")
	default:
		u.installed = true
		w.WriteHeader(http.StatusCreated)
	}
}

func (v *Vendor) chat(w http.ResponseWriter, r *http.Request, _ []byte) {
	u := v.find(r.PathValue("user"))
	if u == nil || !u.installed || r.PathValue("installation") != u.installation() {
		refuse(w, 404, "NotFound")
		return
	}
	answer(w, 200, map[string]any{"id": u.chat(), "chatType": "oneOnOne"})
}
