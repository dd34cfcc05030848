package plugins_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins"
)

// documented is what each vendor's documents allow one robot, webhook or flow,
// and a URL of one.
var documented = map[string]struct {
	url   string
	rates []relay.Rate
}{
	"dingtalk": {"https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef0123456789abcdef", []relay.Rate{{Count: 20, Per: time.Minute}}},
	"discord":  {"https://discord.com/api/webhooks/1234567890/abcdefghijklmnopqrstuvwxyz", []relay.Rate{{Count: 5, Per: 2 * time.Second}, {Count: 30, Per: time.Minute}}},
	"feishu":   {"https://open.feishu.cn/open-apis/bot/v2/hook/0123abcd-0123-4567-89ab-0123456789ab", []relay.Rate{{Count: 5, Per: time.Second}, {Count: 100, Per: time.Minute}}},
	"slack":    {"https://hooks.slack.com/services/T0001/B0001/abcdefghijklmnop", []relay.Rate{{Count: 1, Per: time.Second}}},
	"teams":    {"https://0123456789abcdef.05.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig=aB3-dE6_gH9jKl", []relay.Rate{{Count: 1, Per: time.Second}}},
	"wecom":    {"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=01234567-89ab-cdef-0123-456789abcdef", []relay.Rate{{Count: 20, Per: time.Minute}}},
}

// TestBurstNeverExceedsTheVendorsNumber posts twice what a vendor takes, to two
// destinations of one robot, on fake time: no window holds more than the
// vendor's number, and everything is delivered in the end.
func TestBurstNeverExceedsTheVendorsNumber(t *testing.T) {
	for _, p := range plugins.All() {
		name := p.Describe().Name
		want, ok := documented[name]
		if !ok {
			if name != "custom" { // whose receivers say themselves when it is too much
				t.Errorf("%s: what does its vendor allow?", name)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			both := []delivery.Destination{destination(t, p, "a", want.url), destination(t, p, "b", want.url)}
			synctest.Test(t, func(t *testing.T) { burst(t, both, want.rates) })
		})
	}
}

func burst(t *testing.T, both []delivery.Destination, rates []relay.Rate) {
	most := 0
	for _, r := range rates {
		most = max(most, r.Count)
	}
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := &vendor{}
	engine := delivery.New(delivery.Options{Store: s, Sender: v, Logger: slog.New(slog.DiscardHandler)})
	engine.SetDestinations(both)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	for i := range 2 * most {
		to := []string{"a", "b"}[i%2]
		event := relay.Accepted{ID: fmt.Sprintf("event-%03d", i), Type: "x", Title: "t", Body: []byte("{}"), At: time.Now(),
			Deliveries: []relay.NewDelivery{{Destination: to, Provider: "p"}}}
		if _, err := s.Append(ctx, []relay.Accepted{event}); err != nil {
			t.Fatal(err)
		}
		engine.Wake(relay.Channel(to))
	}
	time.Sleep(10 * time.Minute)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(v.starts) != 2*most {
		t.Errorf("%d of %d were delivered", len(v.starts), 2*most)
	}
	keeps(t, "the robot", v.starts, rates)
}

// destination has the limits that the provider says.
func destination(t *testing.T, p plugin.Provider, name, url string) delivery.Destination {
	target, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		t.Fatal(err)
	}
	place, problems := p.Open(plugin.Settings{
		Destination: name, Entry: p.Describe().Name, Provider: []byte("{}"), Target: target,
		Masker: &relay.Masker{}, Logger: slog.New(slog.DiscardHandler),
	})
	if place == nil || len(problems) > 0 {
		t.Fatalf("%s is no good URL: %v", url, problems)
	}
	d := delivery.Destination{Name: name, Concurrency: 4, RetryFor: time.Hour}
	for _, w := range place.(plugin.Paced).Windows() {
		d.Windows = append(d.Windows, delivery.Window{Key: w.Key, Rate: w.Rate})
	}
	return d
}

// vendor takes everything, in its own time.
type vendor struct {
	mu     sync.Mutex // guards starts
	starts []time.Time
}

func (v *vendor) Ready(string) bool { return true }

// Resolve is not asked: nobody is written to directly here.
func (v *vendor) Resolve([]relay.Claimed, bool, func([]delivery.Resolution)) error {
	return relay.ErrUnavailable
}

func (v *vendor) Send(_ relay.Claimed, _ bool, done func(relay.Report)) error {
	v.mu.Lock()
	v.starts = append(v.starts, time.Now())
	slices.SortFunc(v.starts, time.Time.Compare)
	v.mu.Unlock()
	go func() {
		time.Sleep(100 * time.Millisecond)
		done(relay.Report{Verdict: relay.Delivered})
	}()
	return nil
}
