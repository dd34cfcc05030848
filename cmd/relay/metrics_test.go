package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scrape reads GET /metrics: every series with its value.
func (p *relayProcess) scrape() map[string]float64 {
	p.t.Helper()
	status, text, err := call(p.base, "GET", "/metrics", "")
	if err != nil || status != http.StatusOK {
		p.t.Fatalf("/metrics answered %d %s, %v", status, text, err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if series == line || strings.HasPrefix(line, "#") {
			continue
		}
		if value == "" {
			series, value, _ = strings.Cut(series, " ")
		} else {
			series += "}"
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			p.t.Fatalf("line %q: %v", line, err)
		}
		all[series] = n
	}
	return all
}

// counts waits until every series has its value.
func (p *relayProcess) counts(what string, want map[string]float64) {
	p.t.Helper()
	p.until(what, func() bool {
		got := p.scrape()
		for series, value := range want {
			if n, ok := got[series]; !ok || n != value {
				return false
			}
		}
		return true
	})
}

// TestMetricsCount does things with a real relay and reads the numbers.
func TestMetricsCount(t *testing.T) {
	h := newHook(t)
	h.answer = func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch {
		case strings.Contains(string(body), "refuse me"):
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/down":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	config := fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
destinations:
  all:  {provider: custom, url: "%s/all", format: event, rate: 2/s}
  down: {provider: custom, url: "%[1]s/down", format: event, events: [pipeline.failed]}
`, h.URL)
	dir := workDir(t, map[string]string{
		"relay.yaml": config,
		"templates/custom/default.ts": `import { message, type Event } from "relay";
export default (event: Event) => {
	if (event.title === "skip me") return null;
	if (event.title === "break") throw new Error("on purpose");
	return message({ title: event.title });
};
`,
	})
	p := startRelay(t, dir)
	p.counts("everything starts at nothing", map[string]float64{
		`relay_events_accepted_total{source="events"}`: 0, `relay_deliveries_total{destination="down",state="expired"}`: 0,
		`relay_pending{destination="all"}`: 0, `relay_template_errors_total{template="custom/default.ts"}`: 0,
		`relay_config_last_reload_successful`: 1, `relay_destination_paused{destination="all",part="channel"}`: 0,
	})

	p.accept(`{"type":"issue.created","title":"good","id":"1","source":"a text of the sender's"}`)
	p.accept(`{"type":"issue.created","title":"good","id":"1","source":"a text of the sender's"}`)
	p.accept(`[{"type":"issue.created","title":"skip me"},{"type":"issue.created","title":"break"},{"type":"issue.created","title":"refuse me"}]`)
	p.accept(`{"type":"pipeline.failed","title":"down"}`)
	if status := p.call("POST", "/v1/events", `[{"type":"issue.created","title":"new"},{"type":"issue.created","title":"other","id":"1","source":"a text of the sender's"}]`, nil); status != http.StatusConflict {
		t.Errorf("a conflict is answered %d", status)
	}
	p.call("POST", "/v1/sources/bytebase", bytebaseBody, nil)
	p.counts("what was done is counted", map[string]float64{
		`relay_events_accepted_total{source="events"}`: 5, `relay_events_duplicate_total{source="events"}`: 1,
		`relay_events_accepted_total{source="bytebase"}`:              1,
		`relay_deliveries_total{destination="all",state="delivered"}`: 4, `relay_deliveries_total{destination="all",state="skipped"}`: 1,
		`relay_deliveries_total{destination="all",state="dead"}`: 1, `relay_attempts_total{destination="all",verdict="message_refused"}`: 1,
		`relay_attempts_total{destination="all",verdict="delivered"}`: 4, `relay_attempts_total{destination="all",verdict="skipped"}`: 1,
		`relay_template_errors_total{template="custom/default.ts"}`: 1, `relay_pending{destination="all"}`: 0, `relay_pending{destination="down"}`: 1,
		`relay_delivery_seconds_count`: 4,
	})
	got := p.scrape()
	if n := got[`relay_attempts_total{destination="down",verdict="temporary"}`]; n < 1 {
		t.Errorf("%v attempts at the receiver that is down", n)
	}
	if n := got[`relay_render_seconds_count`]; n < 7 || got[`relay_render_seconds_sum`] <= 0 {
		t.Errorf("%v renders took %v s", n, got[`relay_render_seconds_sum`])
	}
	// Six starts at two a second take two seconds at least.
	if s := got[`relay_rate_limit_wait_seconds_total{destination="all"}`]; s < 1 || s > 60 {
		t.Errorf("the rate made deliveries wait %v s", s)
	}
	if age := got[`relay_oldest_pending_seconds{destination="down"}`]; age <= 0 || age > 60 {
		t.Errorf("the oldest delivery is %v s old", age)
	}

	// An operator pauses; a plugin dies.
	p.call("POST", "/v1/destinations/all/pause", "", nil)
	pid, _ := p.plugin("custom")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.counts("a pause and a death", map[string]float64{
		`relay_destination_paused{destination="all",part="channel"}`: 1, `relay_plugin_restarts_total{provider="custom"}`: 1, `relay_plugin_up{provider="custom"}`: 1,
	})

	// A refused reload, then one that takes a destination away.
	before := p.scrape()[`relay_config_last_reload_timestamp_seconds`]
	path := filepath.Join(dir, "relay.yaml")
	writeFile(t, path, config+"oops: true\n")
	p.counts("the refusal shows", map[string]float64{`relay_config_last_reload_successful`: 0, `relay_config_last_reload_timestamp_seconds`: before})
	writeFile(t, path, config[:strings.Index(config, "  down:")])
	p.counts("the reload shows", map[string]float64{`relay_config_last_reload_successful`: 1})
	got = p.scrape()
	if got[`relay_config_last_reload_timestamp_seconds`] <= before || got[`relay_events_accepted_total{source="events"}`] != 5 {
		t.Error("the reload shows in the wrong place")
	}
	_, text, err := call(p.base, "GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{`"down"`, "sender"} {
		if strings.Contains(string(text), no) {
			t.Errorf("there is a series of %s", no)
		}
	}
	problems, err := promlint.New(strings.NewReader(string(text))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	p.stop()
}
