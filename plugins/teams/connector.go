package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The codes of the connector after which something can be put right.
const (
	notInstalled   = "ForbiddenOperationException"
	notInRoster    = "BotNotInConversationRoster"
	noConversation = "ConversationNotFound"
)

// activities is where messages to a chat go.
func (b *bot) activities(chat string) string {
	return b.ServiceURL + "/v3/conversations/" + url.PathEscape(chat) + "/activities"
}

// say sends an activity; the code is the connector's, if it refused.
func (b *bot) say(ctx context.Context, calls *post.Calls, chat string, body []byte) (r relay.Report, code string) {
	r = b.account.bot.Use(ctx, calls, func(token string) (relay.Report, bool) {
		a, err := calls.Do(ctx, "activities", post.Bearer(post.JSON(b.activities(chat), body), token))
		if err != nil {
			code = ""
			return post.Failed(err), false
		}
		var r relay.Report
		r, code = connectorVerdict(a, time.Now())
		return r, a.Status == http.StatusUnauthorized
	})
	return r, code
}

// connectorVerdict is what an answer to an activity means ("Send and receive
// messages", status codes from bot conversational APIs).
func connectorVerdict(a *post.Answer, now time.Time) (relay.Report, string) {
	code, message := connectorFault(a.Body)
	r := post.ByStatus(a, now)
	switch a.Status {
	case http.StatusUnauthorized:
		r.Probe = false // a new token was refused as well
	case http.StatusForbidden, http.StatusNotFound:
		// Without a code it is not the connector that speaks: service_url leads elsewhere.
		if code != "" {
			r.Verdict, r.Probe = relay.RecipientRefused, false
		}
		if code == "NotEnoughPermissions" || code == "InvalidBotApiHost" {
			r.Verdict = relay.DestinationRefused
		}
	case http.StatusPreconditionFailed:
		r.Verdict, r.RetryAfter = relay.Temporary, post.WaitHint(a.Header, now)
	case http.StatusRequestTimeout, http.StatusServiceUnavailable: // the message may be there
		r.Verdict = relay.Ambiguous
	case http.StatusInternalServerError:
		// ServiceError: the table says not to try again, as after every answer
		// that leaves open what happened. relay bounds such tries (retry.ambiguous).
	}
	switch {
	case a.Status/100 == 2 && code != "":
		r = relay.Report{Verdict: relay.Ambiguous, Error: "status " + post.StatusText(a.Status)}
	case a.Status/100 == 2 && page(a):
		return relay.Report{Verdict: relay.Ambiguous, Error: fmt.Sprintf("status %s with a page that is no answer of the connector: %q",
			post.StatusText(a.Status), post.Cut(string(bytes.TrimSpace(a.Body)), 100))}, ""
	case a.Status/100 == 2:
		var sent identified
		_ = json.Unmarshal(a.Body, &sent) // a body without an id is an answer all the same
		return relay.Report{Verdict: relay.Delivered, Receipt: sent.ID}, ""
	}
	r.Error = worded("the bot connector", code, message, r)
	if remedy := connectorRemedies()[code]; remedy != "" {
		r.Error += "; " + remedy
	}
	return r, code
}

// connectorRemedies is what to do about a code.
func connectorRemedies() map[string]string {
	return map[string]string{
		"BotNotRegistered":          "make an Azure Bot with this client_id, and switch its Teams channel on",
		"BotDisabledByAdmin":        "allow the app in the Teams admin center",
		"InvalidBotApiHost":         "set service_url to that of the tenant's cloud, such as https://smba.infra.gcc.teams.microsoft.com/gcc",
		"ConversationBlockedByUser": "the person has blocked the app",
		"MessageWritesBlocked":      "the person has blocked the app",
		notInstalled:                "the app is not installed for the person",
	}
}

// connectorFault is the code and the message of a refusal. An old shape of it
// has a number, and JSON in its message.
func connectorFault(body []byte) (code, message string) {
	if code, message = fault(body); code != "" {
		return code, message
	}
	var old struct {
		Code    int    `json:"errorCode"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &old) != nil || old.Code == 0 {
		return "", ""
	}
	var inner struct {
		Code    string `json:"subCode"`
		Details string `json:"details"`
	}
	if json.Unmarshal([]byte(old.Message), &inner) == nil && inner.Code != "" {
		return inner.Code, inner.Details
	}
	return fmt.Sprint(old.Code), old.Message
}
