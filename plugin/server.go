package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// server is the plugin's half of the wire: it serves the protocol with a Provider.
type server struct {
	pluginpb.UnimplementedProviderServer
	provider    Provider
	description Description
	logger      *slog.Logger
	watch       *render.Watch
	broken      func()   // called when a render could not be ended; nil: not
	spoiled     sync.Map // revision of a template that could not be ended → *pluginpb.TemplateError

	mu        sync.Mutex // held while settings or templates change
	settings  atomic.Pointer[map[string]*configured]
	templates atomic.Pointer[map[string]template]
}

// configured is a destination with what masks its secrets. Either part may be
// missing: not every destination has a channel, nor everyone people.
type configured struct {
	channel Destination
	direct  Direct
	masker  *relay.Masker
}

// part is the half of the destination that a delivery goes to, or nil.
func (c *configured) part(direct bool) Destination {
	switch {
	case !direct && c.channel != nil:
		return c.channel
	case direct && c.direct != nil:
		return c.direct
	}
	return nil
}

// template is a compiled template with the name that the log shows.
type template struct {
	*render.Template
	name string
}

// CapabilityRender says that a plugin has a JavaScript engine of its own.
const CapabilityRender = "render"

func newServer(p Provider, logger *slog.Logger) *server {
	s := &server{provider: p, description: p.Describe(), logger: logger, watch: render.NewWatch()}
	s.settings.Store(&map[string]*configured{})
	s.templates.Store(&map[string]template{})
	return s
}

func (s *server) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	d := s.description
	out := &pluginpb.DescribeResponse{
		Name: d.Name, Version: d.Version, Capabilities: []string{CapabilityRender},
		ProviderSchema: d.ProviderSchema, DestinationSchema: d.DestinationSchema,
		Limits: &pluginpb.Limits{Rate: d.Limits.Rate.String(), Concurrency: uint32(d.Limits.Concurrency), Body: d.Limits.Body},
	}
	if _, ok := s.provider.(DirectProvider); ok {
		out.Direct = &pluginpb.Direct{
			MatchBy: d.Direct.MatchBy, Concurrency: uint32(d.Direct.Concurrency), TimeoutMs: d.Direct.Timeout.Milliseconds(),
		}
	}
	return out, nil
}

func (s *server) Check(_ context.Context, req *pluginpb.CheckRequest) (*pluginpb.CheckResponse, error) {
	resp := &pluginpb.CheckResponse{}
	for _, settings := range req.Settings {
		dest, problems := s.open(settings)
		resp.Problems = append(resp.Problems, problems...)
		if dest != nil {
			resp.Opened = append(resp.Opened, dest.opened(settings.Revision))
		}
	}
	return resp, nil
}

func (s *server) Configure(_ context.Context, req *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.provider.(Networked); ok {
		e, err := decodeEgress(req.Egress)
		if err != nil {
			return nil, err
		}
		p.SetEgress(e)
	}
	resp := &pluginpb.ConfigureResponse{}
	old, next := *s.settings.Load(), map[string]*configured{}
	for _, settings := range req.Settings {
		if known := old[settings.Revision]; known != nil {
			next[settings.Revision] = known // unchanged: keeps its connections
			continue
		}
		dest, problems := s.open(settings)
		resp.Problems = append(resp.Problems, problems...)
		if dest != nil {
			next[settings.Revision] = dest
		}
	}
	s.settings.Store(&next)
	return resp, nil
}

