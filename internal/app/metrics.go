package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/metrics"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
)

// newMetrics counts for this relay.
func (a *App) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Options{Version: a.o.Version, State: scraped{a}, Logger: a.logger})
}

// scraped is what a scrape asks for.
type scraped struct{ a *App }

func (s scraped) Backlogs(ctx context.Context) ([]relay.Backlog, error) {
	return s.a.store.Backlogs(ctx)
}
func (s scraped) Pauses(ctx context.Context) ([]relay.Pause, error) { return s.a.store.Pauses(ctx) }

func (s scraped) Plugins() []metrics.Plugin {
	var all []metrics.Plugin
	for _, p := range s.a.pluginStatus() {
		if p.Beside {
			continue // for suspects and previews; what delivers counts
		}
		all = append(all, metrics.Plugin{Provider: p.Name, Up: p.State == pluginhost.StateReady, Restarts: p.Restarts})
	}
	return all
}

// defaultDoor is POST /v1/events.
const defaultDoor = "events"

// measure says what the metrics name from now on.
func (a *App) measure(cfg loaded, set *scripts.Set) {
	var destinations, templates []string
	for _, d := range cfg.Destinations {
		destinations = append(destinations, d.Name)
	}
	for _, p := range set.Programs() {
		templates = append(templates, p.Name)
	}
	doors := slices.Concat(set.Sources(), slices.Collect(maps.Keys(cfg.Sources)), []string{defaultDoor, testSource})
	a.metrics.Configure(destinations, doors, templates)
}

// countEvents counts and logs what became of events: all or, where one
// conflicts, none.
func (a *App) countEvents(events []relay.Accepted, appended []relay.Appended) {
	if slices.ContainsFunc(appended, func(one relay.Appended) bool { return one.Conflict }) {
		return
	}
	tell := a.logger.Enabled(context.Background(), slog.LevelDebug)
	for i, e := range events {
		a.metrics.Event(e.Door, appended[i].Duplicate)
		if tell {
			a.logger.Debug("event accepted", "event", appended[i].ID, "type", e.Type, "door", e.Door, "deliveries", appended[i].Deliveries, "duplicate", appended[i].Duplicate)
		}
	}
}

// observed tells the metrics and the trace of an attempt that begins now, before
// the engine learns of it.
func (a *App) observed(d *destination, template string, c relay.Claimed, done func(relay.Report)) func(relay.Report) {
	began := time.Now()
	return func(r relay.Report) {
		d.meter.Attempt(&r, c.Created)
		a.tracer.Attempted(&c, began, time.Now(), &r)
		if r.TemplateError != nil {
			a.metrics.TemplateError(template)
		}
		done(r)
	}
}
