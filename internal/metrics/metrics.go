// Package metrics counts what relay does and serves it to Prometheus. It is the
// only importer of Prometheus' client.
//
// Labels are bounded by the configuration: they name destinations, doors,
// templates and providers, never a text of a sender's, and the series of what
// is not configured any more go away. The counters of each are looked up when
// the configuration changes and not when something is counted.
//
// It leaves to others what counts as what: it is told of events, attempts and
// ends, and asks for the rest when it is scraped.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/relay-sidecar/relay"
)

// Options say what to serve beside what is counted.
type Options struct {
	Version string
	State   State
	Logger  *slog.Logger // of what a scrape could not ask
}

// Metrics are all that relay counts. Its methods may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry

	destinations named[*Destination]
	doors        named[*door]
	templates    named[prometheus.Counter]

	delivery, render   prometheus.Histogram
	reloaded, reloadAt prometheus.Gauge
}

// Destination are the counters of one destination.
type Destination struct {
	all      *Metrics
	states   map[relay.State]prometheus.Counter
	attempts map[relay.Verdict]prometheus.Counter
	waits    prometheus.Counter
}

// door are the counters of one door for events.
type door struct{ accepted, duplicate prometheus.Counter }

// New makes metrics that have counted nothing.
func New(o Options) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		delivery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_delivery_seconds", Help: "From the acceptance of an event to its delivery; of a replay, from the replay.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 21600, 86400},
		}),
		render: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "relay_render_seconds", Help: "How long templates took, as their plugins measured it.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5},
		}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relay_config_last_reload_successful", Help: "Whether the last reload of relay.yaml was taken (1) or refused (0).",
		}),
		reloadAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relay_config_last_reload_timestamp_seconds", Help: "When relay.yaml was last taken, at the start or by a reload.",
		}),
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.openDestinations(
		counter("relay_deliveries_total", "Deliveries that ended, by how.", "destination", "state"),
		counter("relay_attempts_total", "Attempts at deliveries, by what came of them.", "destination", "verdict"),
		counter("relay_rate_limit_wait_seconds_total", "Time in which deliveries were due and only a rate limit, or a wait that the vendor asked for, held them back.", "destination"),
	)
	m.openDoors(
		counter("relay_events_accepted_total", "Events that were accepted, by the door that they came through.", "source"),
		counter("relay_events_duplicate_total", "Events that had been accepted before, by the door that they came through.", "source"),
	)
	failed := counter("relay_template_errors_total", "Renders that failed, by the template that was meant to run.", "template")
	m.templates = named[prometheus.Counter]{
		make: func(name string) prometheus.Counter { return failed.WithLabelValues(name) },
		drop: func(name string) { failed.DeleteLabelValues(name) },
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "relay_build_info", Help: "Always 1; the labels say which relay this is.",
		ConstLabels: prometheus.Labels{"version": o.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.delivery, m.render, m.reloaded, m.reloadAt, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&scrape{state: o.State, logger: o.Logger, configured: m.destinations.names})
	return m
}

// terminal are the states in which a delivery ends.
func terminal() []relay.State {
	return []relay.State{relay.StateDelivered, relay.StateDead, relay.StateExpired, relay.StateSkipped}
}

func (m *Metrics) openDestinations(ended, attempts, waits *prometheus.CounterVec) {
	m.destinations = named[*Destination]{
		make: func(name string) *Destination {
			d := &Destination{
				all: m, states: map[relay.State]prometheus.Counter{}, attempts: map[relay.Verdict]prometheus.Counter{}, waits: waits.WithLabelValues(name),
			}
			for _, s := range terminal() {
				d.states[s] = ended.WithLabelValues(name, string(s))
			}
			for _, v := range relay.Verdicts() {
				d.attempts[v] = attempts.WithLabelValues(name, string(v))
			}
			return d
		},
		drop: func(name string) {
			for _, v := range []*prometheus.CounterVec{ended, attempts, waits} {
				v.DeletePartialMatch(prometheus.Labels{"destination": name})
			}
		},
	}
}

func (m *Metrics) openDoors(accepted, duplicate *prometheus.CounterVec) {
	m.doors = named[*door]{
		make: func(name string) *door { return &door{accepted.WithLabelValues(name), duplicate.WithLabelValues(name)} },
		drop: func(name string) {
			accepted.DeleteLabelValues(name)
			duplicate.DeleteLabelValues(name)
		},
	}
}

// Configure says what there is: only that has series.
func (m *Metrics) Configure(destinations, doors, templates []string) {
	m.destinations.set(destinations)
	m.doors.set(doors)
	m.templates.set(templates)
}

// Destination are the counters of a configured destination; nil, which counts
// nothing, where there is none, or where nothing is measured: m is nil.
func (m *Metrics) Destination(name string) *Destination {
	if m == nil {
		return nil
	}
	return m.destinations.of(name)
}

// Event counts an event that came through a door.
func (m *Metrics) Event(through string, duplicate bool) {
	switch d := m.doors.of(through); {
	case d == nil:
	case duplicate:
		d.duplicate.Inc()
	default:
		d.accepted.Inc()
	}
}

// TemplateError counts a render that failed.
func (m *Metrics) TemplateError(template string) {
	if c := m.templates.of(template); c != nil {
		c.Inc()
	}
}

// Ended counts a delivery that is over.
func (m *Metrics) Ended(destination string, s relay.State) {
	if d := m.destinations.of(destination); d != nil {
		d.states[s].Inc()
	}
}

// Waited adds to how long a rate limit held a destination's deliveries back.
func (m *Metrics) Waited(destination string, t time.Duration) {
	if d := m.destinations.of(destination); d != nil {
		d.waits.Add(t.Seconds())
	}
}

// Attempt counts an attempt at a delivery of an event that was accepted then.
func (d *Destination) Attempt(r *relay.Report, accepted time.Time) {
	if d == nil {
		return
	}
	if c := d.attempts[r.Verdict]; c != nil {
		c.Inc()
	}
	if r.Verdict == relay.Delivered {
		d.all.delivery.Observe(time.Since(accepted).Seconds())
	}
	if r.RenderTime > 0 {
		d.all.render.Observe(r.RenderTime.Seconds())
	}
}

// Reloaded notes whether relay.yaml was taken.
func (m *Metrics) Reloaded(ok bool) {
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadAt.SetToCurrentTime()
}

// scrapesAtATime bounds what scraping may cost while a scrape is slow.
const scrapesAtATime = 4

// Handler serves them in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtATime,
	})
}
