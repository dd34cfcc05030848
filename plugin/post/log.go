package post

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

const (
	// maxLogged is how much of a body the sent log keeps.
	maxLogged = 16 << 10
	// maxError is how much of a vendor's words one line for people holds.
	maxError = 500
	// secretSegment is the length from which a part of a URL's path counts as
	// a secret even without a digit in it; shorter ones are words.
	secretSegment = 16
)

// Send makes the one attempt, reads the answer with classify, and gives the
// report its request and response for the log, masked.
func (c *Client) Send(ctx context.Context, m *relay.Masker, r *plugin.Request, classify func(*Answer) relay.Report) relay.Report {
	answer, err := c.Do(ctx, r)
	var report relay.Report
	var failed *Error
	switch {
	case errors.As(err, &failed):
		report = failed.Report()
	case err != nil:
		report = relay.Report{Verdict: relay.Ambiguous, Error: err.Error()}
	default:
		report = classify(answer)
	}
	report.Error = oneLine(m.Mask(report.Error))
	report.Receipt = m.Mask(report.Receipt)
	report.Request, report.Response = Log(m, r, answer)
	return report
}

// Log is a request and its answer (nil: there was none) for the sent log:
// masked first, then cut. A URL keeps its scheme and host only; of headers,
// the values that relay itself chooses are shown and all others hidden.
func Log(m *relay.Masker, r *plugin.Request, a *Answer) (*relay.Request, *relay.Response) {
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	req := &relay.Request{Method: method, URL: MaskURL(r.URL), Headers: make(map[string]string, len(r.Header)), Body: Cut(m.Mask(string(r.Body)), maxLogged)}
	for name, values := range r.Header {
		if shownRequestHeader(name) {
			req.Headers[name] = Cut(m.Mask(strings.Join(values, ", ")), maxLogged)
		} else {
			req.Headers[name] = relay.SecretText
		}
	}
	if a == nil {
		return req, nil
	}
	resp := &relay.Response{Status: a.Status, Headers: map[string]string{}, Body: Cut(strings.ToValidUTF8(m.Mask(string(a.Body)), "\uFFFD"), maxLogged)}
	for name, values := range a.Header {
		if !shownAnswerHeader(name) {
			continue
		}
		value := strings.Join(values, ", ")
		if name == "Location" {
			value = MaskURL(value)
		}
		resp.Headers[name] = Cut(strings.ToValidUTF8(m.Mask(value), "\uFFFD"), maxLogged)
	}
	return req, resp
}

// shownRequestHeader: a list of what is harmless, since an operator's own
// headers may be anything.
func shownRequestHeader(name string) bool {
	switch name {
	case "Content-Type", "Accept", "User-Agent", "Webhook-Id", "Webhook-Timestamp":
		return true
	}
	return false
}

// shownAnswerHeader keeps what helps at three in the morning: waits, limits,
// and the ids that a vendor's support asks for.
func shownAnswerHeader(name string) bool {
	switch name {
	case "Content-Type", "Retry-After", "Location", "Date", "Server", "Www-Authenticate":
		return true
	}
	lower := strings.ToLower(name)
	for _, part := range []string{"ratelimit", "rate-limit", "request-id", "req-id", "trace-id", "logid"} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return false
}

// MaskURL is a URL without what may be secret: https://host/<secret>.
func MaskURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return relay.SecretText
	case u.Host == "":
		return "/" + relay.SecretText
	case (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "":
		return u.Scheme + "://" + u.Host + u.Path
	}
	return u.Scheme + "://" + u.Host + "/" + relay.SecretText
}

// HideURL makes the masker know a URL that is itself a credential: the whole,
// and each part that a vendor or an error might quote.
func HideURL(m *relay.Masker, u *url.URL) {
	secrets := []string{u.String(), u.RequestURI(), strings.TrimPrefix(u.Path, "/"), u.RawQuery}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= secretSegment || strings.ContainsFunc(segment, unicode.IsDigit) {
			secrets = append(secrets, segment)
		}
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.String(), u.User.Username(), password)
	}
	m.Add(secrets...)
}

// Cut is text of at most limit bytes, cut at a rune and marked.
func Cut(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// oneLine makes a vendor's words fit one line for people.
func oneLine(text string) string {
	if len(text) > maxError || strings.ContainsFunc(text, unicode.IsControl) {
		text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r)
		}), " ")
	}
	return Cut(text, maxError)
}
