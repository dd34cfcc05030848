package teams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// codes is what the codes mean that a flow's trigger answers with. Microsoft
// does not list them for this trigger; these are observed. They count before
// the status.
func codes() map[string]relay.Verdict {
	return map[string]relay.Verdict{
		"TriggerInputSchemaMismatch": relay.MessageRefused, // the flow's own schema
		"InvalidRequestContent":      relay.MessageRefused,

		"WorkflowTriggerIsNotEnabled":    relay.DestinationRefused, // switched off or deleted
		"WorkflowNotFound":               relay.DestinationRefused,
		"DirectApiAuthorizationRequired": relay.DestinationRefused, // no sig, or not for Anyone
		"MisMatchingOAuthClaims":         relay.DestinationRefused, // not for Anyone
	}
}

// classify reads the answer to a trigger. Any 2xx is what a flow may answer:
// 202 and nothing when it has no Response action, else whatever that says. It
// means that the flow was started; more cannot be known.
func classify(a *post.Answer, now time.Time) relay.Report {
	code, message := fault(a.Body)
	r := post.ByStatus(a, now)
	switch a.Status {
	case http.StatusRequestTimeout, http.StatusServiceUnavailable: // the flow may have been started
		r.Verdict = relay.Ambiguous
	}
	if a.Status/100 == 4 {
		r.Probe = false // a URL whose signature is refused is dead for good
	}
	if a.Status/100 == 2 {
		switch {
		case code != "":
			r = relay.Report{Verdict: relay.Ambiguous, Error: "status " + post.StatusText(a.Status)}
		case page(a):
			return relay.Report{Verdict: relay.Ambiguous, Error: fmt.Sprintf("status %s with a page that is no flow's answer: %q",
				post.StatusText(a.Status), post.Cut(string(bytes.TrimSpace(a.Body)), 100))}
		default:
			// The run's id leads to the run history; that it comes is observed.
			return relay.Report{Verdict: relay.Delivered, Receipt: a.Header.Get("X-Ms-Workflow-Run-Id")}
		}
	}
	if verdict, known := codes()[code]; known && a.Status != http.StatusTooManyRequests {
		r.Verdict, r.RetryAfter = verdict, 0
		// A flow that is switched off can be switched on again, one that is
		// deleted cannot.
		r.Probe = code == "WorkflowTriggerIsNotEnabled" && !strings.Contains(strings.ToLower(message), "deleted")
	}
	if code != "" {
		r.Error = fmt.Sprintf("the workflow answered %s (%s)", code, r.Error)
	}
	if message != "" {
		r.Error += ": " + message
	}
	return r
}

// fault is the code and the message of {"error": {"code": …, "message": …}}.
func fault(body []byte) (code, message string) {
	var answer struct {
		Error struct {
			Code    json.RawMessage `json:"code"`
			Message json.RawMessage `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
	if json.Unmarshal(answer.Error.Code, &code) != nil {
		code = string(answer.Error.Code)
	}
	_ = json.Unmarshal(answer.Error.Message, &message)
	return post.Cut(code, 100), message
}

// page reports whether an answer is a page for people: one of a proxy or a
// sign-in that stands before the flow.
func page(a *post.Answer) bool {
	body := bytes.ToLower(bytes.TrimSpace(a.Body))
	return bytes.HasPrefix(body, []byte("<!doctype html")) || bytes.HasPrefix(body, []byte("<html"))
}

// worded is one line about an answer that is no success. What r says of the
// status stays in it.
func worded(who, code, message string, r relay.Report) string {
	text := who + " answered " + r.Error
	if code != "" {
		text = who + " answered " + code + " (" + r.Error + ")"
	}
	if message != "" {
		text += ": " + post.Cut(message, maxWords)
	}
	return text
}

// maxWords leaves room for relay's own words behind a vendor's, in bytes.
const maxWords = 250
