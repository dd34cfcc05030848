package app

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// renderHere has the script child make the message, for plugins that have no
// engine. A script that ends the child is tried once more with the built-in
// template, where the destination wants that. A report with a verdict is the end
// of the delivery; without one, out is what its plugin gets.
func (a *App) renderHere(ctx context.Context, out *pluginpb.Delivery, by programs) relay.Report {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(out.TimeoutMs)*time.Millisecond)
	defer cancel()
	made, message, err := a.scripts.Render(ctx, out, by.template, by.fallback)
	if err != nil && by.template != by.fallback && relay.TemplateErrors(out.TemplateErrors) == relay.TemplateErrorsFallback {
		fault := &relay.TemplateError{File: by.template.Name, Message: "the script child did not survive it: " + err.Error()}
		out.Template, out.Quarantined = by.fallback.Revision, nil
		made, message, err = a.scripts.Render(ctx, out, by.fallback)
		made.TemplateError = fault
	}
	if err != nil {
		made.Verdict, made.Error = relay.Temporary, "the message was not rendered: "+err.Error()
	}
	out.Template, out.Fallback, out.Quarantined, out.Message = "", "", nil, message
	return made
}

// fill adds to a plugin's report what the script child made.
func fill(r *relay.Report, made relay.Report) {
	r.Template, r.TemplateRevision, r.TemplateError = made.Template, made.TemplateRevision, made.TemplateError
	if len(r.Message) == 0 {
		r.Message = made.Message
	}
}

// renderAndDeliver is for plugins that have no engine: the script child renders,
// and the plugin gets the message.
func (a *App) renderAndDeliver(out *pluginpb.Delivery, by programs, deliver func(*pluginpb.Delivery, func(relay.Report)) error, done func(relay.Report)) {
	made := a.renderHere(context.Background(), out, by)
	if made.Verdict != "" {
		done(made)
		return
	}
	err := deliver(out, func(r relay.Report) {
		fill(&r, made)
		done(r)
	})
	if errors.Is(err, relay.ErrUnavailable) {
		made.Verdict, made.Error = relay.Temporary, "plugin unavailable"
		done(made)
	}
}

// previewAt asks a provider for what it would send. Of a plugin that has no
// engine and serves no previews, the message is all there is.
func (a *App) previewAt(ctx context.Context, d *destination, out *pluginpb.Delivery, by programs) (relay.Report, plugin.Size, error) {
	if d.provider.Renders() {
		resp, err := d.provider.Preview(ctx, out)
		r, size := plugin.DecodePreview(resp)
		return r, size, err
	}
	made := a.renderHere(ctx, out, by)
	if made.Verdict != "" {
		return made, plugin.Size{}, nil
	}
	resp, err := d.provider.Preview(ctx, out)
	if status.Code(err) == codes.Unimplemented {
		return made, plugin.Size{}, nil
	}
	r, size := plugin.DecodePreview(resp)
	fill(&r, made)
	return r, size, err
}
