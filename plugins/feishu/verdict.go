package feishu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	// busyWait is how long the whole bot waits where it was too fast. The
	// vendor gives no hint with a webhook's answer; its windows are a second
	// and a minute, and at :00 and :30 it refuses below them too.
	busyWait = 10 * time.Second

	// unknownTries is how often a message is tried that is refused with a code
	// that nobody has documented.
	unknownTries = 5

	codeBadRequest = 9499
	codeBadCard    = 11246
	codeSignature  = 19021

	// unknownPersonCode stands in the words of a refusal, not in its code.
	unknownPersonCode = "100290"
)

// meaning is what a code says.
type meaning struct {
	verdict relay.Verdict
	probe   bool          // with a refused destination: what a person repairs there, relay finds repaired
	wait    time.Duration // with a temporary refusal: for how long, where the answer does not say
	token   bool          // an access token is what is not taken: another one may be
	says    string
}

// codes are the vendor's (add-custom-bot, generic error codes). They count
// before the status, which is 200 with most of them.
func codes() map[int64]meaning {
	return map[int64]meaning{
		codeBadRequest: {verdict: relay.MessageRefused, says: "the request is malformed or too large"},
		19002:          {verdict: relay.MessageRefused, says: "msg_type is missing or wrong"},
		19024:          {verdict: relay.MessageRefused, says: "none of the bot's keywords is in the message; set keyword to one of them"},
		19036:          {verdict: relay.MessageRefused, says: "the message is too large"},
		codeBadCard:    {verdict: relay.MessageRefused, says: "the card is not valid"},
		11310:          {verdict: relay.MessageRefused, says: "the card has too many elements, or one that is not supported"},
		11235:          {verdict: relay.MessageRefused, says: "only administrators of the group may mention everybody"},
		11248:          {verdict: relay.MessageRefused, says: "the content was refused by audit"},
		11312:          {verdict: relay.MessageRefused, says: "the content was refused by audit"},
		18054:          {verdict: relay.MessageRefused, says: "the content was refused by audit"},

		19001:         {verdict: relay.DestinationRefused, says: "there is no such bot; copy the webhook's URL anew"},
		codeSignature: {verdict: relay.DestinationRefused, probe: true, says: "the signature does not match, or relay's clock is wrong by an hour; compare secret with the bot's"},
		19022:         {verdict: relay.DestinationRefused, probe: true, says: "relay's address is not on the bot's list of IP addresses"},
		10002:         {verdict: relay.DestinationRefused, probe: true, says: "the bot is not in the group"},
		11237:         {verdict: relay.DestinationRefused, says: "the group was dissolved"},
		11242:         {verdict: relay.DestinationRefused, probe: true, says: "the group is banned"},

		11232:    {verdict: relay.Temporary, wait: busyWait, says: "too fast"},
		11233:    {verdict: relay.Temporary, wait: busyWait, says: "too fast for the group"},
		11247:    {verdict: relay.Temporary, wait: busyWait, says: "too fast"},
		99991400: {verdict: relay.Temporary, wait: busyWait, says: "too fast"},
		1000004:  {verdict: relay.Temporary, wait: busyWait, says: "too fast"},
		1000005:  {verdict: relay.Temporary, wait: busyWait, says: "too fast"},
		18121:    {verdict: relay.Temporary, says: "the same request is still being processed"},
		1500:     {verdict: relay.Temporary, says: "internal error"},
		1663:     {verdict: relay.Temporary, says: "internal error"},
		2200:     {verdict: relay.Temporary, says: "internal error"},
		5000:     {verdict: relay.Temporary, says: "internal error"},
		10101:    {verdict: relay.Temporary, says: "internal error"},
		10500:    {verdict: relay.Temporary, says: "internal error"},
	}
}

// reply is what the vendor's answer says.
type reply struct {
	coded   bool // there is a code
	code    int64
	message string
	clock   time.Time // the vendor's, or else ours
}

