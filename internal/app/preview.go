package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/people"
	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// What is previewed has the same ids every time, so that templates which use
// Math.random(), and messages that hold an id, do not change by themselves.
const (
	previewEvent    = "00000000-0000-7000-8000-000000000001"
	previewDelivery = "00000000-0000-7000-8000-000000000002"
	previewType     = "issue.created"
)

// Preview renders what a destination would get, on the very path of a delivery
// up to the request, and sends nothing.
func (a *App) Preview(ctx context.Context, in api.Preview) (api.Previewed, error) {
	return a.preview(ctx, a.current.Load(), in)
}

func (a *App) preview(ctx context.Context, now *snapshot, in api.Preview) (out api.Previewed, err error) {
	d, unknown := now.previewed(in.Destination)
	var to relay.NewDelivery
	var unreachable error
	if unknown == nil {
		to, unreachable = now.addressee(d, in.Recipient, "$.recipient")
	}
	e, bad := previewOf(in, to.Recipient, time.Now())
	if err := together(unknown, unreachable, bad); err != nil {
		return out, err
	}
	if to.Recipient != "" {
		to.Recipient = now.recipientOf(e.Body, to.Recipient, d)
	}
	dest := now.destinations[d.Name]
	c := relay.Claimed{
		ID: previewDelivery, EventID: e.ID, EventType: e.Type, Lane: to.Lane(), Provider: to.Provider,
		Recipient: to.Recipient, Attempt: 1, Created: e.At, Event: e.Body,
	}
	out.Destination, out.Provider, out.Event = d.Name, d.Entry, e.Body
	if c.Recipient != "" {
		p := now.who(c)
		if out.User, c.User, err = a.userOf(dest, p); err != nil {
			return out, err
		}
		out.Recipient, _ = json.Marshal(p) // it came from JSON
	}
	addressed, by, judged := a.addressed(now, dest, c, true)
	r, size, err := a.previewAt(ctx, dest, addressed, by)
	if err != nil {
		words := err.Error()
		if errors.Is(err, relay.ErrUnavailable) {
			words = "it does not run now: " + cmp.Or(dest.provider.Status().Error, "it is starting")
		}
		return out, problem.New(http.StatusServiceUnavailable, fmt.Sprintf("the plugin of provider %s cannot be asked: %s", d.Use, words))
	}
	judged(func(explained relay.Report) { r = explained })(r)
	out.Template, out.TemplateRevision, out.TemplateError = r.Template, r.TemplateRevision, r.TemplateError
	out.Message, out.Request, out.Verdict, out.Error = r.Message, r.Request, r.Verdict, r.Error
	out.Text = markup.Readable(r.Message)
	out.Size, out.Unit = size.Used, cmp.Or(size.Unit, "bytes")
	if size.Limit > 0 {
		out.Limit = &size.Limit
	}
	out.Problems = notNil(TemplateProblems(now.cfg.Config, now.templates))
	return out, nil
}

// previewed is the destination of a name, or the only one.
func (s *snapshot) previewed(name string) (config.Destination, error) {
	var names []string
	for _, d := range s.cfg.Destinations {
		if names = append(names, d.Name); d.Name == name || name == "" && len(s.cfg.Destinations) == 1 {
			return d, nil
		}
	}
	refusal := &api.Refusal{Path: "$.destination", Reason: fmt.Sprintf("there is no destination %q%s", name, config.Suggest(name, names))}
	switch {
	case len(names) == 0:
		refusal.Reason = "there are no destinations; write one into the configuration"
	case name == "":
		refusal.Reason = "name the destination; there are " + strings.Join(names, ", ")
	}
	return config.Destination{}, refusal
}

// together is what is wrong with a request: the only error, or one that names
// the faults of all.
func together(errs ...error) error {
	var faults []problem.Fault
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	for _, err := range errs {
		var no *api.Refusal
		var p *problem.Problem
		switch {
		case len(errs) == 1:
			return err
		case errors.As(err, &no) && no.Path == "": // about no part of the request
			return err
		case errors.As(err, &no):
			p = no.Problem()
		case !errors.As(err, &p) || len(p.Errors) == 0:
			return err
		}
		faults = append(faults, p.Errors...)
	}
	if p := problem.Refuse("nothing was done", faults); p != nil {
		return p
	}
	return nil
}

// previewOf is the event of a preview: the one that was given, which has to
// pass the rules of any event, or a sample.
func previewOf(in api.Preview, recipient string, now time.Time) (relay.Accepted, error) {
	switch {
	case len(in.Event) == 0 || string(in.Event) == "null":
		return sampleEvent(cmp.Or(in.Type, previewType), recipient, previewEvent, now)
	case in.Type != "":
		return relay.Accepted{}, &api.Refusal{Path: "$.type", Reason: "give an event, or the type whose sample is shown, not both"}
	}
	return intake.Decode(in.Event, "$.event", previewEvent, now)
}

// recipientOf is the recipient of an event whom an operator means, or the person
// as the operator named them.
func (s *snapshot) recipientOf(event []byte, named string, d config.Destination) string {
	var e struct {
		Source     string
		Recipients []json.RawMessage
	}
	var want relay.Person
	_ = json.Unmarshal(event, &e) // both are JSON that relay made
	_ = json.Unmarshal([]byte(named), &want)
	for _, raw := range e.Recipients {
		var p relay.Person
		if json.Unmarshal(raw, &p) != nil {
			continue
		}
		p = s.cfg.people.Complete(p, e.Source)
		same := func(a, b string) bool { return a != "" && a == b }
		if same(people.Email(p.Email), people.Email(want.Email)) || same(people.Phone(p.Phone), people.Phone(want.Phone)) ||
			same(p.IDs[d.Entry], want.IDs[d.Entry]) {
			return string(raw)
		}
	}
	return named
}

// userOf is the provider's id of a person as far as it is known without asking,
// and what stands for it where it is looked up only when a message is sent.
func (a *App) userOf(d *destination, p relay.Person) (known, shown string, err error) {
	known = cmp.Or(d.userID(p), a.identities.User(d.account.id, d.account.matchBy, p))
	if known != "" {
		return known, known, nil
	}
	for _, by := range d.account.matchBy {
		if v := compared(by, p); v != "" {
			return "", v, nil
		}
	}
	by := slices.Concat(d.account.matchBy, []string{"explicit id"})
	return "", "", &api.Refusal{Path: "$.recipient", Reason: fmt.Sprintf(
		"destination %s finds people by %s; nothing of the kind is known of this one, so they would be unmatched", d.Name, strings.Join(by, " or "))}
}
