package dingtalk

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// app is an entry of `providers`: an organization's internal app, whose robot
// messages people. A group's custom robot cannot.
type app struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RobotCode    string `json:"robot_code"`
	APIBase      string `json:"api_base"`
	OAPIBase     string `json:"oapi_base"`
}

const providerSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "client_id": {
      "type": "string",
      "minLength": 1,
      "description": "the Client ID (AppKey) of an internal app with a robot; direct messages need it"
    },
    "client_secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the app's Client Secret (AppSecret)"
    },
    "robot_code": {
      "type": "string",
      "minLength": 1,
      "description": "the robot's code, where it is not the client_id, as it is for most internal apps"
    },
    "api_base": {
      "type": "string",
      "minLength": 1,
      "default": "https://api.dingtalk.com",
      "description": "the base URL of the OpenAPI: https://api.dingtalk.io for the international edition, or a gateway of your own"
    },
    "oapi_base": {
      "type": "string",
      "minLength": 1,
      "default": "https://oapi.dingtalk.com",
      "description": "the base URL of the older interface, which looks people up: https://oapi.dingtalk.io for the international edition"
    }
  }
}`

// What an app is allowed in the developer console.
const (
	permissionLookUp = "qyapi_get_member_by_mobile"
	permissionSend   = "qyapi_robot_sendmsg"
)

// readApp reads an entry's keys and completes them. Keys without credentials
// are a warning, and no app that can be used either.
func readApp(raw json.RawMessage) (app, []plugin.Problem) {
	var a app
	var problems []plugin.Problem
	problem := func(pointer, message string, warning bool) {
		problems = append(problems, plugin.Problem{Provider: true, Pointer: pointer, Message: message, Warning: warning})
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a); err != nil {
			problem("", "the settings cannot be read: "+err.Error(), false)
			return a, problems
		}
	}
	base := func(pointer string, value *string, usual string) {
		var fault string
		if *value, fault = post.BaseURL(*value, usual); fault != "" {
			problem(pointer, fault, false)
		}
	}
	base("/api_base", &a.APIBase, "https://api.dingtalk.com")
	base("/oapi_base", &a.OAPIBase, "https://oapi.dingtalk.com")
	for _, key := range []struct{ pointer, value string }{{"/client_id", a.ClientID}, {"/client_secret", a.ClientSecret}, {"/robot_code", a.RobotCode}} {
		if strings.ContainsFunc(key.value, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
			problem(key.pointer, "it holds a space, a line break or another character that none has; copy it anew from the app's credentials in DingTalk's developer console", false)
		}
	}
	switch {
	case a.ClientID == "" && a.ClientSecret == "" && a.RobotCode == "":
		problem("/client_id", "direct messages need client_id and client_secret of an internal app that has a robot and the permissions "+
			permissionSend+" and "+permissionLookUp+"; without them events go to the channel", true)
	case a.ClientID == "":
		problem("/client_id", "client_id is missing; copy the Client ID (AppKey) from the app's credentials in DingTalk's developer console", false)
	case a.ClientSecret == "":
		problem("/client_secret", "client_secret is missing; copy the Client Secret (AppSecret) from the app's credentials in DingTalk's developer console", false)
	}
	if a.RobotCode == "" {
		a.RobotCode = a.ClientID
	}
	return a, problems
}

const (
	stepToken = "oauth2/accessToken"

	// tokenLife is how long a token is good ("Obtain the access token of an
	// internal app"), where its answer does not say. Who asks again meanwhile
	// gets the same one, for longer.
	tokenLife   = 2 * time.Hour
	tokenMargin = 200 * time.Second
)

// tokenInAnswer finds a token also in an answer that broke off.
var tokenInAnswer = regexp.MustCompile(`"accessToken"\s*:\s*"([^"]*)`)

// fetch is a [post.Fetch].
func (a app) fetch(ctx context.Context, c *post.Calls) (string, time.Duration, *relay.Report) {
	fail := func(r relay.Report) (string, time.Duration, *relay.Report) { return "", 0, &r }
	body, err := post.Encode(struct {
		Key    string `json:"appKey"`
		Secret string `json:"appSecret"`
	}{a.ClientID, a.ClientSecret})
	if err != nil {
		return fail(relay.Report{Verdict: relay.DestinationRefused, Error: err.Error()})
	}
	answer, err := c.Do(ctx, stepToken, post.JSON(a.APIBase+"/v1.0/oauth2/accessToken", body))
	if answer != nil {
		for _, found := range tokenInAnswer.FindAllSubmatch(answer.Body, -1) {
			c.Hide(string(found[1]))
		}
	}
	if err != nil {
		return fail(post.Harmless(err))
	}
	var got struct {
		Token  string          `json:"accessToken"`
		Expire json.RawMessage `json:"expireIn"` // seconds
	}
	if answer.Status == http.StatusOK && json.Unmarshal(answer.Body, &got) == nil && got.Token != "" {
		life := tokenLife
		if seconds, ok := number(got.Expire); ok && seconds > 0 {
			life = post.Seconds(float64(seconds))
		}
		return got.Token, life, nil
	}
	r, _ := judgeApp(answer, patience, time.Now())
	switch r.Verdict {
	case relay.Temporary, relay.DestinationRefused:
	case relay.Ambiguous: // an answer without a token, or a vendor's failure: nobody got anything
		r.Verdict = relay.Temporary
	default: // the request holds nothing but the credentials
		r.Verdict, r.Probe = relay.DestinationRefused, true
	}
	return fail(r)
}
