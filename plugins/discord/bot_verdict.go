package discord

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// Codes that mean something else, or something at all, to a bot that writes to
// a person ("JSON Error Codes").
const (
	unknownChannel   = 10003
	unknownUser      = 10013
	tooManyDMs       = 40003
	missingAccess    = 50001
	cannotMessage    = 50007
	invalidRecipient = 50033
	noMutualGuild    = 50278
)

// tooManyWait is the least wait where a bot opens channels with people too fast.
// Discord names no time; a bot that goes on is limited or blocked.
const tooManyWait = 10 * time.Minute

// classifyBot reads Discord's answer to a call of a bot. It says as well what
// its code is, and whether Discord wants nothing at all from this address.
func classifyBot(a *post.Answer, call string, now time.Time) (r relay.Report, code int, global bool) {
	r, global = classify(a, now)
	if a.Status/100 == 2 {
		if r.Verdict == relay.Ambiguous && call != createMessage {
			r.Verdict = relay.Temporary
		}
		return r, 0, global
	}
	var body answer
	_ = json.Unmarshal(a.Body, &body) // no object: nil
	number, _ := body.number("code")
	code = int(number)
	switch {
	case code == tooManyDMs:
		r = relay.Report{Verdict: relay.Temporary, RetryAfter: max(tooManyWait, wait(a, body, now)), Error: r.Error}
	case a.Status == http.StatusTooManyRequests:
	case code == unknownUser:
		r = relay.Report{Verdict: relay.Unmatched, Error: r.Error}
	case code == unknownChannel, code == cannotMessage, code == invalidRecipient, code == noMutualGuild:
		r = relay.Report{Verdict: relay.RecipientRefused, Error: r.Error}
	case call == createMessage:
	case r.Verdict == relay.MessageRefused: // all that was sent is the recipient's id
		r.Verdict = relay.RecipientRefused
	case r.Verdict == relay.Ambiguous:
		r.Verdict = relay.Temporary
	}
	if remedy := remedies()[code]; remedy != "" {
		r.Error += "; " + remedy
	} else if a.Status == http.StatusUnauthorized {
		r.Error += "; the bot's token is not valid any more: Reset Token at discord.com/developers/applications"
	}
	return r, code, global
}

func remedies() map[int]string {
	return map[int]string{
		cannotMessage: "the person takes no direct messages from this bot or its server",
		noMutualGuild: "the bot and the person have no server in common: invite the bot to one that the person is in",
	}
}
