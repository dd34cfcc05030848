package dingtalk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Codes of the older interface that looking people up can meet.
const (
	codeUnknownUser  = 60121
	codeBadMobile    = 40104
	codeBadParameter = 400002
	codeNoPermission = 60011
	codeBadToken     = 40014
	codeOldToken     = 42001
)

// appNames is what the OpenAPI's named errors mean, in small letters, which are
// not always written alike: "Chatbots send one-on-one chat messages in
// batches", "How to process API throttling"; those marked observed stand in no
// document.
func appNames() map[string]meaning {
	const (
		temporary = relay.Temporary
		message   = relay.MessageRefused
		recipient = relay.RecipientRefused
		target    = relay.DestinationRefused
	)
	all := map[string]meaning{
		"invalidclientidorsecret":                            {verdict: target, words: "the client_id or the client_secret is wrong; copy both anew from the app's credentials"},
		"invalidauthentication":                              {verdict: target, token: true, words: "the access token is not taken, a new one neither"},   // observed
		"authenticationfailed.missingparameter":              {verdict: target, words: "the access token did not arrive; does a proxy take headers off?"}, // observed
		"forbidden.accessdenied.accesstokenpermissiondenied": {verdict: target, words: "the app lacks a permission"},
		"forbidden.accessdenied.ipnotinwhitelist":            {verdict: target, words: "relay's IP address is not in the app's list", probe: true},
		"forbidden.accessdenied.apicountlimitfororg":         {verdict: target, words: "the month's calls are used up", probe: true},
		"forbidden.accessdenied.qpslimitforappkeyandapi":     {verdict: temporary, words: "too many calls of this app", wait: time.Second},
		"forbidden.accessdenied.qpslimitforapi":              {verdict: temporary, words: "too many calls of this interface", wait: time.Second},
		"invalidparameter.robotcode.notexsit":                {verdict: target, words: "there is no such robot; write the code of the app's robot under robot_code"}, // as it is spelled
		"invalidparameter.robotcode.notexist":                {verdict: target, words: "there is no such robot; write the code of the app's robot under robot_code"},
		"invalidparameter.robotcode.invalid":                 {verdict: target, words: "the robot_code is not valid; copy it from the app's robot"},
		"invalidparameter.robotcode.auth":                    {verdict: target, words: "the robot is another app's; use the client_id of the robot's own app"},
		"robot.oto.notexist":                                 {verdict: target, words: "the app has no robot for direct messages; add one to the app and publish it"},
		"chatbotid.notallow.sendoto":                         {verdict: target, words: "the robot may not message people; use the robot of an internal app"},
		"bot.stopped":                                        {verdict: target, words: "the robot is stopped; start it in the developer console"},
		"send.forbidden":                                     {verdict: target, words: "the robot may not send; grant the app " + permissionSend},
		"ip.not.match":                                       {verdict: target, words: "relay's IP address is not in the app's list", probe: true},
		"sign.not.match":                                     {verdict: target, words: "the signature does not match"},
		"system.error":                                       {verdict: temporary, words: "the system failed"},
		"unknownerror":                                       {verdict: temporary, words: "the system failed"},
		"send.bytoken.toofast":                               {verdict: temporary, words: "too many messages", wait: minute}, // these four name no wait
		"send.too.fast":                                      {verdict: temporary, words: "too many messages", wait: minute},
		"too.many.group":                                     {verdict: temporary, words: "too many groups", wait: minute},
		"too.many.people":                                    {verdict: temporary, words: "too many people", wait: minute},
		"staffid.notexisted":                                 {verdict: recipient, words: "there is no such user"},
		"illegal.receivers":                                  {verdict: recipient, words: "the user cannot be messaged"},
		"session.notexisted":                                 {verdict: recipient, words: "there is no chat with the user"},
		"session.expired":                                    {verdict: recipient, words: "the chat with the user has ended"},
		"bot.forbidden.sendmessage":                          {verdict: recipient, words: "the user does not take messages from the robot"},
	}
	for _, token := range []string{"invalidparameter.token.invalid", "invalidparameter.token.notexisted", "token.notexisted"} {
		all[token] = all["invalidauthentication"]
	}
	for _, name := range []string{"robotcode.empty", "userids.empty", "userids.overmax", "userid.empty", "msgkey.empty", "msgkey.invalid",
		"msgparam.invalid", "msgparam.toolong", "msgbody.invalid", "msg.unsupport", "param.invalid"} {
		all["invalidparameter."+name] = meaning{verdict: message}
	}
	for _, name := range []string{"template.not.existed", "template.stopped", "sendmessage.model.notmatch", "keywords.not.match", "contain.unsafe.url",
		"contain.notallowed.text", "contain.notallowed.picture", "contain.notallowed.content", "receivers.exceed", "illegal.excludes"} {
		all[name] = meaning{verdict: message}
	}
	return all
}

