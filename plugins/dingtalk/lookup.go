package dingtalk

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	stepLookUp = "user/getbymobile"

	keepMatch = 6 * time.Hour
	keepMiss  = 10 * time.Minute
)

// Resolve implements [plugin.Direct]: by phone, one person a call. Once
// DingTalk has refused the app, or finds it too fast, nobody else is asked for.
func (d *direct) Resolve(ctx context.Context, _ string, people []relay.Person) []plugin.Match {
	matches := make([]plugin.Match, len(people))
	var stop *relay.Report
	for i, p := range people {
		mobile := mainland(p.Phone)
		switch {
		case mobile == "":
			// How DingTalk writes numbers of other countries is not documented, and
			// a number without its country could be somebody else's.
			matches[i] = plugin.Unmatched(keepMiss, "not a mobile number of mainland China (+86 and 11 digits), which is all that dingtalk looks people up by; "+
				"write the person's userid under ids.dingtalk")
		case stop != nil:
			matches[i].Report = *stop
		default:
			matches[i] = d.lookUp(ctx, mobile)
			if r := matches[i].Report; r.Verdict == relay.DestinationRefused || r.RetryAfter > 0 {
				stop = &relay.Report{Verdict: r.Verdict, RetryAfter: r.RetryAfter, Error: r.Error, Probe: r.Probe}
			}
		}
	}
	return matches
}

// lookUp asks for the person with a phone ("Query users by phone number").
func (d *direct) lookUp(ctx context.Context, mobile string) plugin.Match {
	calls := d.client.Calls(d.masker)
	var m plugin.Match
	m.Report = d.token.Use(ctx, calls, func(token string) (relay.Report, bool) {
		body, err := post.Encode(map[string]string{"mobile": mobile})
		if err != nil {
			return relay.Report{Verdict: relay.Temporary, Error: err.Error()}, false
		}
		answer, err := calls.Do(ctx, stepLookUp, post.JSON(d.app.OAPIBase+"/topapi/v2/user/getbymobile?access_token="+url.QueryEscape(token), body))
		if err != nil {
			return post.Harmless(err), false
		}
		var r relay.Report
		var bad bool
		m.User, r, bad = judgeLookUp(answer, time.Now())
		return r, bad
	})
	switch {
	case m.User != "":
		m.Keep = keepMatch
	case m.Verdict == relay.Unmatched:
		m.Keep = keepMiss
	}
	m.Report = calls.Report(m.Report)
	return m
}

// judgeLookUp is the user that an answer names, or what it says instead. bad:
// the access token is not taken.
func judgeLookUp(a *post.Answer, now time.Time) (user string, r relay.Report, bad bool) {
	var body struct {
		Code    json.RawMessage `json:"errcode"`
		SubCode json.RawMessage `json:"sub_code"`
		Result  struct {
			User string `json:"userid"`
		} `json:"result"`
	}
	r, bad = judgeApp(a, 1, now)
	readable := json.Unmarshal(a.Body, &body) == nil
	code, _ := number(body.Code)
	if sub, ok := number(body.SubCode); ok && code == codeGateway {
		code = sub
	}
	switch {
	case r.Verdict == relay.Delivered && readable && body.Result.User != "":
		return body.Result.User, relay.Report{}, false
	case code == codeUnknownUser, code == codeBadMobile, code == codeBadParameter:
		r = relay.Report{Verdict: relay.Unmatched, Error: r.Error}
	case r.Verdict == relay.Delivered && readable:
		r = relay.Report{Verdict: relay.Unmatched, Error: "dingtalk knows nobody with this phone number"}
	case r.Verdict == relay.DestinationRefused:
		if code == codeNoPermission {
			r.Error += "; grant the app " + permissionLookUp
		}
	default: // nobody got anything, and the next answer may be another one
		r.Verdict = relay.Temporary
	}
	return "", r, bad
}
