package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

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

// Deliver runs deliveries side by side; relay bounds how many are in flight.
// Workers are kept for the next one, because a render needs a deep stack and
// growing it anew each time costs. Results that are ready at the same time
// share a frame.
func (s *server) Deliver(stream pluginpb.Provider_DeliverServer) error {
	results := make(chan *pluginpb.Result, 256)
	written := make(chan error, 1)
	var inflight atomic.Int64
	go func() { written <- writeResults(stream, results, &inflight) }()

	var open sync.WaitGroup // deliveries without an answer
	var cancels sync.Map    // ticket → context.CancelFunc
	jobs := make(chan job)
	work := func(j job) {
		var once sync.Once
		s.deliver(j.ctx, j.delivery, func(report *pluginpb.Report) {
			once.Do(func() {
				cancels.Delete(j.delivery.Ticket)
				j.cancel()
				results <- &pluginpb.Result{Ticket: j.delivery.Ticket, Report: report}
				open.Done()
			})
		})
	}
	var err error
	for {
		var req *pluginpb.DeliverRequest
		if req, err = stream.Recv(); err != nil {
			break
		}
		for _, d := range req.Deliveries {
			j := job{delivery: d}
			j.ctx, j.cancel = context.WithTimeout(stream.Context(), time.Duration(d.TimeoutMs)*time.Millisecond)
			cancels.Store(d.Ticket, j.cancel)
			inflight.Add(1)
			open.Add(1)
			select {
			case jobs <- j: // a worker is idle
			default:
				go func() { // ends with jobs, unless a render keeps it for ever
					for work(j); ; work(j) {
						var more bool
						if j, more = <-jobs; !more {
							return
						}
					}
				}()
			}
		}
		for _, ticket := range req.Cancel {
			if cancel, ok := cancels.Load(ticket); ok {
				cancel.(context.CancelFunc)()
			}
		}
	}
	close(jobs)
	open.Wait()
	close(results)
	if werr := <-written; werr != nil {
		return werr
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// job is a delivery with the time that it has.
type job struct {
	delivery *pluginpb.Delivery
	ctx      context.Context
	cancel   context.CancelFunc
}

const (
	// While more than busyFrom deliveries are in flight, a result waits up to
	// resultLinger for others to share its frame, which cost more than their
	// content. When little is in flight nothing waits.
	busyFrom     = 8
	resultLinger = time.Millisecond
	frameResults = 16
)

// writeResults sends results until the channel is closed.
func writeResults(stream pluginpb.Provider_DeliverServer, results <-chan *pluginpb.Result, inflight *atomic.Int64) error {
	timer := time.NewTimer(resultLinger)
	defer timer.Stop()
	var failed error
	for first := range results {
		frame := &pluginpb.DeliverResponse{Results: []*pluginpb.Result{first}}
		late := inflight.Load() <= busyFrom
		timer.Reset(resultLinger)
		for len(frame.Results) < frameResults && (!late || len(results) > 0) {
			select {
			case r, ok := <-results:
				if ok {
					frame.Results = append(frame.Results, r)
				}
				late = late || !ok
			case <-timer.C:
				late = true
			}
		}
		inflight.Add(-int64(len(frame.Results)))
		if failed == nil { // after a failure, drain: relay is gone
			failed = stream.Send(frame)
		}
	}
	return failed
}

// Preview goes the way of a delivery up to the request.
func (s *server) Preview(_ context.Context, req *pluginpb.PreviewRequest) (*pluginpb.PreviewResponse, error) {
	answer := make(chan *pluginpb.PreviewResponse, 1)
	go func() { // a render may keep it for ever
		defer func() {
			if p := recover(); p != nil {
				s.logger.Error("provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				answer <- &pluginpb.PreviewResponse{Report: &pluginpb.Report{Verdict: pluginpb.Verdict_TEMPORARY, Error: panicked}}
			}
		}()
		w := s.prepare(req.Delivery, func(fault *relay.TemplateError) {
			answer <- s.preview(s.prepare(s.without(req.Delivery, fault), nil))
		})
		if !w.givenUp {
			answer <- s.preview(w)
		}
	}()
	return <-answer, nil
}

// preview is the answer about a delivery that is not sent.
func (s *server) preview(w *work) *pluginpb.PreviewResponse {
	out := &pluginpb.PreviewResponse{}
	if w.request != nil {
		size := s.measure(w)
		out.Size, out.Limit, out.Unit = size.Used, size.Limit, size.Unit
		w.report.Request = &relay.Request{
			Method: w.request.Method, URL: maskURL(w.dest.masker, w.request.URL),
			Headers: map[string]string{}, Body: w.dest.masker.Mask(string(w.request.Body)),
		}
		for name := range w.request.Header {
			if plainHeader(name) {
				w.report.Request.Headers[name] = w.dest.masker.Mask(w.request.Header.Get(name))
			} else {
				w.report.Request.Headers[name] = relay.SecretText
			}
		}
	}
	out.Report = w.finish()
	return out
}

// measure is how big a request is.
func (s *server) measure(w *work) Size {
	if m, ok := w.place.(Measured); ok {
		return m.Measure(w.request)
	}
	return Size{Used: int64(len(w.request.Body)), Limit: s.description.Limits.Body}
}

// maskURL masks a URL. Of one that is a secret as a whole, its host is shown.
func maskURL(m *relay.Masker, raw string) string {
	masked := m.Mask(raw)
	u, err := url.Parse(raw)
	if masked != relay.SecretText || err != nil || strings.Trim(u.Path, "/")+u.RawQuery == "" {
		return masked
	}
	return u.Scheme + "://" + u.Host + "/" + relay.SecretText
}

// plainHeader reports whether a header's value is never a secret.
func plainHeader(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Type", "Accept", "User-Agent":
		return true
	}
	return false
}

// deliver renders, composes and sends one delivery, and answers it. A panic of
// the provider ends the attempt, not the process with everybody else's
// deliveries. Where the render cannot be ended, another goroutine answers, and
// whatever comes of this one is dropped.
func (s *server) deliver(ctx context.Context, d *pluginpb.Delivery, answer func(*pluginpb.Report)) {
	giveUp := func(fault *relay.TemplateError) { answer(s.attempt(ctx, s.without(d, fault), nil)) }
	if report := s.attempt(ctx, d, giveUp); report != nil {
		answer(report)
	}
}

// without is a delivery whose template could not be ended and is not run again.
func (s *server) without(d *pluginpb.Delivery, fault *relay.TemplateError) *pluginpb.Delivery {
	s.logger.Error("a render could not be ended; the plugin is replaced when its deliveries are done", "delivery", d.Id, "error", fault.Error())
	if s.broken != nil {
		s.broken()
	}
	again := proto.CloneOf(d)
	again.Quarantined = EncodeTemplateError(fault)
	s.spoiled.Store(d.Template, again.Quarantined)
	return again
}

// attempt is the report of one attempt, or nil where giveUp took it over.
func (s *server) attempt(ctx context.Context, d *pluginpb.Delivery, giveUp func(*relay.TemplateError)) (out *pluginpb.Report) {
	sending := false
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("provider panicked", "delivery", d.Id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			out = &pluginpb.Report{Verdict: pluginpb.Verdict_TEMPORARY, Error: panicked}
			if sending {
				out.Verdict = pluginpb.Verdict_AMBIGUOUS
			}
		}
	}()
	w := s.prepare(d, giveUp)
	if w.givenUp {
		return nil
	}
	if w.request == nil {
		return w.finish()
	}
	made := w.report
	sending = true
	began := time.Now()
	w.report = w.place.Send(ctx, w.delivery, w.request)
	w.report.RenderTime, w.report.SendTime = made.RenderTime, time.Since(began)
	w.report.Template, w.report.TemplateRevision = made.Template, made.TemplateRevision
	w.report.TemplateError, w.report.Message, w.report.Resent = made.TemplateError, made.Message, made.Resent
	w.keep()
	return w.finish()
}

// work is one delivery on its way through the plugin. Without a request its
// report is the end of it.
type work struct {
	dest     *configured
	place    Destination // the part of dest that it goes to
	delivery *Delivery
	rendered relay.Rendered
	request  *Request
	report   relay.Report
	givenUp  bool // another goroutine has the delivery now
}

// finish masks what leaves the process and puts it on the wire.
func (w *work) finish() *pluginpb.Report {
	if w.dest != nil {
		m := w.dest.masker
		w.report.Error = m.Mask(w.report.Error)
		w.report.Message = json.RawMessage(m.Mask(string(w.report.Message)))
		if w.report.TemplateError != nil {
			w.report.TemplateError.Message = m.Mask(w.report.TemplateError.Message)
		}
	}
	return EncodeReport(&w.report)
}

// prepare goes the way of a delivery up to the request.
func (s *server) prepare(d *pluginpb.Delivery, giveUp func(*relay.TemplateError)) *work {
	w := &work{dest: (*s.settings.Load())[d.Settings]}
	if w.dest == nil {
		w.report = relay.Report{Verdict: relay.Temporary, Error: noSettings}
		return w
	}
	if w.place = w.dest.part(d.Context.GetDirect()); w.place == nil {
		w.report = relay.Report{Verdict: relay.Temporary, Error: noChannel}
		if d.Context.GetDirect() {
			w.report.Error = noDirect
		}
		return w
	}
	var err error
	if w.delivery, err = decodeDelivery(d); err != nil {
		w.report = relay.Report{Verdict: relay.MessageRefused, Error: err.Error()}
		return w
	}
	if !w.again(d) {
		s.compose(d, w, giveUp)
	}
	return w
}
