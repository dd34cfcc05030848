package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/launch"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

const (
	// callTimeout bounds every call that is no delivery.
	callTimeout = 10 * time.Second
	// describeTimeout bounds Describe, which needs neither settings nor network.
	describeTimeout = 5 * time.Second
	// graceTime is what a delivery may take beyond its own timeout before its
	// plugin counts as hung; cancelTime is when it is told to stop.
	graceTime  = 5 * time.Second
	cancelTime = 2 * time.Second
	// frameDeliveries bounds how many deliveries share a frame.
	frameDeliveries = 64
	// frameBytes keeps a frame below plugin.MaxFrame with room for one large event.
	frameBytes = 4 << 20
)

// session is one process from its handshake to its end.
type session struct {
	name string
	file string // what faults are said about
	proc *launch.Process
	// description is what the process says of itself.
	description Description
	client      pluginpb.ProviderClient
	stream      pluginpb.Provider_DeliverClient
	cancel      context.CancelFunc // ends the stream
	logger      *slog.Logger
	memory      int64 // resident bytes that the process may use; 0: any number
	wg          sync.WaitGroup

	ended  chan struct{} // closed when nothing more is handed over
	reason error         // why; read it after ended
	// outgrew: it was ended for its memory, and reason says so.
	outgrew atomic.Bool

	image *image // what it was started from; set before it is used
	late  func() // called when an answer of Check comes that nobody waited for; set before it is used

	known map[string]bool // revisions of programs that the process has; used by whoever has the turn to teach it

	mu       sync.Mutex // guards the fields below
	closed   bool       // no more deliveries
	inflight map[uint64]*flight
	calls    int                  // of look-ups and previews, not answered; those that the end of the process left so included
	lost     int                  // deliveries that the end of the process left unanswered
	queue    []*pluginpb.Delivery // not yet written to the stream
	cancels  []uint64
	checks   map[[sha256.Size]byte]*check // under way, or answered when nobody waited any more
	wake     chan struct{}                // capacity 1: queue or cancels have something
	idle     chan struct{}                // closed when closed and nothing is in flight
}

// flight is a delivery that the process has not answered.
type flight struct {
	done      func(relay.Report)
	deadline  time.Time // of the attempt
	cancelled bool
}

// errNotUsed ends a process that was only asked.
var errNotUsed = errors.New("not used")

func newSession(ctx context.Context, source Source, proc *launch.Process, logger *slog.Logger) (*session, error) {
	name, file := source.Name, source.said()
	client := pluginpb.NewProviderClient(proc.Conn)
	callCtx, cancelCall := context.WithTimeout(ctx, describeTimeout)
	defer cancelCall()
	who, err := client.Describe(callCtx, &pluginpb.DescribeRequest{})
	switch {
	case err != nil && status.Code(err) == codes.DeadlineExceeded:
		return nil, &launch.Error{File: file, What: fmt.Sprintf("does not answer Describe within %s", describeTimeout), Hint: "Describe is answered at once, without network"}
	case err != nil && source.AutoMTLS && status.Code(err) == codes.Unavailable:
		return nil, &launch.Error{File: file, What: "cannot be spoken to: " + status.Convert(err).Message(), Hint: "does it do AutoMTLS? take automtls: true out if not"}
	case err != nil:
		return nil, &launch.Error{File: file, What: "does not describe itself: " + status.Convert(err).Message(), Hint: "a plugin serves relay.plugin.v1.Provider on its socket"}
	case who.Name != name:
		return nil, &launch.Error{File: file, What: fmt.Sprintf("calls itself %q, and provider %s was expected", who.Name, name), Hint: fmt.Sprintf("name the file relay-plugin-%s, or the entry of providers %s", who.Name, who.Name)}
	}
	description, err := describe(who)
	if err != nil {
		return nil, &launch.Error{File: file, What: "describes itself wrongly: " + err.Error()}
	}
	streamCtx, cancel := context.WithCancel(context.Background())
	stream, err := client.Deliver(streamCtx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the stream of plugin %s: %w", name, err)
	}
	s := &session{
		name: name, file: file, proc: proc, description: description, client: client, stream: stream, cancel: cancel, logger: logger, memory: source.Memory,
		ended: make(chan struct{}), known: map[string]bool{}, inflight: map[uint64]*flight{},
		checks: map[[sha256.Size]byte]*check{},
		wake:   make(chan struct{}, 1), idle: make(chan struct{}),
	}
	s.wg.Go(s.write)
	s.wg.Go(s.read)
	s.wg.Go(s.watch)
	return s, nil
}

