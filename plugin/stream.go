package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

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
