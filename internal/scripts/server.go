package scripts

import (
	"context"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Server is the script child's half: it compiles, and it runs source scripts.
// The zero value is ready.
type Server struct {
	pluginpb.UnimplementedScriptsServer

	mu        sync.Mutex // guards the fields below
	known     map[string]*render.Template
	templates map[string]named // of plugins that have no engine
}

// named is a template with the name that the log shows.
type named struct {
	*render.Template
	name string
}

var _ pluginpb.ScriptsServer = (*Server)(nil)

// maxKnown bounds the compiled source scripts that are kept. There are as many
// as sources in use; every edit adds one.
const maxKnown = 64

// lastWords is for how long the child still answers after a script that could
// not be ended.
const lastWords = time.Second

// Compile implements pluginpb.ScriptsServer.
func (s *Server) Compile(_ context.Context, r *pluginpb.CompileRequest) (*pluginpb.CompileResponse, error) {
	response := &pluginpb.CompileResponse{}
	for _, c := range Compile(r.GetFiles(), r.GetEntries()) {
		out := &pluginpb.Compiled{Name: c.Name, Code: c.Code, Inputs: c.Inputs}
		for i := range c.Problems {
			if c.Problems[i].Fatal {
				time.AfterFunc(lastWords, func() { os.Exit(1) }) // relay starts another child
			}
			out.Problems = append(out.Problems, toProto(&c.Problems[i]))
		}
		response.Compiled = append(response.Compiled, out)
	}
	return response, nil
}

// Convert implements pluginpb.ScriptsServer.
func (s *Server) Convert(ctx context.Context, r *pluginpb.ConvertRequest) (*pluginpb.ConvertResponse, error) {
	template, fault, err := s.template(r.GetScript())
	if err != nil || fault != nil {
		return &pluginpb.ConvertResponse{Error: toProto(fault)}, err
	}
	events, reason, fault := template.Convert(ctx, r.GetRequest(), time.UnixMilli(r.GetNowMs()))
	return &pluginpb.ConvertResponse{Events: events, Reason: reason, Error: toProto(fault)}, nil
}

// Answer implements pluginpb.ScriptsServer.
func (s *Server) Answer(ctx context.Context, r *pluginpb.AnswerRequest) (*pluginpb.AnswerResponse, error) {
	template, fault, err := s.template(r.GetScript())
	if err != nil || fault != nil {
		return &pluginpb.AnswerResponse{Error: toProto(fault)}, err
	}
	reply, fault := template.Answer(ctx, r.GetResult(), time.Now())
	return &pluginpb.AnswerResponse{
		Custom: reply.Custom, Status: uint32(reply.Status), ContentType: reply.ContentType, Body: reply.Body, Error: toProto(fault),
	}, nil
}

// template is the compiled script of a revision. The code comes along only once;
// NotFound asks for it again.
func (s *Server) template(p *pluginpb.Template) (*render.Template, *relay.TemplateError, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.known[p.GetRevision()]; known != nil {
		return known, nil, nil
	}
	if len(p.GetCode()) == 0 {
		return nil, nil, status.Errorf(codes.NotFound, "script %q of revision %q is not known here", p.GetName(), p.GetRevision())
	}
	template, err := render.New(relay.Program{Name: p.GetName(), Revision: p.GetRevision(), Code: p.GetCode()})
	if err != nil {
		if fault, ok := err.(*relay.TemplateError); ok {
			return nil, fault, nil
		}
		return nil, &relay.TemplateError{File: p.GetName(), Message: err.Error()}, nil
	}
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = make(map[string]*render.Template)
	}
	s.known[p.GetRevision()] = template
	return template, nil, nil
}

// maxTemplates bounds the compiled templates that are kept: those in use, and
// one for every edit.
const maxTemplates = 1024

// Render implements pluginpb.ScriptsServer.
func (s *Server) Render(_ context.Context, r *pluginpb.RenderRequest) (*pluginpb.RenderResponse, error) {
	locales := map[string]*relay.Locales{}
	for _, l := range r.GetLocales() {
		locales[l.GetRevision()] = plugin.DecodeLocales(l)
	}
	found, missing := s.take(r.GetTemplates(), locales)
	if len(missing) > 0 {
		return &pluginpb.RenderResponse{Missing: missing}, nil
	}
	report := relay.Report{}
	plugin.Render(r.GetDelivery(), &report, func(revision string) (*render.Template, string) {
		t := found[revision]
		return t.Template, t.name
	})
	return &pluginpb.RenderResponse{Report: plugin.EncodeReport(&report)}, nil
}

// take compiles what came with its code, and finds what came before. One that
// does not compile is not found.
func (s *Server) take(all []*pluginpb.Template, locales map[string]*relay.Locales) (found map[string]named, missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found = map[string]named{}
	for _, t := range all {
		known, ok := s.templates[t.GetRevision()]
		switch {
		case ok:
		case len(t.GetCode()) == 0:
			missing = append(missing, t.GetRevision())
			continue
		default:
			known.name = t.GetName()
			known.Template, _ = render.New(relay.Program{Name: t.GetName(), Revision: t.GetRevision(), Code: t.GetCode(), Locales: locales[t.GetLocales()]})
			if s.templates == nil || len(s.templates) >= maxTemplates {
				s.templates = map[string]named{}
			}
			s.templates[t.GetRevision()] = known
		}
		found[t.GetRevision()] = known
	}
	return found, missing
}

func toProto(e *relay.TemplateError) *pluginpb.TemplateError {
	if e == nil {
		return nil
	}
	return &pluginpb.TemplateError{File: e.File, Line: uint32(e.Line), Column: uint32(e.Column), Message: e.Message}
}

func fromProto(e *pluginpb.TemplateError) *relay.TemplateError {
	if e == nil {
		return nil
	}
	return &relay.TemplateError{File: e.GetFile(), Line: int(e.GetLine()), Column: int(e.GetColumn()), Message: e.GetMessage()}
}
