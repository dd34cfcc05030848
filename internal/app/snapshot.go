package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/metrics"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/route"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// snapshot is everything that a reload replaces. It is immutable.
type snapshot struct {
	cfg          loaded
	since        time.Time
	templates    *scripts.Set
	routes       *route.Table
	destinations map[string]*destination
}

// destination is one destination with what serves it.
type destination struct {
	config.Destination
	provider *pluginhost.Provider
	unknown  bool           // the plugin could not say yet what it is: nothing is sent
	named    *relay.Program // the template that it names; nil: found by the event's type
	account  *account       // nil: it cannot reach people
	meter    *metrics.Destination
}

// swap makes a configuration and a set of templates the running ones. Providers
// learn first what deliveries will name; from the swap on nothing can fail.
func (a *App) swap(ctx context.Context, cfg loaded, set *scripts.Set) {
	a.measure(cfg, set) // first: what is built holds its numbers
	next, setups := a.build(cfg, set, func(config.Destination) bool { return true })
	if running := a.current.Load(); running != nil && running.cfg.Revision == cfg.Revision {
		next.since = running.since // only templates are new
	}
	var wanted []route.Destination
	var lanes []delivery.Destination
	for _, d := range cfg.Destinations {
		wants := route.Destination{Name: d.Name, Provider: d.Entry, Disabled: d.Disabled, Events: d.Events, Match: d.Match, Recipients: persons(d.Recipients)}
		_, hasChannel := cfg.windows[d.Name]
		wants.PeopleOnly = !hasChannel
		channel := delivery.Destination{
			Name: d.Name, Plugin: d.Use, Settings: d.Revision, Concurrency: d.Concurrency, Windows: cfg.windows[d.Name],
			RetryFor: d.Retry.For, MaxAmbiguous: d.Retry.Ambiguous, Disabled: d.Disabled, HoldFor: cfg.Store.HoldFor,
		}
		lanes = append(lanes, channel)
		if account, ok := cfg.direct[d.Name]; ok {
			// Also without direct_messages: some may still be waiting.
			lanes = append(lanes, directLane(channel, d, account, cfg.Alerts))
			if d.Direct != nil {
				wants.Direct = &route.Direct{Events: d.Direct.Events, Fallback: d.Direct.Fallback}
			}
		}
		wanted = append(wanted, wants)
	}
	next.routes = route.New(wanted, cfg.people.Complete)
	a.apply(ctx, cfg, setups)
	if a.current.Load() != nil {
		a.at(PointReload)
	}
	a.current.Store(next)
	a.faults.keep(set)
	a.guard.Set(guardRules(cfg.Config))
	a.engine.SetRemovedGrace(cfg.Store.RemovedGrace)
	a.engine.SetDestinations(lanes)
	a.host.Keep(func(name string) bool { return setups[name] != nil })
	a.host.Forget()
	a.watcher.SetPoll(cfg.Watch.Poll)
	a.watcher.Set(cfg.watched())
}

// build makes a snapshot, but for its routes, with the wanted destinations, and
// what their providers must know. The process of a provider starts when an
// enabled destination needs it.
func (a *App) build(cfg loaded, set *scripts.Set, wanted func(config.Destination) bool) (*snapshot, map[string]*pluginhost.Setup) {
	next := &snapshot{cfg: cfg, since: time.Now(), templates: set, destinations: map[string]*destination{}}
	setups := map[string]*pluginhost.Setup{}
	egress := &pluginpb.Egress{Authorities: cfg.Egress.CA}
	for _, network := range cfg.Egress.Allow {
		egress.Allow = append(egress.Allow, network.String())
	}
	for _, d := range cfg.Destinations {
		if d.Disabled || !wanted(d) {
			continue
		}
		var reaches *account
		if account, ok := cfg.direct[d.Name]; ok {
			reaches = &account
		}
		if setups[d.Use] == nil {
			setups[d.Use] = &pluginhost.Setup{Programs: set.Programs(), Egress: egress}
		}
		setups[d.Use].Settings = append(setups[d.Use].Settings, &pluginpb.Settings{
			Revision: d.Revision, Destination: d.Name, Entry: d.Entry,
			Provider: cfg.Entries[d.Entry].Settings, Target: d.Settings,
		})
		next.destinations[d.Name] = &destination{
			Destination: d, provider: a.host.Use(cfg.catalogue.source(d.Use)), unknown: cfg.unknown[d.Name], named: set.Named(d.Template), account: reaches,
			meter: a.metrics.Destination(d.Name),
		}
	}
	return next, setups
}

// apply tells providers what deliveries will name, side by side. One that is
// slow to learn it keeps nobody waiting: it gets nothing until it has.
func (a *App) apply(ctx context.Context, cfg loaded, setups map[string]*pluginhost.Setup) {
	var all sync.WaitGroup
	defer all.Wait()
	for name, setup := range setups {
		all.Go(func() {
			ctx, cancel := bounded(ctx, a.patience)
			defer cancel()
			_, err := a.host.Use(cfg.catalogue.source(name)).Apply(ctx, *setup)
			switch {
			case errors.Is(err, pluginhost.ErrLate):
				a.logger.Warn("plugin is slow to take its settings", "plugin", name, "error", err)
			case err != nil:
				// One that cannot be told is started anew with the setup; its
				// deliveries wait for that.
				a.logger.Warn("plugin is started anew", "plugin", name, "error", err)
			}
		})
	}
}

// knowsPeople reports whether there is more to know of people than events say.
func (s *snapshot) knowsPeople() bool { return len(s.cfg.direct) > 0 || !s.cfg.people.Empty() }

// Route is the deliveries that an event asks for.
func (a *App) Route(eventType string, body []byte) []relay.NewDelivery {
	return a.current.Load().routes.Route(eventType, body)
}

