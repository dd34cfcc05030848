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

	"gopkg.in/yaml.v3"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins"
)

// documentedDirect is what each vendor's documents allow an app to send to
// people, and to one of them; and settings of one.
var documentedDirect = map[string]struct {
	entry   string
	account []relay.Rate
	person  []relay.Rate
}{
	"dingtalk": {`{client_id: dingclient0123456789, client_secret: S3cretOfTheApp-0123456789abcdef}`,
		[]relay.Rate{{Count: 20, Per: time.Second}}, nil},
	"discord": {`{bot_token: MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB}`, []relay.Rate{{Count: 50, Per: time.Second}}, nil},
	"feishu": {`{app_id: cli_a1b2c3d4e5f60001, app_secret: S3cretOfTheApp-0123456789abcdef}`,
		[]relay.Rate{{Count: 50, Per: time.Second}, {Count: 1000, Per: time.Minute}}, []relay.Rate{{Count: 5, Per: time.Second}}},
	"slack": {`{bot_token: xoxb-123456789012-1234567890123-abcdefghijklmnopqrstuvwx}`, nil, []relay.Rate{{Count: 1, Per: time.Second}}},
	"teams": {`{tenant_id: 11111111-2222-4333-8444-555555555555, client_id: aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee, client_secret: abc8Q~secretsecretsecretsecret}`,
		[]relay.Rate{{Count: 50, Per: time.Second}}, []relay.Rate{{Count: 7, Per: time.Second}, {Count: 8, Per: 2 * time.Second}, {Count: 60, Per: 30 * time.Second}}},
	"wecom": {`{corp_id: ww0123456789abcdef, agent_id: 1000002, secret: S3cretOfTheApp-0123456789abcdefghijklmnopqr}`, nil, []relay.Rate{{Count: 30, Per: time.Minute}}},
}

// TestDirectBurstNeverExceedsTheVendorsNumber writes to a crowd, and much to one
// of it, through two destinations of one account, on fake time.
func TestDirectBurstNeverExceedsTheVendorsNumber(t *testing.T) {
	for _, p := range plugins.All() {
		reaching, ok := p.(plugin.DirectProvider)
		if !ok {
			continue
		}
		name := p.Describe().Name
		want, ok := documentedDirect[name]
		if !ok {
			t.Errorf("%s: what does its vendor allow?", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			both := []delivery.Destination{directDestination(t, reaching, "a", want.entry), directDestination(t, reaching, "b", want.entry)}
			synctest.Test(t, func(t *testing.T) { directBurst(t, both, want.account, want.person) })
		})
	}
}

func directDestination(t *testing.T, p plugin.DirectProvider, name, entry string) delivery.Destination {
	var settings any
	if err := yaml.Unmarshal([]byte(entry), &settings); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	direct, problems := p.OpenDirect(plugin.Settings{
		Destination: name, Entry: p.Describe().Name, Provider: raw, Target: []byte("{}"), Masker: &relay.Masker{}, Logger: slog.New(slog.DiscardHandler),
	})
	if direct == nil || len(problems) > 0 {
		t.Fatalf("%s is no good entry: %v", entry, problems)
	}
	d := delivery.Destination{Name: name, Part: relay.PartDirect, Account: direct.Account(), Concurrency: 8, RetryFor: 24 * time.Hour}
	for _, w := range direct.(plugin.Paced).Windows() {
		d.Windows = append(d.Windows, delivery.Window{Key: w.Key, Rate: w.Rate, PerUser: w.PerUser})
	}
	return d
}

func directBurst(t *testing.T, both []delivery.Destination, account, person []relay.Rate) {
	const crowd, forOne = 120, 70
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := &crowdVendor{to: map[string][]time.Time{}}
	engine := delivery.New(delivery.Options{Store: s, Sender: v, Logger: slog.New(slog.DiscardHandler)})
	engine.SetDestinations(both)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	for i := range crowd + forOne {
		who := fmt.Sprintf(`"%d"`, max(0, i-forOne))
		lane := relay.Direct([]string{"a", "b"}[i%2])
		event := relay.Accepted{ID: fmt.Sprintf("event-%03d", i), Type: "x", Title: "t", Body: []byte("{}"), At: time.Now(),
			Deliveries: []relay.NewDelivery{{Destination: lane.Destination, Provider: "p", Recipient: who}}}
		if _, err := s.Append(ctx, []relay.Accepted{event}); err != nil {
			t.Fatal(err)
		}
		engine.Wake(lane)
	}
	time.Sleep(2 * time.Hour)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(v.starts) != crowd+forOne {
		t.Errorf("%d of %d were delivered", len(v.starts), crowd+forOne)
	}
	keeps(t, "the app", v.starts, account)
	keeps(t, "one person", v.to[`"0"`], person)
}

// keeps fails where a window of starts holds more than its rate.
func keeps(t *testing.T, what string, starts []time.Time, rates []relay.Rate) {
	t.Helper()
	slices.SortFunc(starts, time.Time.Compare)
	for _, r := range rates {
		for i := r.Count; i < len(starts); i++ {
			if gap := starts[i].Sub(starts[i-r.Count]); gap < r.Per {
				t.Fatalf("%s: messages %d to %d went within %s: the vendor takes %d in %s", what, i-r.Count, i, gap, r.Count, r.Per)
			}
		}
	}
}

// crowdVendor knows everybody by their own name, and takes everything.
type crowdVendor struct {
	mu     sync.Mutex // guards the fields below
	starts []time.Time
	to     map[string][]time.Time
}

func (v *crowdVendor) Ready(string) bool { return true }

func (v *crowdVendor) Resolve(all []relay.Claimed, _ bool, done func([]delivery.Resolution)) error {
	out := make([]delivery.Resolution, len(all))
	for i, c := range all {
		out[i].Match = &relay.Match{User: c.Recipient, By: "email"}
	}
	go done(out)
	return nil
}

func (v *crowdVendor) Send(c relay.Claimed, _ bool, done func(relay.Report)) error {
	v.mu.Lock()
	v.starts = append(v.starts, time.Now())
	v.to[c.User] = append(v.to[c.User], time.Now())
	v.mu.Unlock()
	go func() {
		time.Sleep(50 * time.Millisecond)
		done(relay.Report{Verdict: relay.Delivered})
	}()
	return nil
}
