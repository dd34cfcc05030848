package wecom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// reply is what the server API answers, whichever call it was.
type reply struct {
	Code    json.RawMessage `json:"errcode"`
	Message json.RawMessage `json:"errmsg"`

	Token   string          `json:"access_token"` // gettoken
	Expires json.RawMessage `json:"expires_in"`   // gettoken, in seconds

	User string `json:"userid"` // the look-ups

	MsgID       string `json:"msgid"`          // message/send, as the rest
	InvalidUser string `json:"invaliduser"`    // who does not exist or may not be reached, in lower case
	Unlicensed  string `json:"unlicenseduser"` // who has no licence

	answer *post.Answer
	code   int64
	coded  bool
	ok     bool // 200 with errcode 0: the only success
}

func read(a *post.Answer) reply {
	r := reply{answer: a}
	_ = json.Unmarshal(a.Body, &r) // what is no JSON has no code
	r.code, r.coded = number(r.Code)
	r.ok = r.coded && r.code == 0 && a.Status == http.StatusOK
	return r
}

func (r reply) lifetime() time.Duration {
	if seconds, ok := number(r.Expires); ok && seconds > 0 {
		return post.Seconds(float64(seconds))
	}
	return tokenLife
}

// badCredentials: neither corp_id nor secret will be good later.
func (r reply) badCredentials() bool {
	return r.coded && (r.code == codeBadSecret || r.code == codeBadCorp || r.code == codeInvalidSecret)
}

// badToken: a new token may do.
func (r reply) badToken() bool {
	return r.coded && (r.code == codeNoToken || r.code == codeBadToken || r.code == codeTokenExpired)
}

// refusal is what an answer means that is no success: by its code, or, where
// it has none, by its status.
func (r reply) refusal(attempt int, now time.Time) relay.Report {
	if r.coded && r.code != 0 {
		return refused(appCodes(), r.answer, r.code, words(r.Message), attempt, now)
	}
	out := post.ByStatus(r.answer, now)
	if out.Verdict == relay.Delivered {
		out = relay.Report{Verdict: relay.Ambiguous,
			Error: fmt.Sprintf("wecom answered status %s without errcode 0: %q", post.StatusText(r.answer.Status), post.Cut(string(r.answer.Body), 100))}
	}
	return out
}

// harmless is the refusal of a call that sends nobody anything.
func (r reply) harmless(now time.Time) relay.Report {
	out := r.refusal(1, now)
	if out.Verdict != relay.DestinationRefused {
		out.Verdict = relay.Temporary
	}
	return out
}
