package custom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// classify reads a receiver's answer: the status first, and of a 2xx the code
// in its JSON, which is 0 for success.
//
// A 5xx is the receiver's own word that it failed, so that sending again is
// what it asks for; only 504 says that somebody on the way does not know what
// the receiver did.
func classify(a *post.Answer, now time.Time) relay.Report {
	if a.Status/100 == 2 {
		return classifyBody(a.Body)
	}
	r := post.ByStatus(a, now)
	if a.Status/100 == 5 && a.Status != http.StatusGatewayTimeout {
		r.Verdict = relay.Temporary
	}
	if _, message := codeOf(a.Body); message != "" {
		r.Error += ": " + message
	}
	return r
}

func classifyBody(body []byte) relay.Report {
	code, message := codeOf(body)
	if code == "" {
		return relay.Report{Verdict: relay.Delivered}
	}
	r := relay.Report{Verdict: relay.Temporary, Error: "the receiver answered code " + code}
	if message != "" {
		r.Error += ": " + message
	}
	return r
}

// codeOf is the code and the message of an answer. The code is empty when it
// is 0, as a number or in a string, or missing, or when the body is no JSON
// object.
func codeOf(body []byte) (code, message string) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return "", ""
	}
	var answer struct {
		Code    json.RawMessage `json:"code"`
		Message any             `json:"message"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
	message, _ = answer.Message.(string)
	code = string(answer.Code)
	var text string
	if json.Unmarshal(answer.Code, &text) == nil {
		code = strings.TrimSpace(text)
	}
	if number, err := strconv.ParseFloat(code, 64); code == "null" || err == nil && number == 0 {
		code = ""
	}
	return fmt.Sprintf("%.50s", code), message
}
