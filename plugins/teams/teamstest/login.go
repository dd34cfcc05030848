package teamstest

import (
	"fmt"
	"net/http"
	"net/url"
)

// token is the sign-in service.
func (v *Vendor) token(w http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(status int, code, words string) {
		answer(w, status, map[string]any{"error": code, "error_description": words, "error_codes": []int{7000215}, "trace_id": "1"})
	}
	form, err := url.ParseQuery(string(body))
	scope := form.Get("scope")
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		refuse(400, "invalid_request", "AADSTS900144: The request body must contain the following parameter: 'grant_type'.")
	case r.PathValue("tenant") != Tenant:
		refuse(400, "invalid_request", "AADSTS90002: Tenant not found.")
	case form.Get("grant_type") != "client_credentials":
		refuse(400, "unsupported_grant_type", "AADSTS70003: unsupported.")
	case form.Get("client_id") != Client:
		refuse(400, "unauthorized_client", "AADSTS700016: Application not found in the directory.")
	case form.Get("client_secret") != Secret || v.Revoked():
		refuse(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1")
	case scope != graphScope && scope != botScope:
		refuse(400, "invalid_scope", "AADSTS70011: The provided value for scope is not valid.")
	default:
		v.issued++
		token := fmt.Sprintf("eyJ0eXAiOiJKV1Qi.%d.signature-%d", v.issued, v.issued)
		v.tokens[token] = scope
		answer(w, 200, map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})
	}
}

const (
	graphScope = "https://graph.microsoft.com/.default"
	botScope   = "https://api.botframework.com/.default"
)
