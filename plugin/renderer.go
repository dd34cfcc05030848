package plugin

import (
	"context"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Render runs a delivery's template, or its fallback where that one fails and
// the destination wants it so, and fills the template's part of the report.
// Without ok the report is final: the template said no, or there is nothing to
// send. find gives a template and its name by revision, or nil.
//
// A plugin that calls [Serve] renders by itself; this is for who serves the
// protocol in another way.
func Render(d *pluginpb.Delivery, report *relay.Report, find func(revision string) (*render.Template, string)) (out render.Output, ok bool) {
	c := d.Context
	input := render.Input{
		Event: d.Event, Seed: d.Id,
		Context: render.Context{
			Destination: c.GetDestination(), Provider: c.GetProvider(), Direct: c.GetDirect(),
			Recipient: c.GetRecipient(), Language: c.GetLanguage(), TimeZone: c.GetTimeZone(), Now: time.UnixMilli(c.GetNowMs()),
		},
	}
	run := func(revision string) (render.Output, *relay.TemplateError) {
		t, name := find(revision)
		if revision == d.Template && d.Quarantined != nil {
			if t != nil {
				report.Template, report.TemplateRevision = name, revision
			}
			return render.Output{}, decodeTemplateError(d.Quarantined)
		}
		if t == nil {
			return render.Output{}, &relay.TemplateError{File: revision, Message: "the plugin does not have this template revision"}
		}
		report.Template, report.TemplateRevision = name, revision
		return t.Render(context.Background(), input)
	}
	out, failed := run(d.Template)
	if failed != nil {
		report.TemplateError = failed
		switch relay.TemplateErrors(d.TemplateErrors) {
		case relay.TemplateErrorsRetry:
			report.Verdict, report.Error = relay.Temporary, failed.Error()
			return out, false
		case relay.TemplateErrorsDead:
			report.Verdict, report.Error = relay.MessageRefused, failed.Error()
			return out, false
		}
		var again *relay.TemplateError
		if out, again = run(d.Fallback); again != nil {
			report.Verdict, report.Error = relay.Temporary, again.Error()
			return out, false
		}
	}
	report.Message = out.JSON
	if out.Skipped() {
		report.Verdict = relay.Skipped
		return out, false
	}
	return out, true
}