// describe reads what a plugin says of itself.
func describe(who *pluginpb.DescribeResponse) (Description, error) {
	d := Description{Renders: slices.Contains(who.Capabilities, plugin.CapabilityRender), Reaches: who.Direct != nil}
	d.Name, d.Version = who.Name, who.Version
	d.ProviderSchema, d.DestinationSchema = schemaOf(who.ProviderSchema), schemaOf(who.DestinationSchema)
	d.Limits.Concurrency, d.Limits.Body = int(who.Limits.GetConcurrency()), max(0, who.Limits.GetBody())
	d.Direct = plugin.DirectLimits{
		MatchBy: who.Direct.GetMatchBy(), Concurrency: int(who.Direct.GetConcurrency()), Timeout: time.Duration(who.Direct.GetTimeoutMs()) * time.Millisecond,
	}
	var err error
	d.Limits.Rate, err = relay.ParseRate(who.Limits.GetRate())
	return d, err
}

// schemaOf is a schema of the wire; empty is none.
func schemaOf(data []byte) json.RawMessage {
	if len(data) == 0 {
		return nil
	}
	return data
}

// alive reports whether the session takes deliveries.
func (s *session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// learn makes the process know two setups.
func (s *session) learn(ctx context.Context, next, previous Setup) ([]*pluginpb.Problem, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if s.description.Renders {
		if err := s.learnPrograms(ctx, slices.Concat(next.Programs, previous.Programs)); err != nil {
			return nil, err
		}
	}
	configure := &pluginpb.ConfigureRequest{Egress: next.Egress}
	revisions := map[string]bool{}
	for _, settings := range slices.Concat(next.Settings, previous.Settings) {
		if !revisions[settings.Revision] {
			revisions[settings.Revision] = true
			configure.Settings = append(configure.Settings, settings)
		}
	}
	resp, err := s.client.Configure(ctx, configure)
	return resp.GetProblems(), s.untaken(err)
}

// untaken is why a process did not take what it was told; nil: it did.
func (s *session) untaken(err error) error {
	switch {
	case err == nil:
		return nil
	case status.Code(err) == codes.DeadlineExceeded:
		return fmt.Errorf("plugin %s did not take its settings within %s", s.name, callTimeout)
	}
	return fmt.Errorf("plugin %s did not take its settings: %s", s.name, status.Convert(err).Message())
}

// learnPrograms makes the process know templates.
func (s *session) learnPrograms(ctx context.Context, programs []*relay.Program) error {
	templates := &pluginpb.PutTemplatesRequest{}
	listed, locales := map[string]bool{}, map[string]bool{}
	for _, program := range programs {
		if listed[program.Revision] {
			continue
		}
		listed[program.Revision] = true
		isNew := !s.known[program.Revision]
		if l := program.Locales; isNew && l != nil && !locales[l.Revision] {
			locales[l.Revision] = true
			templates.Locales = append(templates.Locales, plugin.EncodeLocales(l))
		}
		templates.Templates = append(templates.Templates, plugin.EncodeProgram(program, isNew))
	}
	if _, err := s.client.PutTemplates(ctx, templates); err != nil {
		return s.untaken(err)
	}
	s.known = listed
	return nil
}

// deliver queues one delivery; false means that the session takes no more.
func (s *session) deliver(d *pluginpb.Delivery, done func(relay.Report)) bool {
	deadline := time.Now().Add(time.Duration(d.TimeoutMs) * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.inflight[d.Ticket] = &flight{done: done, deadline: deadline}
	s.queue = append(s.queue, d)
	s.signal()
	return true
}

// resolve makes a look-up, whose time the request says.
func (s *session) resolve(ctx context.Context, in *pluginpb.ResolveRequest) (out *pluginpb.ResolveResponse, alone bool, err error) {
	alone, err = s.ask(ctx, in.TimeoutMs, "a look-up", func(ctx context.Context) error {
		out, err = s.client.Resolve(ctx, in)
		return err
	})
	return out, alone, err
}

// preview makes a preview, which has the time of its delivery.
func (s *session) preview(ctx context.Context, d *pluginpb.Delivery) (out *pluginpb.PreviewResponse, err error) {
	_, err = s.ask(ctx, d.TimeoutMs, "a preview", func(ctx context.Context) error {
		out, err = s.client.Preview(ctx, &pluginpb.PreviewRequest{Delivery: d})
		return err
	})
	if e := plugin.DecodeReport(out.GetReport()).TemplateError; e != nil && e.Fatal {
		s.spoiled(e)
	}
	return out, err
}

// ask makes a call beside the stream. A process that does not answer it within
// its time and graceTime hangs. With an error, alone reports that the process
// had nothing else to do.
func (s *session) ask(ctx context.Context, timeoutMs int64, what string, call func(context.Context) error) (alone bool, err error) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.calls++
	}
	s.mu.Unlock()
	if closed {
		return false, relay.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(timeoutMs)*time.Millisecond+graceTime)
	defer cancel()
	err = call(ctx)
	ended := err != nil && (s.proc.Conn.Exited.Err() != nil || status.Code(err) == codes.Unavailable)
	s.mu.Lock()
	alone = s.calls == 1 && len(s.inflight)+s.lost == 0
	if !ended { // else whatever else is lost was not alone either
		s.calls--
		s.checkIdle()
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		return false, nil
	case ended:
		err = &Lost{fmt.Sprintf("plugin %s ended before it answered %s", s.name, what)}
	case status.Code(err) == codes.DeadlineExceeded:
		err = &Lost{fmt.Sprintf("plugin %s hangs: %s was not answered %s after its timeout", s.name, what, graceTime)}
		s.end(err)
	}
	return alone, err
}

