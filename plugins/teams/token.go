package teams

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// tokenMargin is how long before its end a token is fetched anew. Tokens live
// for about an hour.
const tokenMargin = 5 * time.Minute

// login fetches tokens for a scope with the client credentials grant ("Get
// access without a user").
func (c *credentials) login(scope string) post.Fetch {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}, "scope": {scope}}
	r := &plugin.Request{
		Method: http.MethodPost, URL: c.LoginBase + "/" + url.PathEscape(c.TenantID) + "/oauth2/v2.0/token",
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte(form.Encode()),
	}
	return func(ctx context.Context, calls *post.Calls) (string, time.Duration, *relay.Report) {
		a, err := calls.Do(ctx, "oauth2/token", r)
		if err != nil {
			failed := post.Harmless(err)
			return "", 0, &failed
		}
		var token struct {
			Value   string      `json:"access_token"`
			Seconds json.Number `json:"expires_in"`
		}
		if json.Unmarshal(a.Body, &token) == nil && a.Status/100 == 2 && token.Value != "" {
			seconds, _ := token.Seconds.Float64()
			return token.Value, post.Seconds(seconds), nil
		}
		failed := loginVerdict(a, time.Now())
		return "", 0, &failed
	}
}

// loginVerdict is what an answer without a token means. The error counts, not
// the numbers in its description, which change ("Microsoft Entra authentication
// and authorization error codes"). Nothing was sent to anybody, so that what
// passes is temporary, never ambiguous.
func loginVerdict(a *post.Answer, now time.Time) relay.Report {
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(a.Body, &answer) // what is no JSON has no code
	r := post.ByStatus(a, now)
	switch {
	case a.Status/100 == 2:
		return relay.Report{Verdict: relay.Temporary, Error: "the sign-in service answered without a token: status " + post.StatusText(a.Status)}
	case r.Verdict == relay.Temporary, r.Verdict == relay.Ambiguous, answer.Code == "temporarily_unavailable", answer.Code == "server_error":
		r.Verdict, r.Probe, r.RetryAfter = relay.Temporary, false, post.WaitHint(a.Header, now)
	case answer.Code != "": // asking again with these credentials cannot help
		r.Verdict, r.Probe = relay.DestinationRefused, false
	case r.Verdict == relay.MessageRefused: // somebody else's answer, such as a proxy's
		r.Verdict, r.Probe = relay.DestinationRefused, true
	}
	r.Error = worded("the sign-in service", answer.Code, answer.Description, r)
	switch answer.Code {
	case "invalid_client":
		r.Error += "; make a new client secret in the app registration, and set client_secret to its Value"
	case "unauthorized_client", "invalid_request":
		r.Error += "; check tenant_id and client_id"
	case "invalid_scope":
		r.Error += "; check graph_base and service_url"
	}
	return r
}
