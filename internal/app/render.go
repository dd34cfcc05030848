package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// renderHere has a script child make the message, for plugins that have no
// engine. A script that ends the child is tried once more with the built-in
// template, where the destination wants that. A report with a verdict is the end
// of the delivery; without one, out is what its plugin gets.
func renderHere(ctx context.Context, child *scripts.Client, out *pluginpb.Delivery, by programs) relay.Report {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(out.TimeoutMs)*time.Millisecond)
	defer cancel()
	made, message, err := child.Render(ctx, out, by.template, by.fallback)
	if err != nil && by.template != by.fallback && relay.TemplateErrors(out.TemplateErrors) == relay.TemplateErrorsFallback {
		fault := &relay.TemplateError{File: by.template.Name, Message: "the script child did not survive it: " + err.Error()}
		out.Template, out.Quarantined = by.fallback.Revision, nil
		made, message, err = child.Render(ctx, out, by.fallback)
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
	made := renderHere(context.Background(), a.scripts, out, by)
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
// engine and serves no previews, the message is all there is. A template that
// ends the process in which it is tried is tried no more: the answer says so,
// and is otherwise what a delivery with such a template gets.
func (a *App) previewAt(ctx context.Context, d *destination, out *pluginpb.Delivery, by programs) (relay.Report, plugin.Size, error) {
	if d.provider.Renders() {
		resp, err := d.provider.Preview(ctx, out)
		var lost *pluginhost.Lost
		if errors.As(err, &lost) && out.Quarantined == nil && out.Template != out.Fallback {
			out.Quarantined = plugin.EncodeTemplateError(&relay.TemplateError{
				File: by.template.Name, Message: "it ended the process in which it was tried, which serves previews only: " + lost.Why,
			})
			resp, err = d.provider.Preview(ctx, out)
		}
		r, size := plugin.DecodePreview(resp)
		return r, size, err
	}
	child, done := a.trials.use()
	defer done()
	made := renderHere(ctx, child, out, by)
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

// trials is a script child for previews of plugins that have no engine: a
// template that is being written may end it, and what is delivered renders in
// another one. It stays a while for those of somebody who is at work.
type trials struct {
	turn    sync.Mutex // one preview at a time, so that what ends it is known
	child   *pluginhost.Scripts
	scripts *scripts.Client
	idle    *time.Timer
}

// trialIdle is how long the child stays without a preview.
const trialIdle = time.Minute

func newTrials(host *pluginhost.Host) *trials {
	child := host.Scripts()
	t := &trials{child: child, scripts: scripts.NewClient(child)}
	t.idle = time.AfterFunc(trialIdle, t.rest)
	return t
}

// use is the child, until done is called.
func (t *trials) use() (child *scripts.Client, done func()) {
	t.turn.Lock()
	return t.scripts, func() {
		t.idle.Reset(trialIdle)
		t.turn.Unlock()
	}
}

// rest ends the child where it is not in use; it is started again when it is.
func (t *trials) rest() {
	if t.turn.TryLock() {
		t.child.Close()
		t.turn.Unlock()
	}
}

func (t *trials) close() {
	t.idle.Stop()
	t.child.Close()
}
