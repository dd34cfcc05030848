package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/metrics"
)

// world is what a scrape asks.
type world struct{ err error }

func (w world) Backlogs(context.Context) ([]relay.Backlog, error) {
	return []relay.Backlog{
		{Destination: "team", Pending: 3, Oldest: time.Now().Add(-time.Hour)},
		{Destination: "gone", Pending: 9, Oldest: time.Now()},
	}, w.err
}

func (w world) Pauses(context.Context) ([]relay.Pause, error) {
	return []relay.Pause{{Lane: relay.Direct("team")}, {Lane: relay.Channel("gone")}}, nil
}

func (w world) Plugins() []metrics.Plugin {
	return []metrics.Plugin{{Provider: "chat", Up: true, Restarts: 2}}
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wants(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line) {
			t.Errorf("there is no line that begins with %q", line)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := metrics.New(metrics.Options{Version: "1.2.3", State: world{}, Logger: slog.New(slog.DiscardHandler)})
	m.Configure([]string{"team", "other"}, []string{"events", "app"}, []string{"default.ts"})
	m.Event("events", false)
	m.Event("events", false)
	m.Event("app", true)
	m.Event("a text of a sender's", false)
	m.Ended("team", relay.StateDelivered)
	m.Ended("gone", relay.StateDead)
	m.Waited("team", 1500*time.Millisecond)
	m.TemplateError("default.ts")
	m.TemplateError("gone.ts")
	m.Destination("team").Attempt(&relay.Report{Verdict: relay.Delivered, RenderTime: 3 * time.Millisecond}, time.Now().Add(-2*time.Second))
	m.Destination("team").Attempt(&relay.Report{Verdict: relay.Temporary}, time.Now())
	m.Destination("gone").Attempt(&relay.Report{Verdict: relay.Temporary}, time.Now())
	m.Reloaded(true)

	text := scrape(t, m)
	wants(t, text,
		`relay_events_accepted_total{source="events"} 2`, `relay_events_accepted_total{source="app"} 0`, `relay_events_duplicate_total{source="app"} 1`,
		`relay_deliveries_total{destination="team",state="delivered"} 1`, `relay_deliveries_total{destination="other",state="expired"} 0`,
		`relay_attempts_total{destination="team",verdict="temporary"} 1`, `relay_attempts_total{destination="team",verdict="delivered"} 1`,
		`relay_rate_limit_wait_seconds_total{destination="team"} 1.5`, `relay_template_errors_total{template="default.ts"} 1`,
		`relay_delivery_seconds_bucket{le="1"} 0`, `relay_delivery_seconds_bucket{le="2.5"} 1`, `relay_delivery_seconds_count 1`,
		`relay_render_seconds_bucket{le="0.0025"} 0`, `relay_render_seconds_count 1`,
		`relay_pending{destination="team"} 3`, `relay_pending{destination="other"} 0`, `relay_oldest_pending_seconds{destination="team"} 3600`,
		`relay_oldest_pending_seconds{destination="other"} 0`, `relay_destination_paused{destination="team",part="direct"} 1`,
		`relay_destination_paused{destination="team",part="channel"} 0`, `relay_plugin_up{provider="chat"} 1`, `relay_plugin_restarts_total{provider="chat"} 2`,
		`relay_config_last_reload_successful 1`, `relay_config_last_reload_timestamp_seconds 1.`, `relay_build_info{goversion="go`, `go_goroutines `, `process_open_fds `)
	for _, no := range []string{"gone", "sender"} {
		if strings.Contains(text, no) {
			t.Errorf("there is a series of %q", no)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("lint: %s: %s", p.Metric, p.Text)
	}

	// What stays goes on counting; what goes takes its series along.
	m.Configure([]string{"team"}, []string{"events"}, nil)
	m.Reloaded(false)
	text = scrape(t, m)
	wants(t, text, `relay_deliveries_total{destination="team",state="delivered"} 1`, `relay_events_accepted_total{source="events"} 2`, `relay_config_last_reload_successful 0`)
	for _, no := range []string{`"other"`, `"app"`, `"default.ts"`} {
		if strings.Contains(text, no) {
			t.Errorf("there is still a series of %s", no)
		}
	}
}

// TestStoreThatDoesNotAnswer: the rest is served, and the log says what lacks.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	var log strings.Builder
	m := metrics.New(metrics.Options{State: world{errors.New("the store is shut")}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	m.Configure([]string{"team"}, nil, nil)
	text := scrape(t, m)
	wants(t, text, `relay_attempts_total{destination="team",verdict="delivered"} 0`, `relay_plugin_up{provider="chat"} 1`)
	if strings.Contains(text, "\nrelay_pending{") || !strings.Contains(log.String(), "the store is shut") {
		t.Errorf("the log says %q", log.String())
	}
}

// TestConcurrently counts and scrapes while the configuration changes.
func TestConcurrently(t *testing.T) {
	m := metrics.New(metrics.Options{State: world{}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				m.Event("events", false)
				m.Ended("team", relay.StateDelivered)
				m.Destination("team").Attempt(&relay.Report{Verdict: relay.Delivered}, time.Now())
			}
		})
	}
	all.Go(func() {
		for i := range 50 {
			m.Configure([]string{"team", "other"}[:1+i%2], []string{"events"}, nil)
		}
	})
	all.Go(func() {
		for range 5 {
			scrape(t, m)
		}
	})
	all.Wait()
}