// readReply reads code and msg, or StatusCode and StatusMessage, which older
// bots answered.
func readReply(a *post.Answer, now time.Time) reply {
	var body struct {
		Code          json.RawMessage `json:"code"`
		Message       any             `json:"msg"`
		StatusCode    json.RawMessage `json:"StatusCode"`
		StatusMessage any             `json:"StatusMessage"`
	}
	r := reply{clock: now}
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		r.clock = at
	}
	if json.Unmarshal(a.Body, &body) != nil {
		return r
	}
	message := body.Message
	if r.code, r.coded = number(body.Code); !r.coded {
		if r.code, r.coded = number(body.StatusCode); message == nil {
			message = body.StatusMessage
		}
	}
	r.message, _ = message.(string)
	return r
}

// number reads a number, also one in a string.
func number(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(strings.Trim(string(raw), `"`)), 10, 64)
	return n, err == nil
}

// unknownPerson reports whether a mention is what was refused.
func (r reply) unknownPerson() bool {
	return r.coded && r.code != 0 && strings.Contains(r.message, unknownPersonCode)
}

// classify says what an answer means: only a good status and the code 0
// promise that the message is there.
func (r reply) classify(a *post.Answer, attempt int, now time.Time) relay.Report {
	m, known := codes()[r.code]
	return r.judge(m, known, a, attempt, now)
}

// judge says what an answer means whose code means m, if it is known.
func (r reply) judge(m meaning, known bool, a *post.Answer, attempt int, now time.Time) relay.Report {
	good := a.Status/100 == 2
	switch {
	case good && r.coded && r.code == 0:
		return relay.Report{Verdict: relay.Delivered}
	case good && !r.coded:
		return relay.Report{Verdict: relay.Ambiguous,
			Error: fmt.Sprintf("feishu answered status %s without a code: %q", post.StatusText(a.Status), post.Cut(strings.TrimSpace(string(a.Body)), 100))}
	case r.coded && known:
		return r.known(m, a, now)
	case r.coded && r.code != 0 && (good || a.Status == http.StatusBadRequest):
		report := relay.Report{Verdict: relay.Temporary, Error: r.text("a code that is not documented")}
		if attempt >= unknownTries {
			report.Verdict = relay.MessageRefused
		}
		return report
	}
	report := post.ByStatus(a, now)
	if r.coded {
		report.Error += ": " + r.text("")
	}
	return report
}

// known is the report of a documented code, but for the two that stand for
// several things and say in words for which.
func (r reply) known(m meaning, a *post.Answer, now time.Time) relay.Report {
	words := strings.ToLower(r.message)
	switch {
	case r.code == codeBadRequest && (strings.Contains(words, "frequency") || strings.Contains(words, "limit")):
		m = meaning{verdict: relay.Temporary, wait: busyWait, says: "too fast"}
	case r.code == codeBadCard && strings.Contains(words, "service internal error"):
		m = meaning{verdict: relay.Temporary, says: "internal error"}
	}
	report := relay.Report{Verdict: m.verdict, Probe: m.probe, Error: r.text(m.says)}
	if m.verdict == relay.Temporary {
		report.RetryAfter = waitHint(a.Header, now)
		if report.RetryAfter == 0 {
			report.RetryAfter = m.wait
		}
	}
	return report
}

// waitHint is Retry-After, or the gateway's own header: seconds to wait.
func waitHint(h http.Header, now time.Time) time.Duration {
	if wait := post.WaitHint(h, now); wait > 0 {
		return wait
	}
	seconds, err := strconv.ParseFloat(h.Get("X-Ogw-Ratelimit-Reset"), 64)
	if err != nil {
		return 0
	}
	return post.Seconds(seconds)
}

func (r reply) text(says string) string {
	text := "feishu answered code " + strconv.FormatInt(r.code, 10)
	if says != "" {
		text += " (" + says + ")"
	}
	if r.message != "" {
		text += ": " + r.message
	}
	return text
}