// open makes a destination, or says what is wrong with its settings.
func (s *server) open(in *pluginpb.Settings) (*configured, []*pluginpb.Problem) {
	masker := &relay.Masker{}
	masker.Add(relay.SecretsIn(s.description.ProviderSchema, in.Provider)...)
	masker.Add(relay.SecretsIn(s.description.DestinationSchema, in.Target)...)
	settings := Settings{
		Destination: in.Destination, Entry: in.Entry, Provider: in.Provider, Target: in.Target,
		Masker: masker, Logger: slog.New(masked{s.logger.Handler(), masker}).With("destination", in.Destination),
	}
	dest := &configured{masker: masker}
	var problems []Problem
	dest.channel, problems = s.provider.Open(settings)
	ofChannel := len(problems)
	if p, ok := s.provider.(DirectProvider); ok {
		var more []Problem
		dest.direct, more = p.OpenDirect(settings)
		problems = append(problems, more...)
	}
	var out []*pluginpb.Problem
	usable := dest.channel != nil || dest.direct != nil
	for i, p := range problems {
		usable = usable && (p.Warning || p.NoChannel)
		out = append(out, &pluginpb.Problem{
			Revision: in.Revision, Provider: p.Provider, Pointer: p.Pointer,
			Message: masker.Mask(p.Message), Warning: p.Warning, NoChannel: p.NoChannel,
			Direct: i >= ofChannel,
		})
	}
	if !usable {
		return nil, out
	}
	return dest, out
}

// Resolve looks people up.
func (s *server) Resolve(ctx context.Context, req *pluginpb.ResolveRequest) (*pluginpb.ResolveResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(req.TimeoutMs)*time.Millisecond)
	defer cancel()
	people := make([]relay.Person, len(req.People))
	for i, raw := range req.People {
		if err := json.Unmarshal(raw, &people[i]); err != nil {
			return nil, fmt.Errorf("person %d: %w", i, err)
		}
	}
	dest := (*s.settings.Load())[req.Settings]
	var matches []Match
	switch {
	case dest == nil:
		matches = answerAll(people, relay.Report{Verdict: relay.Temporary, Error: noSettings})
	case dest.direct == nil:
		matches = answerAll(people, relay.Report{Verdict: relay.Temporary, Error: noDirect})
	default:
		matches = s.resolve(ctx, dest, req.By, people)
	}
	resp := &pluginpb.ResolveResponse{}
	for i := range matches {
		m := &matches[i]
		if dest != nil {
			m.Error = dest.masker.Mask(m.Error)
		}
		resp.Matches = append(resp.Matches, &pluginpb.Match{User: m.User, KeepMs: m.Keep.Milliseconds(), Report: EncodeReport(&m.Report)})
	}
	return resp, nil
}

// resolve asks the provider. One that panics or loses count answers for nobody.
func (s *server) resolve(ctx context.Context, dest *configured, by string, people []relay.Person) (out []Match) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			out = answerAll(people, relay.Report{Verdict: relay.Temporary, Error: panicked})
		}
	}()
	if out = dest.direct.Resolve(ctx, by, people); len(out) != len(people) {
		out = answerAll(people, relay.Report{Verdict: relay.Temporary,
			Error: fmt.Sprintf("the provider answered for %d of %d people", len(out), len(people))})
	}
	return out
}

func answerAll(people []relay.Person, r relay.Report) []Match {
	out := make([]Match, len(people))
	for i := range out {
		out[i].Report = r
	}
	return out
}

const (
	noSettings = "the plugin does not have these settings; they were changed or refused meanwhile"
	noDirect   = "these settings have no credentials for direct messages"
	noChannel  = "these settings name no channel"
	panicked   = "the provider panicked; its log has the stack"
)

func (s *server) PutTemplates(_ context.Context, req *pluginpb.PutTemplatesRequest) (*pluginpb.PutTemplatesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	locales := map[string]*relay.Locales{}
	for _, l := range req.Locales {
		locales[l.Revision] = DecodeLocales(l)
	}
	resp := &pluginpb.PutTemplatesResponse{}
	old, next := *s.templates.Load(), map[string]template{}
	for _, t := range req.Templates {
		if known, ok := old[t.Revision]; ok {
			next[t.Revision] = known
			continue
		}
		if len(t.Code) == 0 {
			resp.Missing = append(resp.Missing, t.Revision)
			continue
		}
		compiled, err := render.New(relay.Program{Name: t.Name, Revision: t.Revision, Code: t.Code, Locales: locales[t.Locales]})
		if err != nil {
			// esbuild took it and goja does not: every delivery that names it says so.
			s.logger.Error("template does not compile", "template", t.Name, "error", err)
			continue
		}
		next[t.Revision] = template{compiled, t.Name}
	}
	s.templates.Store(&next)
	return resp, nil
}
