package dingtalk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// meaning is what one code says. The zero wait leaves it to relay's back-off.
type meaning struct {
	verdict relay.Verdict
	words   string        // for people
	wait    time.Duration // where the answer names none
	probe   bool          // it can get well without a change of the settings
	token   bool          // an access token is what is not taken: another one may be
}

const (
	// blocked is how long a robot that sent too much is (DingTalk's throttling
	// page says about ten minutes); an answer may name its own time.
	blocked = 10 * time.Minute
	// minute is the window that a robot's 20 messages are counted in.
	minute = time.Minute
	// addressBlocked is for an IP address that sent too much.
	addressBlocked = 5 * time.Minute

	// patience is how many attempts a code has that nobody has documented.
	patience = 3

	codeSecurity = 310000 // the words tell which of the robot's settings refused
	codeGateway  = 88     // sub_code tells
)

// codes is what DingTalk's errcode means: "Custom robots send group messages",
// "Server API error codes"; those marked observed stand in no document.
func codes() map[int64]meaning {
	const (
		temporary = relay.Temporary
		message   = relay.MessageRefused
		target    = relay.DestinationRefused
	)
	return map[int64]meaning{
		-1:     {verdict: temporary, words: "the system is busy"},
		410100: {verdict: temporary, words: "too many messages", wait: blocked},
		130101: {verdict: temporary, words: "more than 20 messages a minute", wait: blocked}, // observed
		660026: {verdict: temporary, words: "too many messages a minute", wait: minute},      // observed
		90018:  {verdict: temporary, words: "too many calls of this app", wait: time.Second},
		90002:  {verdict: temporary, words: "too many calls of this interface", wait: time.Second},

		40035:  {verdict: message, words: "the JSON is missing or cannot be read"},
		43004:  {verdict: message, words: "the content type is not taken"},
		400105: {verdict: message, words: "the msgtype is not supported"},
		430101: {verdict: message, words: "it holds a link that is not safe"},
		430102: {verdict: message, words: "its text was rejected"},
		430103: {verdict: message, words: "its image was rejected"},
		430104: {verdict: message, words: "its content was rejected"},
		460101: {verdict: message, words: "it is longer than 20000 bytes"},  // observed
		22:     {verdict: message, words: "the HTTP method is not allowed"}, // observed

		400013: {verdict: target, words: "the group was dissolved"},
		400101: {verdict: target, words: "the token does not exist; copy the robot's webhook anew"},
		400102: {verdict: target, words: "the robot is disabled"},
		400106: {verdict: target, words: "the robot does not exist"},
		300005: {verdict: target, words: "the token does not exist; copy the robot's webhook anew"}, // observed
		300001: {verdict: target, words: "the token does not exist; copy the robot's webhook anew"}, // observed, older
		404:    {verdict: target, words: "there is nothing at this URL"},                            // observed
		40000:  {verdict: target, words: "the token is empty"},
		40014:  {verdict: target, words: "the token is not valid"},
		42001:  {verdict: target, words: "the token has expired"}, // not confirmed
		60011:  {verdict: target, words: "the permission is missing"},
		60020:  {verdict: target, words: "relay's IP address is not allowed", probe: true}, // not confirmed
		90020:  {verdict: target, words: "the month's calls are used up", probe: true},
	}
}

// security is what the words of 310000 mean, which may go on after them
// ("Customize robot security settings").
func security() map[string]meaning {
	return map[string]meaning{
		"keywords not in content": {verdict: relay.MessageRefused, words: "it has none of the robot's keywords; write one under keyword"},
		"invalid timestamp":       {verdict: relay.DestinationRefused, words: "the signature's time is not taken; set the clock, or write the robot's secret under secret", probe: true},
		"sign not match":          {verdict: relay.DestinationRefused, words: "the signature does not match; copy the robot's secret anew to secret"},
		"not in whitelist":        {verdict: relay.DestinationRefused, words: "relay's IP address is not in the robot's list", probe: true},
	}
}

// errTimestamp: a new signature may help.
var errTimestamp = errors.New("invalid timestamp")