// meaningOf is what a name means; of some families only the beginning tells.
func meaningOf(name string) (m meaning, known bool) {
	name = strings.ToLower(name)
	if m, known = appNames()[name]; known {
		return m, true
	}
	switch {
	case strings.HasPrefix(name, "miss.param."), strings.HasPrefix(name, "invalid.param."):
		return meaning{verdict: relay.MessageRefused}, true
	case strings.HasPrefix(name, "forbidden.accessdenied.qpslimit"):
		return appNames()["forbidden.accessdenied.qpslimitforapi"], true
	}
	return meaning{}, false
}

// judgeApp says what an answer of the app's interfaces means: the OpenAPI names
// its errors, with a status to match; the older interface numbers them. Only
// the older one says success so that it can be read here. bad: the access token
// is not taken; the report then is what that means for a second time.
func judgeApp(a *post.Answer, attempt int, now time.Time) (r relay.Report, bad bool) {
	var body struct {
		answer
		Name   json.RawMessage `json:"code"`
		Words  json.RawMessage `json:"message"`
		Denied json.RawMessage `json:"accessdenieddetail"`
	}
	_ = json.Unmarshal(a.Body, &body) // what cannot be read names nothing
	name := text(body.Name)
	if name == "" {
		code, _ := number(body.Code)
		if sub, ok := number(body.SubCode); ok && code == codeGateway {
			code = sub
		}
		r, _ = judge(a, attempt, now)
		return r, code == codeBadToken || code == codeOldToken
	}
	m, known := meaningOf(name)
	said := "dingtalk answered " + name
	switch words := text(body.Words); {
	case m.words != "":
		said += ": " + m.words
	case words != "":
		said += ": " + words
	}
	if scopes := requiredScopes(body.Denied); scopes != "" {
		said += "; it needs " + scopes
	}
	switch {
	case known:
		r = relay.Report{Verdict: m.verdict, Probe: m.probe}
		if r.Verdict == relay.Temporary {
			if r.RetryAfter = post.WaitHint(a.Header, now); r.RetryAfter == 0 {
				r.RetryAfter = m.wait
			}
		}
	case a.Status != http.StatusBadRequest:
		if r = post.ByStatus(a, now); r.Verdict == relay.Delivered {
			r.Verdict = relay.Ambiguous
		}
	case attempt < patience: // not documented: it may pass
		r.Verdict = relay.Temporary
	default:
		r.Verdict = relay.MessageRefused
	}
	r.Error = said
	return r, m.token
}

// requiredScopes are the permissions that a refusal asks for.
func requiredScopes(detail json.RawMessage) string {
	var d struct {
		Scopes []string `json:"requiredScopes"`
	}
	if json.Unmarshal(detail, &d) != nil {
		return ""
	}
	return strings.Join(d.Scopes, ", ")
}

// judgeSent says what the answer to a message to one person means: 200 may
// list the person among those who got none. bad is as in [judgeApp].
func judgeSent(a *post.Answer, attempt int, now time.Time) (r relay.Report, bad bool) {
	var body struct {
		Key      string            `json:"processQueryKey"`
		Invalid  []json.RawMessage `json:"invalidStaffIdList"`
		Filtered []json.RawMessage `json:"filteredStaffIdList"` // not in the document, only in DingTalk's SDK
		Slowed   []json.RawMessage `json:"flowControlledStaffIdList"`
	}
	r, bad = judgeApp(a, attempt, now)
	if r.Verdict != relay.Ambiguous && r.Verdict != relay.Delivered || a.Status != http.StatusOK {
		return r, bad
	}
	readable := json.Unmarshal(a.Body, &body) == nil
	switch {
	case readable && len(body.Invalid) > 0:
		return relay.Report{Verdict: relay.Unmatched,
			Error: "dingtalk knows no such user (invalidStaffIdList); is the person in the app's visible scope?"}, false
	case readable && len(body.Filtered) > 0:
		return relay.Report{Verdict: relay.RecipientRefused, Error: "dingtalk left the user out (filteredStaffIdList)"}, false
	case readable && len(body.Slowed) > 0:
		// A wait would hold everybody's messages; this limit is one person's.
		return relay.Report{Verdict: relay.Temporary, Error: "the user got too many messages (flowControlledStaffIdList)"}, false
	case readable && body.Key != "":
		return relay.Report{Verdict: relay.Delivered, Receipt: body.Key}, false
	}
	r.Verdict = relay.Ambiguous
	r.Error = fmt.Sprintf("dingtalk answered status %s without a processQueryKey: %q", post.StatusText(a.Status), post.Cut(string(a.Body), 100))
	return r, false
}
