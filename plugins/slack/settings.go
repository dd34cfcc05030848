package slack

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// settings are a destination's own keys. At most one of them is set.
type settings struct {
	URL     string `json:"url"`
	Channel string `json:"channel"`
}

// credentials are the keys of a `providers` entry: an app in a workspace.
type credentials struct {
	BotToken string `json:"bot_token"`
	APIBase  string `json:"api_base"`
}

const defaultBase = "https://slack.com/api"

const providerSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "bot_token": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the app's Bot User OAuth Token (xoxb-…), from OAuth & Permissions at api.slack.com/apps; direct messages need its scopes users:read, users:read.email, im:write and chat:write"
    },
    "api_base": {
      "type": "string",
      "minLength": 1,
      "description": "where the Web API is; default https://slack.com/api, for GovSlack https://slack-gov.com/api"
    }
  }
}`

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the incoming webhook's URL, such as https://hooks.slack.com/services/T…/B…/…"
    },
    "channel": {
      "type": "string",
      "minLength": 1,
      "description": "in place of url: a channel that the app of the provider's bot_token posts to, by its id (C…, better) or its name (\"#general\", in quotes); the app has to be a member"
    }
  }
}`

var (
	channelID   = regexp.MustCompile(`^[CG][A-Z0-9]{2,}$`)
	channelName = regexp.MustCompile(`^#[^\s#,<>@]{1,80}$`)
	userID      = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
)

// checkChannel says what is wrong with a channel's id or name; empty: nothing.
func checkChannel(channel string) string {
	switch {
	case channelID.MatchString(channel), channelName.MatchString(channel):
		return ""
	case userID.MatchString(channel), strings.HasPrefix(channel, "@"):
		return "that is a person; write a channel's id (C…), and use direct_messages to reach people"
	}
	return `not a channel; write its id, such as C012AB3CD (in Slack: the channel's details, at the bottom), or its name with #, such as "#general"`
}

// account reads the credentials of a `providers` entry, without the network.
// There is none where they are missing or where a problem is a fault.
func (p *Provider) account(s plugin.Settings) (*api, []plugin.Problem) {
	var c credentials
	if len(s.Provider) > 0 {
		if err := json.Unmarshal(s.Provider, &c); err != nil {
			return nil, []plugin.Problem{{Provider: true, Message: "the settings cannot be read: " + err.Error()}}
		}
	}
	var problems []plugin.Problem
	report := func(pointer, message string, warning bool) {
		if message != "" {
			problems = append(problems, plugin.Problem{Provider: true, Pointer: pointer, Message: message, Warning: warning})
		}
	}
	base, fault := post.BaseURL(c.APIBase, defaultBase)
	report("/api_base", fault, false)
	if c.BotToken == "" {
		if fault == "" {
			report("/bot_token", "direct messages need the app's bot token: set bot_token with the scopes users:read, users:read.email, im:write and chat:write "+
				"(api.slack.com/apps, OAuth & Permissions)", true)
		}
		return nil, problems
	}
	message, usable := checkToken(c.BotToken)
	report("/bot_token", message, usable)
	if fault != "" || !usable {
		return nil, problems
	}
	a := &api{client: p.client, masker: s.Masker, base: base, token: c.BotToken}
	a.chats = p.chats.Get(a.name(), func() *plugin.Memory[string] { return &plugin.Memory[string]{} })
	return a, problems
}

// checkToken says what is wrong with a token, and whether it can be used all
// the same.
func checkToken(token string) (message string, usable bool) {
	const remedy = "; copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions at api.slack.com/apps"
	switch {
	case strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) || r == ' ' }):
		return "the token holds a space or another character that no token has" + remedy, false
	case strings.HasPrefix(token, "xoxe"):
		// A rotated token ends after twelve hours, and only the app's secret gets another.
		return "this token ends after some hours, because token rotation is on; relay needs one that stays: install an app without token rotation" + remedy, false
	case strings.HasPrefix(token, "xoxp-"):
		return "this is a user's token: messages would come from that person" + remedy, false
	case strings.HasPrefix(token, "xapp-"):
		return "this is an app-level token, which cannot post" + remedy, false
	case !strings.HasPrefix(token, "xoxb-"):
		return "the token does not look like a bot's; Slack's begin with xoxb-", true
	}
	return "", true
}
