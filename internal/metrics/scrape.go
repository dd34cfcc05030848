package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relay-sidecar/relay"
)

// State is what a scrape asks for.
type State interface {
	// Backlogs counts what destinations have not finished.
	Backlogs(ctx context.Context) ([]relay.Backlog, error)
	Pauses(ctx context.Context) ([]relay.Pause, error)
	Plugins() []Plugin
}

// Plugin is how a provider's process stands.
type Plugin struct {
	Provider string
	Up       bool
	Restarts int
}

// scrape answers with what is the case, not with what was counted.
type scrape struct {
	state      State
	logger     *slog.Logger
	configured func() []string // destinations
}

// askTimeout bounds what a scrape asks the store for.
const askTimeout = 5 * time.Second

var (
	pending = prometheus.NewDesc("relay_pending", "Deliveries that are not over, held ones included.", []string{"destination"}, nil)
	oldest  = prometheus.NewDesc("relay_oldest_pending_seconds", "The age of the oldest delivery that is not over, since the acceptance of its event; 0: there is none.", []string{"destination"}, nil)
	paused  = prometheus.NewDesc("relay_destination_paused", "Whether a part of a destination is paused (1), so that its deliveries are held.", []string{"destination", "part"}, nil)

	pluginUp       = prometheus.NewDesc("relay_plugin_up", "Whether the provider's plugin takes deliveries (1).", []string{"provider"}, nil)
	pluginRestarts = prometheus.NewDesc("relay_plugin_restarts_total", "How often the provider's plugin was started again.", []string{"provider"}, nil)
)

// Describe is for the registry.
func (s *scrape) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pending, oldest, paused, pluginUp, pluginRestarts} {
		c <- d
	}
}

// Collect is for the registry. What cannot be asked is missing, and logged.
func (s *scrape) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, p := range s.state.Plugins() {
		gauge(pluginUp, one(p.Up), p.Provider)
		c <- prometheus.MustNewConstMetric(pluginRestarts, prometheus.CounterValue, float64(p.Restarts), p.Provider)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	backlogs, err := s.state.Backlogs(ctx)
	if err != nil {
		s.logger.Warn("metrics lack what is pending", "error", err)
		return
	}
	pauses, err := s.state.Pauses(ctx)
	if err != nil {
		s.logger.Warn("metrics lack what is paused", "error", err)
		return
	}
	waiting := map[string]relay.Backlog{}
	for _, b := range backlogs {
		waiting[b.Destination] = b
	}
	held := map[relay.Lane]bool{}
	for _, p := range pauses {
		held[p.Lane] = true
	}
	for _, name := range s.configured() {
		b := waiting[name]
		gauge(pending, float64(b.Pending), name)
		age := 0.0
		if b.Pending > 0 {
			age = max(0, time.Since(b.Oldest).Seconds())
		}
		gauge(oldest, age, name)
		for _, part := range []relay.Part{relay.PartChannel, relay.PartDirect} {
			gauge(paused, one(held[relay.Lane{Destination: name, Part: part}]), name, string(part))
		}
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