func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write sends what is queued; what queued up meanwhile shares a frame.
func (s *session) write() {
	for {
		select {
		case <-s.wake:
		case <-s.proc.Conn.Exited.Done():
			return
		case <-s.stream.Context().Done():
			return
		}
		for frame := s.frame(); frame != nil; frame = s.frame() {
			if err := s.stream.Send(frame); err != nil {
				return // read learns the reason
			}
		}
	}
}

func (s *session) frame() *pluginpb.DeliverRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(s.queue) && n < frameDeliveries && (n == 0 || size < frameBytes) {
		size += len(s.queue[n].Event) + len(s.queue[n].Message)
		n++
	}
	if n == 0 && len(s.cancels) == 0 {
		return nil
	}
	frame := &pluginpb.DeliverRequest{Deliveries: slices.Clone(s.queue[:n]), Cancel: s.cancels}
	s.queue = slices.Delete(s.queue, 0, n) // clears what it leaves, so that sent events can go
	s.cancels = nil
	return frame
}

// read takes answers until the stream breaks, which is how the end of the
// process is noticed at once.
func (s *session) read() {
	for {
		resp, err := s.stream.Recv()
		if err != nil {
			s.end(fmt.Errorf("plugin %s ended", s.name))
			s.giveBack()
			return
		}
		for _, result := range resp.Results {
			done := s.take(result.Ticket)
			if done == nil {
				continue
			}
			report := s.answered(result.Report)
			done(report)
			if e := report.TemplateError; e != nil && e.Fatal {
				s.spoiled(e)
			}
		}
	}
}

// answered is the report of a delivery. One that says nothing has words of relay's.
func (s *session) answered(r *pluginpb.Report) relay.Report {
	report := plugin.DecodeReport(r)
	_, known := pluginpb.Verdict_name[int32(r.GetVerdict())]
	switch {
	case report.Error != "":
	case !known:
		report.Error = fmt.Sprintf("plugin %s answered with the verdict %d, which relay does not know", s.name, r.GetVerdict())
	case r.GetVerdict() == pluginpb.Verdict_VERDICT_UNSPECIFIED:
		report.Error = fmt.Sprintf("plugin %s answered without a verdict", s.name)
	}
	return report
}

// spoiled has the process replaced: a render runs on in it that nobody can end.
// What is in flight is still answered.
func (s *session) spoiled(e *relay.TemplateError) {
	s.end(fmt.Errorf("plugin %s is replaced: a render could not be ended: %w", s.name, e))
}

// take removes a flight; nil means that it was answered before.
func (s *session) take(ticket uint64) func(relay.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.inflight[ticket]
	if f == nil {
		return nil
	}
	delete(s.inflight, ticket)
	s.checkIdle()
	return f.done
}

// checkIdle is called with mu held.
func (s *session) checkIdle() {
	if s.closed && len(s.inflight) == 0 && s.calls == 0 {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// end takes no more deliveries. What is in flight may still be answered.
func (s *session) end(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.reason = true, reason
	close(s.ended)
	s.checkIdle()
}

// giveBack reports everything that will not be answered any more as lost.
func (s *session) giveBack() {
	s.mu.Lock()
	lost, calls := s.inflight, s.calls
	s.inflight, s.lost = map[uint64]*flight{}, len(s.inflight)
	s.checkIdle()
	s.mu.Unlock()
	for _, f := range lost {
		f.done(relay.Report{
			Verdict: relay.Ambiguous, Lost: true, Alone: len(lost)+calls == 1,
			Error: fmt.Sprintf("plugin %s ended before it answered", s.name),
		})
	}
}

// close ends the process after a bounded wait for what is in flight. Once ctx
// is over nothing is waited for: who stops relay has waited as long as it may.
func (s *session) close(ctx context.Context) {
	s.end(errors.New("relay stops"))
	s.mu.Lock()
	last := time.Now()
	for _, f := range s.inflight {
		if end := f.deadline.Add(cancelTime); end.After(last) {
			last = end // a delivery that ends at its timeout is answered a little later
		}
	}
	s.mu.Unlock()
	timer := time.NewTimer(time.Until(last))
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
	case <-ctx.Done():
	case <-s.proc.Conn.Exited.Done():
	}
	s.proc.Kill()
	s.cancel()
	s.wg.Wait()
}
