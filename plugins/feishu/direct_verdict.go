package feishu

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	// directWait is for an app that was too fast, where the vendor does not say
	// for how long: its windows are a second and a minute.
	directWait = time.Second

	codeBadField = 99992402
	codeBadParam = 40001 // of a look-up; not confirmed
)

// appCodes are those of an app's interfaces (generic error codes; im/v1
// messages, create): they come with 400 mostly, and count before the status.
// Looking people up has no documented table of its own.
func appCodes() map[int64]meaning {
	const (
		temporary = relay.Temporary
		content   = relay.MessageRefused
		recipient = relay.RecipientRefused
		target    = relay.DestinationRefused
	)
	all := map[int64]meaning{
		10003:    {verdict: target, says: "the app_id or the app_secret is not valid; copy both anew from the app's credentials"},
		10014:    {verdict: target, says: "the app is not available; is it enabled?"},
		10015:    {verdict: target, says: "the app_secret is wrong; copy it anew from the app's credentials"},
		99991543: {verdict: target, says: "the app_id or the app_secret is wrong; copy both anew from the app's credentials"},

		99991662: {verdict: target, says: "the app is disabled"},
		99991673: {verdict: target, says: "the app is not authorised"},
		99991401: {verdict: target, probe: true, says: "relay's address is not on the app's list of IP addresses"},
		99991403: {verdict: target, probe: true, says: "the month's calls are used up"},
		99991400: {verdict: temporary, wait: directWait, says: "too fast"},
		99992402: {verdict: content, says: "a field is not valid"},

		230001: {verdict: content, says: "a parameter is not valid"},
		230002: {verdict: recipient, says: "the bot is not in the chat"},
		230006: {verdict: target, says: "the app has no bot; add the bot capability and publish the app"},
		230013: {verdict: recipient, says: "the user is outside of the app's availability"},
		230015: {verdict: recipient, says: "the chat's settings forbid it"},
		230017: {verdict: recipient, says: "the chat's settings forbid it"},
		230018: {verdict: recipient, says: "the chat's settings forbid it"},
		230019: {verdict: recipient, says: "the chat's settings forbid it"},
		230020: {verdict: temporary, wait: directWait, says: "too fast"},
		230022: {verdict: content, says: "the content was refused by audit"},
		230025: {verdict: content, says: "the message is too large"},
		230027: {verdict: target, says: "the app lacks a permission"},
		230028: {verdict: content, says: "the content was refused by audit"},
		230029: {verdict: recipient, says: "the user has left"},
		230034: {verdict: recipient, says: "the id is not valid"},
		230035: {verdict: recipient, says: "the bot may not speak there"},
		230036: {verdict: target, says: "the organization's key was deleted"},
		230038: {verdict: recipient, says: "the user is in another organization"},
		230049: {verdict: temporary, says: "this message is being sent"},
		230053: {verdict: recipient, says: "the user has stopped the bot"},
		230054: {verdict: content, says: "it cannot be sent there"}, // these three: the exact words are not confirmed
		230055: {verdict: content, says: "it cannot be sent there"},
		230075: {verdict: content, says: "it cannot be sent there"},
		230099: {verdict: content, says: "the card is not valid"},
		232009: {verdict: recipient, says: "the chat was dissolved"},

		codeBadParam: {verdict: content, says: "a parameter is not valid"},
		40003:        {verdict: temporary, says: "internal error"}, // of a look-up; not confirmed
	}
	for _, code := range []int64{99991672, 99991676, 99991679} {
		all[code] = meaning{verdict: target, says: "the app lacks a scope"}
	}
	for _, code := range []int64{99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677} {
		all[code] = meaning{verdict: target, token: true, says: "the access token is not taken, a new one neither"}
	}
	for code := int64(99992351); code <= 99992364; code++ {
		all[code] = meaning{verdict: recipient, says: "there is no such user, or the id is another app's or organization's"}
	}
	return all
}

// lacksScope reports whether a code says that the app may not do it.
func lacksScope(code int64) bool {
	return code == 99991672 || code == 99991676 || code == 99991679 || code == 230027
}

// judgeApp says what an answer of an app's interfaces means. stale: the access
// token is not taken; the report then is what that means for a second time.
func judgeApp(a *post.Answer, attempt int, now time.Time) (r relay.Report, answer reply, stale bool) {
	answer = readReply(a, now)
	m, known := appCodes()[answer.code]
	if !known { // what is too fast or broken has the same codes everywhere
		m, known = codes()[answer.code]
	}
	return answer.judge(m, known, a, attempt, now), answer, answer.coded && m.token
}

// judgeSent says what the answer to a message means. A failure of the vendor's
// is temporary: the uuid keeps a message that came through from coming twice.
// stale is as in [judgeApp].
func judgeSent(a *post.Answer, attempt int, now time.Time) (r relay.Report, answer reply, stale bool) {
	r, answer, stale = judgeApp(a, attempt, now)
	switch {
	case r.Verdict == relay.Delivered:
		var body struct {
			Data struct {
				ID string `json:"message_id"`
			} `json:"data"`
		}
		_ = json.Unmarshal(a.Body, &body) // without an id there is no receipt
		r.Receipt = body.Data.ID
	case r.Verdict == relay.Ambiguous && a.Status >= http.StatusInternalServerError:
		r.Verdict = relay.Temporary
	case lacksScope(answer.code):
		r.Error += "; it needs " + scopeSend
	}
	return r, answer, stale
}
