package app

import (
	"context"
	"errors"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// renderAndDeliver is for plugins that have no engine: the script child renders,
// and the plugin gets the message. A script that ends the child is tried once
// more with the built-in template, where the destination wants that.
func (a *App) renderAndDeliver(d *destination, out *pluginpb.Delivery, program, fallback *relay.Program, done func(relay.Report)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(out.TimeoutMs)*time.Millisecond)
	defer cancel()
	made, message, err := a.scripts.Render(ctx, out, program, fallback)
	if err != nil && program != fallback && relay.TemplateErrors(out.TemplateErrors) == relay.TemplateErrorsFallback {
		fault := &relay.TemplateError{File: program.Name, Message: "the script child did not survive it: " + err.Error()}
		out.Template = fallback.Revision
		made, message, err = a.scripts.Render(ctx, out, fallback)
		made.TemplateError = fault
	}
	if err != nil {
		made.Verdict, made.Error = relay.Temporary, "the message was not rendered: "+err.Error()
	}
	made.Message = []byte(a.masker.Mask(string(made.Message)))
	if made.Verdict != "" {
		done(made)
		return
	}
	out.Template, out.Fallback, out.Message = "", "", message
	err = d.provider.Deliver(out, func(r relay.Report) {
		r.Template, r.TemplateRevision, r.TemplateError = made.Template, made.TemplateRevision, made.TemplateError
		if len(r.Message) == 0 {
			r.Message = made.Message
		}
		done(r)
	})
	if errors.Is(err, relay.ErrUnavailable) {
		done(relay.Report{Verdict: relay.Temporary, Error: "plugin unavailable"})
	}
}
