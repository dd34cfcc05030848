package post

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// Calls makes the calls of one attempt that takes several — a token, a look-up,
// the message — and remembers them for the log. It is for one goroutine.
type Calls struct {
	client *Client
	masker *relay.Masker
	hidden []string
	made   []call
}

type call struct {
	name    string
	request *plugin.Request
	answer  *Answer // nil: there was none
	took    time.Duration
	err     error
}

// Calls begins an attempt. The masker knows the secrets of the settings.
func (c *Client) Calls(m *relay.Masker) *Calls { return &Calls{client: c, masker: m} }

// Do makes a call, which the log shows under its name: the vendor's word for
// it. The error is as that of [Client.Do]. Vendors say in their documents which
// calls can be made again after an answer that was lost; for those that can,
// [Harmless] is the report.
func (c *Calls) Do(ctx context.Context, name string, r *plugin.Request) (*Answer, error) {
	began := time.Now()
	answer, err := c.client.Do(ctx, r)
	c.made = append(c.made, call{name, r, answer, time.Since(began), err})
	return answer, err
}

// Hide keeps what was learned on the way, such as a token, out of the log.
func (c *Calls) Hide(secrets ...string) { c.hidden = append(c.hidden, secrets...) }

// Masker knows what the settings' masker knows and what [Calls.Hide] was told.
func (c *Calls) Masker() *relay.Masker { return c.masker.With(c.hidden...) }

// Report puts the calls into a report, masked: the last one is its request and
// response, those before are its steps.
func (c *Calls) Report(r relay.Report) relay.Report {
	m := c.Masker()
	r.Error, r.Receipt = oneLine(m.Mask(r.Error)), m.Mask(r.Receipt)
	r.Steps, r.Request, r.Response = c.Steps(), nil, nil
	if last := len(r.Steps) - 1; last >= 0 {
		r.Request, r.Response, r.Steps = r.Steps[last].Request, r.Steps[last].Response, r.Steps[:last]
	}
	return r
}

// Steps are all calls so far, masked.
func (c *Calls) Steps() []relay.Step {
	m := c.Masker()
	var steps []relay.Step
	for _, made := range c.made {
		s := relay.Step{Name: made.name, DurationMS: made.took.Milliseconds()}
		s.Request, s.Response = Log(m, made.request, made.answer)
		s.Request.URL = maskQuery(m, made.request.URL)
		if made.err != nil {
			s.Error = oneLine(m.Mask(made.err.Error()))
		}
		steps = append(steps, s)
	}
	return steps
}

// maskQuery is the URL of a vendor's API: its path says which call it is, and
// holds no secret but such as the masker knows; its query may hold any.
func maskQuery(m *relay.Masker, raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return relay.SecretText
	}
	shown := u.Scheme + "://" + u.Host + m.Mask(u.EscapedPath())
	if u.RawQuery != "" {
		shown += "?" + relay.SecretText
	}
	return shown
}

// Harmless is what an error of a call means that sends nobody anything, or that
// the vendor makes only once however often it is asked: it can be tried again.
func Harmless(err error) relay.Report {
	var failed *Error
	if !errors.As(err, &failed) {
		return relay.Report{Verdict: relay.Temporary, Error: err.Error()}
	}
	r := failed.Report()
	if r.Verdict == relay.Ambiguous {
		r.Verdict = relay.Temporary
	}
	return r
}

// Failed is what an error of the call means that sends the message.
func Failed(err error) relay.Report {
	var failed *Error
	if !errors.As(err, &failed) {
		return relay.Report{Verdict: relay.Ambiguous, Error: err.Error()}
	}
	return failed.Report()
}

// Bearer adds a bearer token to a request.
func Bearer(r *plugin.Request, token string) *plugin.Request {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}
