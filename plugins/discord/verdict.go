package discord

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// codes is what the codes mean that Discord answers with ("JSON Error Codes").
// They count before the status, which Discord does not document for them. Code
// 0 is no code: there the status decides.
func codes() map[int]relay.Verdict {
	return map[int]relay.Verdict{
		50035:  relay.MessageRefused, // invalid form body
		50006:  relay.MessageRefused, // empty message
		50109:  relay.MessageRefused, // not valid JSON
		40005:  relay.MessageRefused, // request too large
		50045:  relay.MessageRefused, // file too large
		50041:  relay.MessageRefused, // invalid API version
		10008:  relay.MessageRefused, // unknown message
		200000: relay.MessageRefused, // blocked by AutoMod
		240000: relay.MessageRefused, // blocked by the filter for harmful links

		10003:  relay.DestinationRefused, // unknown channel or thread
		10015:  relay.DestinationRefused, // unknown webhook
		40001:  relay.DestinationRefused, // unauthorized
		40067:  relay.DestinationRefused, // a forum that wants a tag
		40333:  relay.DestinationRefused, // blocked by Cloudflare, mostly for the User-Agent
		50001:  relay.DestinationRefused, // missing access
		50013:  relay.DestinationRefused, // missing permissions
		50014:  relay.DestinationRefused, // invalid token
		50027:  relay.DestinationRefused, // invalid webhook token
		50083:  relay.DestinationRefused, // thread archived
		160005: relay.DestinationRefused, // thread locked
		220001: relay.DestinationRefused, // a forum: needs thread_id or thread_name
		220002: relay.DestinationRefused, // both of them given
		220003: relay.DestinationRefused, // threads can be made in forums only
		220004: relay.DestinationRefused, // this webhook may not post in forums

		20016:  relay.Temporary, // slowmode
		20028:  relay.Temporary, // the channel's write limit
		20029:  relay.Temporary, // the server's write limit
		40004:  relay.Temporary, // sending is switched off for now
		40006:  relay.Temporary, // the feature is switched off for now
		40062:  relay.Temporary, // the service is limited
		130000: relay.Temporary, // overloaded
	}
}

// cloudflareWait is the least wait after a 429 that is no Discord's own: it
// means that this address has sent too much that was refused.
const cloudflareWait = 60 * time.Second

// answer is as much as relay reads of what Discord answers. Each key is read by
// itself: one of an unexpected shape does not spoil the others.
type answer map[string]json.RawMessage

func (a answer) text(key string) string {
	var s string
	_ = json.Unmarshal(a[key], &s)
	return s
}

// number reads a number, or a string that holds one.
func (a answer) number(key string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.Trim(string(bytes.TrimSpace(a[key])), `"`), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// classify reads Discord's answer: 200 with a message is the only success. It
// says as well whether Discord wants nothing at all from this address.
func classify(a *post.Answer, now time.Time) (r relay.Report, global bool) {
	var body answer
	_ = json.Unmarshal(a.Body, &body) // no object (Cloudflare answers with pages): nil
	if a.Status/100 == 2 {
		return success(a, body), false
	}
	r = post.ByStatus(a, now)
	switch {
	case a.Status/100 == 5:
		r.Verdict = relay.Ambiguous // Discord promises nothing with these
	case a.Status/100 == 4:
		// Asking again after 401, 403 and 404 gets the address banned.
		r.Probe = false
	}
	code, _ := body.number("code")
	if verdict, known := codes()[int(code)]; known && a.Status != http.StatusTooManyRequests {
		r = relay.Report{Verdict: verdict, Error: r.Error}
	}
	if code != 0 {
		r.Error = fmt.Sprintf("discord answered code %d (%s)", int(code), r.Error)
	}
	if message := body.text("message"); message != "" {
		r.Error += ": " + message
	}
	if fault := firstFault(body["errors"], "", 0); fault != "" {
		r.Error += ": " + fault
	}
	if r.Verdict == relay.Temporary {
		r.RetryAfter = wait(a, body, now)
	}
	return r, a.Status == http.StatusTooManyRequests && (string(body["global"]) == "true" || a.Header.Get("X-RateLimit-Global") == "true")
}

func success(a *post.Answer, body answer) relay.Report {
	if id := body.text("id"); a.Status == http.StatusOK && id != "" {
		return relay.Report{Verdict: relay.Delivered, Receipt: id}
	}
	return relay.Report{
		Verdict: relay.Ambiguous,
		Error:   fmt.Sprintf("discord answered status %s without the message: %q", post.StatusText(a.Status), post.Cut(string(bytes.TrimSpace(a.Body)), 100)),
	}
}

// wait is how long Discord wants to hear nothing: the body knows it better than
// Retry-After, which is rounded up to seconds.
func wait(a *post.Answer, body answer, now time.Time) time.Duration {
	if seconds, ok := body.number("retry_after"); ok {
		return post.Seconds(seconds)
	}
	if hint := post.WaitHint(a.Header, now); hint > 0 {
		return hint
	}
	if seconds, err := strconv.ParseFloat(a.Header.Get("X-RateLimit-Reset-After"), 64); err == nil {
		return post.Seconds(seconds)
	}
	if body == nil && a.Status == http.StatusTooManyRequests {
		return cloudflareWait
	}
	return 0
}

// firstFault is what the first fault in the errors of code 50035 says, and
// where: {"embeds": {"0": {"title": {"_errors": [{"code": …, "message": …}]}}}}.
func firstFault(raw json.RawMessage, path string, depth int) string {
	const deepest = 10 // no message nests further
	var nested map[string]json.RawMessage
	if depth > deepest || json.Unmarshal(raw, &nested) != nil {
		return ""
	}
	var faults []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(nested["_errors"], &faults) == nil && len(faults) > 0 {
		return strings.TrimPrefix(path+": ", ": ") + strings.TrimSpace(faults[0].Message+" "+faults[0].Code)
	}
	keys := make([]string, 0, len(nested))
	for key := range nested {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if fault := firstFault(nested[key], strings.TrimPrefix(path+"."+key, "."), depth+1); fault != "" {
			return fault
		}
	}
	return ""
}
