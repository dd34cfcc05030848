package scripts

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Client is relay's half of the script child. It is safe for concurrent use.
// Its errors are the transport's: what is wrong with a script comes back as a
// problem or a *relay.TemplateError.
type Client struct {
	scripts pluginpb.ScriptsClient
}

var _ Compiler = (*Client)(nil)

// NewClient speaks to a script child.
func NewClient(c pluginpb.ScriptsClient) *Client { return &Client{scripts: c} }

// Compile is [Compile], in the child.
func (c *Client) Compile(ctx context.Context, files map[string][]byte, entries []string) ([]Compiled, error) {
	response, err := c.scripts.Compile(ctx, &pluginpb.CompileRequest{Files: files, Entries: entries})
	if err != nil {
		return nil, err
	}
	var all []Compiled
	for _, in := range response.GetCompiled() {
		out := Compiled{Name: in.GetName(), Code: in.GetCode(), Inputs: in.GetInputs()}
		for _, p := range in.GetProblems() {
			out.Problems = append(out.Problems, *fromProto(p))
		}
		all = append(all, out)
	}
	return all, nil
}

// Convert runs a source script on one request, as render.Template.Convert does.
// A fault of the script is a *relay.TemplateError.
func (c *Client) Convert(ctx context.Context, p *relay.Program, request json.RawMessage, now time.Time) (events json.RawMessage, reason string, err error) {
	var response *pluginpb.ConvertResponse
	err = withCode(p, func(script *pluginpb.Template) (err error) {
		response, err = c.scripts.Convert(ctx, &pluginpb.ConvertRequest{Script: script, Request: request, NowMs: now.UnixMilli()})
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if fault := fromProto(response.GetError()); fault != nil {
		return nil, "", fault
	}
	return response.GetEvents(), response.GetReason(), nil
}

// Answer asks a source script how to answer its sender, as
// render.Template.Answer does. A fault of the script is a *relay.TemplateError.
func (c *Client) Answer(ctx context.Context, p *relay.Program, result json.RawMessage) (render.Reply, error) {
	var response *pluginpb.AnswerResponse
	err := withCode(p, func(script *pluginpb.Template) (err error) {
		response, err = c.scripts.Answer(ctx, &pluginpb.AnswerRequest{Script: script, Result: result})
		return err
	})
	if err != nil {
		return render.Reply{}, err
	}
	if fault := fromProto(response.GetError()); fault != nil {
		return render.Reply{}, fault
	}
	return render.Reply{
		Custom: response.GetCustom(), Status: int(response.GetStatus()), ContentType: response.GetContentType(), Body: response.GetBody(),
	}, nil
}

// Render renders a delivery for a plugin that has no engine: by the first of the
// programs, or by the second where the first fails and the destination wants it
// so. A report with a verdict is the end of the delivery; the message is what to
// send, of which the report may have less.
func (c *Client) Render(ctx context.Context, d *pluginpb.Delivery, programs ...*relay.Program) (report relay.Report, message []byte, err error) {
	request := &pluginpb.RenderRequest{Delivery: d}
	for _, p := range programs {
		request.Templates = append(request.Templates, plugin.EncodeProgram(p, false))
	}
	response, err := c.scripts.Render(ctx, request)
	if err == nil && len(response.GetMissing()) > 0 {
		request.Templates, request.Locales = nil, nil
		for _, p := range programs {
			request.Templates = append(request.Templates, plugin.EncodeProgram(p, true))
			if p.Locales != nil {
				request.Locales = append(request.Locales, plugin.EncodeLocales(p.Locales))
			}
		}
		response, err = c.scripts.Render(ctx, request)
	}
	if err != nil {
		return relay.Report{}, nil, err
	}
	report = plugin.DecodeReport(response.GetReport())
	if response.GetReport().GetVerdict() == pluginpb.Verdict_VERDICT_UNSPECIFIED {
		report.Verdict = ""
	}
	return report, response.GetReport().GetMessage(), nil
}

// withCode makes a call that names a script by its revision, and makes it again
// with the code where the child does not know it yet.
func withCode(p *relay.Program, call func(*pluginpb.Template) error) error {
	script := &pluginpb.Template{Revision: p.Revision, Name: p.Name}
	err := call(script)
	if status.Code(err) != codes.NotFound {
		return err
	}
	script.Code = p.Code
	return call(script)
}
