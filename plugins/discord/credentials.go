package discord

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// credentials are the keys of a `providers` entry: a bot.
type credentials struct {
	BotToken string `json:"bot_token"`
	APIBase  string `json:"api_base"`
}

const defaultBase = "https://discord.com/api/v10"

const providerSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "bot_token": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the bot's token, for direct messages: discord.com/developers/applications, Bot, Reset Token; the bot shares a server with everybody whom it writes to"
    },
    "api_base": {
      "type": "string",
      "minLength": 1,
      "description": "where the API is that the bot calls, with its version; default https://discord.com/api/v10"
    }
  }
}`

// account reads the credentials of a `providers` entry, without the network.
// There is none where they are missing or where a problem is a fault.
func (p *Provider) account(s plugin.Settings) (*bot, []plugin.Problem) {
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
			report("/bot_token", "direct messages need a bot: set bot_token (discord.com/developers/applications, Bot, Reset Token) "+
				"and invite the bot to a server that the people are in", true)
		}
		return nil, problems
	}
	message, usable := checkToken(c.BotToken)
	report("/bot_token", message, usable)
	if fault != "" || !usable {
		return nil, problems
	}
	b := &bot{client: p.client, global: &p.global, masker: s.Masker, base: base, token: c.BotToken}
	b.chats = p.chats.Get(b.name(), func() *plugin.Memory[string] { return &plugin.Memory[string]{} })
	return b, problems
}

// tokenParts is how bots' tokens look: an id, a time and a signature.
var tokenParts = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// checkToken says what is wrong with a token, and whether it can be used all
// the same.
func checkToken(token string) (message string, usable bool) {
	const remedy = "; copy the token from discord.com/developers/applications, Bot, Reset Token"
	switch {
	case strings.HasPrefix(token, "Bot "):
		return "leave the word Bot before the token out", false
	case strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) || r == ' ' }):
		return "the token holds a space or another character that no token has" + remedy, false
	case strings.HasPrefix(token, "mfa."):
		return "this is a person's token, which Discord forbids programs to use" + remedy, false
	case !tokenParts.MatchString(token):
		return "the token does not look like a bot's, which has three parts with dots between them (the client secret is another thing)" + remedy, true
	}
	return "", true
}
