package wecom

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

// meaning is what one code says. The zero wait leaves it to relay's back-off.
type meaning struct {
	verdict relay.Verdict
	words   string        // for people
	wait    time.Duration // where the answer names none
}

const (
	// blocked is how long a robot that sent too much is: as long as the window
	// that it left, which is a minute (90313).
	blocked = time.Minute

	// patience is how many attempts a code has that nobody has documented.
	patience = 3

	// Every code between these is about a fault of a template_card.
	firstCardFault = 42027
	lastCardFault  = 42051
)

// codes is what WeCom's errcode means for a robot (91770, 90313).
func codes() map[int64]meaning {
	all := messageCodes()
	all[45009] = meaning{verdict: relay.Temporary, words: "more than 20 messages a minute", wait: blocked}
	for code, words := range map[int64]string{
		93000: "the webhook's key is not valid, or the robot was removed from its group; copy the robot's webhook anew",
		93004: "the robot is disabled",
		93006: "the chat id is not valid",
		93008: "the robot is not in the group",
		49008: "the group was dissolved",
	} {
		all[code] = meaning{verdict: relay.DestinationRefused, words: words}
	}
	return all
}

// messageCodes is what a code means whoever sends the message (90313).
func messageCodes() map[int64]meaning {
	all := map[int64]meaning{
		-1:    {verdict: relay.Temporary, words: "the system is busy"},
		6000:  {verdict: relay.Temporary, words: "somebody else changed the data at the same time"},
		45033: {verdict: relay.Temporary, words: "too many calls at the same time"},
		81026: {verdict: relay.Temporary, words: "the feature is under maintenance"},
	}
	for words, list := range map[string][]int64{
		"the msgtype is not supported":             {40008},
		"a parameter is bad, missing or empty":     {40035, 40063, 41011, 41016, 41033, 44001, 44004},
		"the JSON, a length or a list is not good": {40058},
		"it holds characters that are not UTF-8":   {40033},
		"a URL is not good":                        {40039, 45034, 40094, 40127},
		"the image or the file is not good":        {40004, 40005, 40006, 40007, 40009, 40123, 45001},
		"it is too long":                           {40206, 45002},
		"it has too many articles":                 {45008},
		"its content is not allowed":               {40201, 40204, 82004},
	} {
		for _, code := range list {
			all[code] = meaning{verdict: relay.MessageRefused, words: words}
		}
	}
	for code := int64(firstCardFault); code <= lastCardFault; code++ {
		all[code] = meaning{verdict: relay.MessageRefused, words: "the template_card is not good"}
	}
	return all
}

// classify reads WeCom's answer: 200 with errcode 0 is the only success, and
// an error too comes with 200.
func classify(a *post.Answer, attempt int, now time.Time) relay.Report {
	var body struct {
		Code    json.RawMessage `json:"errcode"`
		Message json.RawMessage `json:"errmsg"`
	}
	_ = json.Unmarshal(a.Body, &body) // what is no JSON has no code
	code, coded := number(body.Code)
	switch {
	case coded && code == 0 && a.Status == http.StatusOK:
		return relay.Report{Verdict: relay.Delivered}
	case coded && code != 0:
		return refused(codes(), a, code, words(body.Message), attempt, now)
	}
	r := post.ByStatus(a, now)
	switch {
	case r.Verdict == relay.Delivered:
		r = relay.Report{Verdict: relay.Ambiguous,
			Error: fmt.Sprintf("wecom answered status %s without errcode 0: %q", post.StatusText(a.Status), post.Cut(string(a.Body), 100))}
	case a.Status/100 == 5:
		r.Verdict = relay.Ambiguous // WeCom promises nothing with these, and has no deduplication
	}
	return r
}

// refused is an answer with a code other than 0, whatever its status.
func refused(meanings map[int64]meaning, a *post.Answer, code int64, said string, attempt int, now time.Time) relay.Report {
	m, known := meanings[code]
	r := relay.Report{Verdict: m.verdict, Error: fmt.Sprintf("wecom answered %d", code)}
	switch {
	case known:
		r.Error += ": " + m.words
	case attempt < patience: // not documented: it may pass
		r.Verdict = relay.Temporary
	default:
		r.Verdict = relay.MessageRefused
	}
	if said != "" {
		r.Error += " (" + said + ")"
	}
	if r.Verdict == relay.Temporary {
		if r.RetryAfter = post.WaitHint(a.Header, now); r.RetryAfter < m.wait {
			r.RetryAfter = m.wait
		}
	}
	return r
}

// words is what errmsg says, without the hint, relay's own IP address and the
// advertisement that follow it; the log of attempts has them.
func words(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // anything else than a string says nothing
	for _, tail := range []string{", hint:", ", from ip:", ", more info at"} {
		s, _, _ = strings.Cut(s, tail)
	}
	return s
}

// number reads a number, or one in a string.
func number(raw json.RawMessage) (int64, bool) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n, err == nil
}