// answer is the body of any answer. What a ban of an address says has no code.
type answer struct {
	Code    json.RawMessage `json:"errcode"`
	Message json.RawMessage `json:"errmsg"`
	SubCode json.RawMessage `json:"sub_code"`
	Status  json.RawMessage `json:"status"`
	Wait    json.RawMessage `json:"wait"` // minutes
	Punish  json.RawMessage `json:"punish"`
}

// classify reads the answer to a robot's message, which msgUuid keeps from
// coming twice where it came through. The error is errTimestamp or nil.
func classify(a *post.Answer, attempt int, now time.Time) (relay.Report, error) {
	r, err := judge(a, attempt, now)
	if r.Verdict == relay.Ambiguous && a.Status/100 == 5 {
		r.Verdict = relay.Temporary
	}
	return r, err
}

// judge reads an answer with an errcode: 200 with errcode 0 is the only
// success, and an error too comes with 200. The error is errTimestamp or nil.
func judge(a *post.Answer, attempt int, now time.Time) (relay.Report, error) {
	var body answer
	isJSON := json.Unmarshal(a.Body, &body) == nil
	code, coded := number(body.Code)
	switch {
	case coded && code == 0 && a.Status == http.StatusOK:
		return relay.Report{Verdict: relay.Delivered}, nil
	case coded && code != 0:
		return body.refused(a, code, attempt, now)
	case isJSON && body.banned():
		return relay.Report{Verdict: relay.Temporary, RetryAfter: max(body.minutes(), addressBlocked),
			Error: "dingtalk has blocked relay's IP address for a while"}, nil
	}
	r := post.ByStatus(a, now)
	if r.Verdict == relay.Delivered {
		r = relay.Report{Verdict: relay.Ambiguous,
			Error: fmt.Sprintf("dingtalk answered status %s without errcode 0: %q", post.StatusText(a.Status), post.Cut(string(a.Body), 100))}
		if bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<")) { // a page: this too is how an address is told that it is blocked
			r.RetryAfter = addressBlocked
		}
	}
	return r, nil
}

// refused is an answer with a code other than 0, whatever its status.
func (body answer) refused(a *post.Answer, code int64, attempt int, now time.Time) (relay.Report, error) {
	words := text(body.Message)
	said := fmt.Sprintf("dingtalk answered %d", code)
	m, known := codes()[code]
	switch code {
	case codeGateway:
		sub, _ := number(body.SubCode)
		said += fmt.Sprintf(", sub_code %d", sub)
		m, known = codes()[sub]
	case codeSecurity:
		// Other words than these: messages wait rather than die.
		m, known = meaning{verdict: relay.DestinationRefused, words: "the robot's security settings refuse it", probe: true}, true
		for part, meaning := range security() {
			if strings.Contains(words, part) {
				m = meaning
			}
		}
	}
	switch {
	case known:
		said += ": " + m.words
	case attempt < patience: // not documented: it may pass
		m.verdict = relay.Temporary
	default:
		m.verdict = relay.MessageRefused
	}
	if words != "" {
		said += " (" + words + ")"
	}
	r := relay.Report{Verdict: m.verdict, Probe: m.probe, Error: said}
	if r.Verdict == relay.Temporary {
		if r.RetryAfter = max(body.minutes(), post.WaitHint(a.Header, now)); r.RetryAfter == 0 {
			r.RetryAfter = m.wait
		}
	}
	if code == codeSecurity && strings.Contains(words, errTimestamp.Error()) {
		return r, errTimestamp
	}
	return r, nil
}

// banned reports whether relay's address sent too much for the vendor's gateway.
func (body answer) banned() bool {
	const status = 1111
	n, _ := number(body.Status)
	return body.Punish != nil || n == status
}

// minutes is how long an answer says that relay is blocked.
func (body answer) minutes() time.Duration {
	n, _ := number(body.Wait)
	return post.Seconds(float64(n) * 60)
}

// number reads a number, or one in a string.
func number(raw json.RawMessage) (int64, bool) {
	s := text(raw)
	if s == "" {
		s = string(raw)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n, err == nil
}

// text reads a string; anything else is empty.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}
