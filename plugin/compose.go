package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// compose makes the request out of the delivery's template, or out of its
// fallback where that one fails and the destination wants it so.
func (s *server) compose(d *pluginpb.Delivery, w *work, giveUp func(*relay.TemplateError)) {
	failed := s.try(d, w, d.Template, giveUp)
	if failed == nil {
		return
	}
	if failed == render.ErrGivenUp {
		w.givenUp = true
		return
	}
	if (d.Fallback == "" || d.Fallback == d.Template) && w.report.Verdict == relay.MessageRefused {
		return // there is nothing else to send
	}
	w.report.TemplateError = failed
	switch relay.TemplateErrors(d.TemplateErrors) {
	case relay.TemplateErrorsRetry:
		w.report.Verdict, w.report.Error = relay.Temporary, failed.Error()
		return
	case relay.TemplateErrorsDead:
		w.report.Verdict, w.report.Error = relay.MessageRefused, failed.Error()
		return
	}
	w.report.Verdict, w.report.Error = "", ""
	// The built-in default ends, so there is nobody to give it up.
	if again := s.try(d, w, d.Fallback, nil); again != nil && w.report.Verdict == "" {
		w.report.Verdict, w.report.Error = relay.Temporary, again.Error()
	}
}

// try makes the request out of one template. What fails is the template's
// fault, also where the provider refuses what it made: the verdict is then that
// the message is refused.
func (s *server) try(d *pluginpb.Delivery, w *work, revision string, giveUp func(*relay.TemplateError)) *relay.TemplateError {
	t, ok := (*s.templates.Load())[revision]
	if ok {
		w.report.Template, w.report.TemplateRevision = t.name, revision
	}
	switch {
	case revision == d.Template && d.Quarantined != nil:
		return decodeTemplateError(d.Quarantined)
	case !ok:
		return &relay.TemplateError{File: revision, Message: "the plugin does not have this template revision"}
	}
	if fault, ok := s.spoiled.Load(revision); ok {
		return decodeTemplateError(fault.(*pluginpb.TemplateError))
	}
	began := time.Now()
	out, failed := t.Render(context.Background(), render.Input{
		Event: d.Event, Seed: d.Id, Watch: s.watch, GiveUp: giveUp,
		Context: render.Context{
			Destination: d.Context.GetDestination(), Provider: d.Context.GetProvider(), Direct: d.Context.GetDirect(),
			Recipient: d.Context.GetRecipient(), Language: d.Context.GetLanguage(), TimeZone: d.Context.GetTimeZone(),
			Now: w.delivery.Now,
		},
	})
	w.report.RenderTime += time.Since(began)
	if failed != nil {
		return failed
	}
	w.report.Message = out.JSON
	if out.Skipped() {
		w.report.Verdict = relay.Skipped
		return nil
	}
	request, err := w.place.Compose(w.delivery, out.Rendered)
	if err != nil {
		w.report.Verdict, w.report.Error = relay.MessageRefused, err.Error()
		return &relay.TemplateError{File: t.name, Message: fmt.Sprintf("%s does not take the message that it made: %v", s.description.Name, err)}
	}
	if request.Method == "" {
		request.Method = "POST"
	}
	w.request, w.rendered = request, out.Rendered
	return nil
}