// Append makes events durable and wakes their destinations. What a sender
// really sent is kept masked.
func (a *App) Append(ctx context.Context, events []relay.Accepted) ([]relay.Appended, error) {
	trace := a.tracer.Context(ctx)
	for i := range events {
		events[i].Trace = trace
		if events[i].Original != nil {
			events[i].Original = []byte(a.masker.Mask(string(events[i].Original)))
		}
	}
	appended, err := a.store.Append(ctx, events)
	if errors.Is(err, relay.ErrDiskFull) {
		a.diskFull.Store(time.Now().UnixNano())
	}
	if err != nil {
		return nil, err
	}
	a.at(PointAccepted)
	a.diskFull.Store(0)
	a.countEvents(events, appended)
	var woken []relay.Lane
	for i, e := range events {
		if !appended[i].Duplicate && !appended[i].Conflict {
			for _, d := range e.Deliveries {
				woken = append(woken, d.Lane())
			}
		}
	}
	if len(woken) > 0 {
		a.engine.Wake(woken...)
	}
	return appended, nil
}

// Source is what serves a source: what relay.yaml says of it, and a script that
// it names or that has its name. A source whose script never was good is there,
// and cannot be used.
func (a *App) Source(name string) (intake.Source, bool) {
	now := a.current.Load()
	s, configured := now.cfg.Sources[name]
	out := intake.Source{Script: now.templates.Source(cmp.Or(s.Script, name)), Settings: s.Settings}
	if len(s.Recipients) > 0 {
		out.Recipients, _ = json.Marshal(persons(s.Recipients)) // strings
	}
	return out, configured || out.Script != nil || now.templates.BrokenSource(name)
}

// persons are recipients of relay.yaml as events have them.
func persons(all []config.Person) []relay.Person {
	var out []relay.Person
	for _, p := range all {
		out = append(out, relay.Person{Name: p.Name, Email: p.Email, Phone: p.Phone, IDs: p.IDs})
	}
	return out
}

// Convert runs a source script in the script child.
func (a *App) Convert(ctx context.Context, p *relay.Program, request []byte, now time.Time) ([]byte, string, error) {
	return a.scripts.Convert(ctx, p, request, now)
}

// Answer asks a source script how to answer its sender.
func (a *App) Answer(ctx context.Context, p *relay.Program, result []byte) (int, string, []byte, bool, error) {
	reply, err := a.scripts.Answer(ctx, p, result)
	return reply.Status, reply.ContentType, reply.Body, reply.Custom, err
}

// Ready reports whether the destination's provider takes deliveries now.
func (a *App) Ready(name string) bool {
	d := a.current.Load().destinations[name]
	return d != nil && d.ready()
}

func (d *destination) ready() bool { return !d.unknown && d.provider.Ready() }

// Send hands a delivery to its provider with the settings and the template of
// this moment.
func (a *App) Send(c relay.Claimed, alone bool, done func(relay.Report)) error {
	now := a.current.Load()
	d := now.destinations[c.Destination]
	if d == nil || d.unknown || c.Part == relay.PartDirect && d.account == nil {
		return relay.ErrUnavailable
	}
	if c.Part == relay.PartDirect {
		done = a.forgetRefused(d, c.User, done)
	}
	out, programs, judged := a.addressed(now, d, c, false)
	out.Traceparent = a.tracer.Parent(&c)
	done = judged(a.observed(d, programs.template.Name, c, done))
	a.at(PointClaimed)
	if a.o.At != nil {
		record := done
		done = func(r relay.Report) {
			a.at(PointSent)
			record(r)
		}
	}
	deliver := d.provider.Deliver
	if alone {
		deliver = d.provider.DeliverAlone
	}
	if !d.provider.Renders() {
		a.work.Go(func() { a.renderAndDeliver(out, programs, deliver, done) })
		return nil
	}
	return deliver(out, done)
}

// programs are what a delivery's message is made by.
type programs struct{ template, fallback *relay.Program }

// addressed is a delivery as its provider gets it, what renders it, and who
// reads its report on the way back: what it says of the template is remembered
// and explained. Of a trial, which is no delivery, nothing is remembered.
func (a *App) addressed(now *snapshot, d *destination, c relay.Claimed, trial bool) (out *pluginpb.Delivery, by programs, judged func(func(relay.Report)) func(relay.Report)) {
	program := d.named
	if program == nil {
		program = now.templates.Find(d.Use, c.EventType)
	}
	by = programs{program, now.templates.BuiltIn(d.Use, c.EventType)}
	out = &pluginpb.Delivery{
		Id: c.ID, Attempt: uint32(c.Attempt), Settings: d.Revision, EventId: c.EventID, Event: c.Event,
		Template: program.Revision, Fallback: by.fallback.Revision,
		TemplateErrors: string(d.TemplateErrors), TimeoutMs: d.Timeout.Milliseconds(),
		Resend: c.Resend,
		Context: &pluginpb.Context{
			Destination: d.Name, Provider: d.Use, Language: d.Language, TimeZone: d.TimeZone, NowMs: c.Created.UnixMilli(),
		},
	}
	out.Event = withRecipients(out.Event, persons(d.Recipients))
	if now.knowsPeople() {
		out.Event = withPeople(out.Event, func(p relay.Person, source string) (relay.Person, bool) { return a.known(now, d, p, source) })
	}
	if c.Part == relay.PartDirect {
		a.personal(now, d, c, out)
	}
	watch := a.faults.watch(program, out, trial)
	if d.Template != "" && d.named == nil {
		watch = broken(now.templates.Broken(d.Template), out)
	}
	return out, by, func(done func(relay.Report)) func(relay.Report) { return watch(a.masked(done)) }
}
