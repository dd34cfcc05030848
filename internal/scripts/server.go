package scripts

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Server is the script child's half: it compiles, and it runs source scripts.
// The zero value is ready.
type Server struct {
	pluginpb.UnimplementedScriptsServer

	mu    sync.Mutex // guards known
	known map[string]*render.Template
}

var _ pluginpb.ScriptsServer = (*Server)(nil)

// maxKnown bounds the compiled source scripts that are kept. There are as many
// as sources in use; every edit adds one.
const maxKnown = 64

// Compile implements pluginpb.ScriptsServer.
func (s *Server) Compile(_ context.Context, r *pluginpb.CompileRequest) (*pluginpb.CompileResponse, error) {
	response := &pluginpb.CompileResponse{}
	for _, c := range Compile(r.GetFiles(), r.GetEntries()) {
		out := &pluginpb.Compiled{Name: c.Name, Code: c.Code, Inputs: c.Inputs}
		for i := range c.Problems {
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
