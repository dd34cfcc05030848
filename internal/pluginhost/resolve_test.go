package pluginhost_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// OpenDirect makes the fake reach people: its look-ups do what the email says.
func (fake) OpenDirect(plugin.Settings) (plugin.Direct, []plugin.Problem) { return people{}, nil }

type people struct{ place }

func (people) Account() string { return "app" }

func (people) Resolve(_ context.Context, _ string, all []relay.Person) []plugin.Match {
	switch all[0].Email {
	case "hang":
		select {} // deaf to its context
	case "exit":
		os.Exit(3)
	}
	return []plugin.Match{plugin.Matched("U-"+all[0].Email, time.Hour)}
}

func resolve(t *testing.T, p *pluginhost.Provider, email string, timeout time.Duration) (string, bool, error) {
	t.Helper()
	resp, alone, err := p.Resolve(t.Context(), &pluginpb.ResolveRequest{
		Settings: "s1", By: "email", People: [][]byte{[]byte(`{"email":"` + email + `"}`)}, TimeoutMs: timeout.Milliseconds(),
	})
	if err != nil {
		return "", alone, err
	}
	return resp.Matches[0].User, alone, nil
}

func TestResolve(t *testing.T) {
	_, p, ready := started(t)
	if user, _, err := resolve(t, p, "ann", time.Minute); err != nil || user != "U-ann" {
		t.Fatalf("got %q, %v", user, err)
	}
	if _, alone, err := resolve(t, p, "exit", time.Minute); err == nil || !strings.Contains(err.Error(), "ended before it answered a look-up") || !alone {
		t.Errorf("a look-up that ends the process: alone %v, %v", alone, err)
	}
	wait(t, ready)
	if user, _, err := resolve(t, p, "ann", time.Minute); err != nil || user != "U-ann" {
		t.Errorf("after the restart: %q, %v", user, err)
	}
	waiting := send(t, p, "wait", time.Minute)
	wait(t, send(t, p, "hello", time.Minute)) // the other one is in the plugin by now
	if _, alone, err := resolve(t, p, "exit", time.Minute); err == nil || alone {
		t.Errorf("beside a delivery: alone %v, %v", alone, err)
	}
	if r := wait(t, waiting); !r.Lost || r.Alone {
		t.Errorf("the delivery beside it: %+v", r)
	}
}

func TestHungLookUpReplacesThePlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the grace time of a hung plugin")
	}
	h, p, ready := started(t)
	before := h.Status()[0].PID
	if _, _, err := resolve(t, p, "hang", 10*time.Millisecond); err == nil || !strings.Contains(err.Error(), "hangs") {
		t.Errorf("a look-up that hangs: %v", err)
	}
	wait(t, ready)
	if h.Status()[0].PID == before {
		t.Error("the hung process is still the current one")
	}
	if user, _, err := resolve(t, p, "ann", time.Minute); err != nil || user != "U-ann" {
		t.Errorf("successor: %q, %v", user, err)
	}
}

func TestResolveWithoutAProcess(t *testing.T) {
	h := newHost(t, pluginhost.Options{})
	p := h.Provider("no such plugin")
	if _, _, err := resolve(t, p, "ann", time.Second); !errors.Is(err, relay.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
