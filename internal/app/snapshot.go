package app

import (
	"context"
	"errors"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/delivery"
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
	named    *relay.Program // the template that it names; nil: found by the event's type
	account  *account       // nil: it cannot reach people
	meter    *metrics.Destination
}

// swap makes a configuration and a set of templates the running ones. Providers
// learn first what deliveries will name; from the swap on nothing can fail.
func (a *App) swap(ctx context.Context, cfg loaded, set *scripts.Set) {
	next := &snapshot{cfg: cfg, since: time.Now(), templates: set, destinations: map[string]*destination{}}
	a.measure(cfg, set)
	setups := map[string]*pluginhost.Setup{}
	var wanted []route.Destination
	var lanes []delivery.Destination
	for _, d := range cfg.Destinations {
		wants := route.Destination{Name: d.Name, Provider: d.Entry, Disabled: d.Disabled, Events: d.Events, Match: d.Match}
		_, hasChannel := cfg.windows[d.Name]
		wants.PeopleOnly = !hasChannel
		channel := delivery.Destination{
			Name: d.Name, Settings: d.Revision, Concurrency: d.Concurrency, Windows: cfg.windows[d.Name],
			RetryFor: d.Retry.For, MaxAmbiguous: d.Retry.Ambiguous, Disabled: d.Disabled,
		}
		lanes = append(lanes, channel)
		var reaches *account
		if account, ok := cfg.direct[d.Name]; ok {
			reaches = &account
			// Also without direct_messages: some may still be waiting.
			lanes = append(lanes, directLane(channel, d, account, cfg.Alerts))
			if d.Direct != nil {
				wants.Direct = &route.Direct{Events: d.Direct.Events, Fallback: d.Direct.Fallback}
			}
		}
		wanted = append(wanted, wants)
		if d.Disabled {
			continue // a process starts only when an enabled destination needs it
		}
		if setups[d.Use] == nil {
			setups[d.Use] = &pluginhost.Setup{Programs: set.Programs()}
		}
		setups[d.Use].Settings = append(setups[d.Use].Settings, &pluginpb.Settings{
			Revision: d.Revision, Destination: d.Name, Entry: d.Entry,
			Provider: cfg.Entries[d.Entry].Settings, Target: d.Settings,
		})
		next.destinations[d.Name] = &destination{
			Destination: d, provider: a.host.Provider(d.Use), named: set.Named(d.Template), account: reaches, meter: a.metrics.Destination(d.Name),
		}
	}
	next.routes = route.New(wanted, cfg.people.Complete)
	for name, setup := range setups {
		// One that cannot be told is started anew with the setup; its
		// deliveries wait for that.
		if _, err := a.host.Provider(name).Apply(ctx, *setup); err != nil {
			a.logger.Warn("plugin did not take its settings and is started anew", "plugin", name, "error", err)
		}
	}
	a.masker.Add(cfg.Secrets...)
	a.current.Store(next)
	a.guard.Set(guardRules(cfg.Config))
	a.engine.SetDestinations(lanes)
	a.host.Keep(func(name string) bool { return setups[name] != nil })
	a.watcher.Set(append(append([]string{}, cfg.Files...), cfg.Templates))
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

// Source is the script of a source.
func (a *App) Source(name string) *relay.Program { return a.current.Load().templates.Source(name) }

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
	return d != nil && d.provider.Ready()
}

// Send hands a delivery to its provider with the settings and the template of
// this moment.
func (a *App) Send(c relay.Claimed, done func(relay.Report)) error {
	now := a.current.Load()
	d := now.destinations[c.Destination]
	if d == nil || c.Part == relay.PartDirect && d.account == nil {
		return relay.ErrUnavailable
	}
	program := d.named
	if program == nil {
		program = now.templates.Find(d.Use, c.EventType)
	}
	out := &pluginpb.Delivery{
		Id: c.ID, Attempt: uint32(c.Attempt), Settings: d.Revision, EventId: c.EventID, Event: c.Event,
		Template: program.Revision, Fallback: now.templates.BuiltIn(d.Use, c.EventType).Revision,
		TemplateErrors: string(d.TemplateErrors), TimeoutMs: d.Timeout.Milliseconds(),
		Context: &pluginpb.Context{
			Destination: d.Name, Provider: d.Use, Language: d.Language, TimeZone: d.TimeZone, NowMs: c.Created.UnixMilli(),
		},
	}
	if now.knowsPeople() {
		out.Event = withPeople(c.Event, func(p relay.Person, source string) (relay.Person, bool) { return a.known(now, d, p, source) })
	}
	out.Traceparent = a.tracer.Parent(&c)
	done = a.observed(d, program.Name, c, done)
	if c.Part == relay.PartDirect {
		a.personal(now, d, c, out)
		done = a.forgetRefused(d, c.User, done)
	}
	return d.provider.Deliver(out, done)
}
