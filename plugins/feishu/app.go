package feishu

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// What an app is granted in the developer console.
const (
	scopeSend   = "im:message:send_as_bot"
	scopeLookUp = "contact:user.id:readonly"
)

// checkApp says what is wrong with the app's credentials. That there are none
// is a warning.
func (e entrySettings) checkApp() []plugin.Problem {
	_, problems := e.check()
	problem := func(pointer, message string, warning bool) {
		problems = append(problems, plugin.Problem{Provider: true, Pointer: pointer, Message: message, Warning: warning})
	}
	for _, key := range []struct{ pointer, value string }{{"/app_id", e.AppID}, {"/app_secret", e.AppSecret}} {
		if strings.ContainsFunc(key.value, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
			problem(key.pointer, "it holds a space, a line break or another character that none has; copy it anew from the app's credentials in the developer console", false)
		}
	}
	switch {
	case e.AppID == "" && e.AppSecret == "":
		problem("/app_id", "direct messages need app_id and app_secret of a custom app with the bot capability and the scopes "+
			scopeSend+" and "+scopeLookUp+"; without them events go to the channel", true)
	case e.AppID == "":
		problem("/app_id", "app_id is missing; copy the App ID (cli_…) from the app's credentials in the developer console", false)
	case e.AppSecret == "":
		problem("/app_secret", "app_secret is missing; copy the App Secret from the app's credentials in the developer console", false)
	}
	return problems
}

// base is where the vendor's interfaces are. An organization lives in one
// edition, and its ids mean nothing to the other.
func (e entrySettings) base() string {
	switch {
	case e.APIBase != "":
		return strings.TrimRight(e.APIBase, "/")
	case e.Domain == domainLark:
		return "https://" + hostLark
	}
	return "https://" + hostFeishu
}

const (
	stepToken = "tenant_access_token/internal"

	// tokenLife is how long a token is good at most, where its answer does not
	// say (auth/v3/tenant_access_token/internal). The vendor's SDK fetches a new
	// one three minutes early.
	tokenLife   = 2 * time.Hour
	tokenMargin = 3 * time.Minute
)

// tokenInAnswer finds a token also in an answer that broke off.
var tokenInAnswer = regexp.MustCompile(`"tenant_access_token"\s*:\s*"([^"]*)`)

// fetch is a [post.Fetch]. Apps of the store take another call, which needs
// what only their publisher has.
func (e entrySettings) fetch(ctx context.Context, c *post.Calls) (string, time.Duration, *relay.Report) {
	fail := func(r relay.Report) (string, time.Duration, *relay.Report) { return "", 0, &r }
	body, err := post.Encode(struct {
		ID     string `json:"app_id"`
		Secret string `json:"app_secret"`
	}{e.AppID, e.AppSecret})
	if err != nil {
		return fail(relay.Report{Verdict: relay.DestinationRefused, Error: err.Error()})
	}
	answer, err := c.Do(ctx, stepToken, post.JSON(e.base()+"/open-apis/auth/v3/tenant_access_token/internal", body))
	if answer != nil {
		for _, found := range tokenInAnswer.FindAllSubmatch(answer.Body, -1) {
			c.Hide(string(found[1]))
		}
	}
	if err != nil {
		return fail(post.Harmless(err))
	}
	r, _, _ := judgeApp(answer, unknownTries, time.Now())
	var got struct {
		Token  string          `json:"tenant_access_token"`
		Expire json.RawMessage `json:"expire"` // seconds
	}
	if r.Verdict == relay.Delivered && json.Unmarshal(answer.Body, &got) == nil && got.Token != "" {
		life := tokenLife
		if seconds, ok := number(got.Expire); ok && seconds > 0 {
			life = post.Seconds(float64(seconds))
		}
		return got.Token, life, nil
	}
	switch r.Verdict {
	case relay.Temporary, relay.DestinationRefused:
	case relay.Delivered:
		r = relay.Report{Verdict: relay.Temporary, Error: "feishu answered without an access token"}
	case relay.Ambiguous:
		r.Verdict = relay.Temporary
	default: // the request holds nothing but the credentials
		r.Verdict, r.Probe = relay.DestinationRefused, true
	}
	return fail(r)
}
