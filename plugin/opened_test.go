package plugin

import (
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// paced is a reaching provider whose channel has limits of its own.
type paced struct{ reaching }

func (p paced) Open(s Settings) (Destination, []Problem) { return pacedPlace{}, nil }

type pacedPlace struct{ echoPlace }

func (pacedPlace) Windows() []Window {
	return []Window{{Key: "the-robots-token", Rate: relay.Rate{Count: 8, Per: 2e9}, PerUser: true}, {Key: "app"}}
}

// What relay must know of settings comes over the wire, and nothing secret with it.
func TestCheckSaysWhatSettingsComeTo(t *testing.T) {
	s := newServer(paced{}, Logger(new(strings.Builder)))
	resp, err := s.Check(t.Context(), &pluginpb.CheckRequest{Settings: []*pluginpb.Settings{
		{Revision: "with", Provider: []byte(`{"token":"a-secret-token"}`), Target: []byte(`{"url":"x"}`)},
		{Revision: "without", Provider: []byte(`{}`), Target: []byte(`{"url":"x"}`)},
	}})
	if err != nil || len(resp.Opened) != 2 {
		t.Fatalf("%v, %v", resp, err)
	}
	if text := resp.String(); strings.Contains(text, "secret") || strings.Contains(text, "robots") {
		t.Errorf("a secret is in %s", text)
	}
	with, without := resp.Opened[0], resp.Opened[1]
	if !with.Channel || !with.Direct || with.Account == "" || !without.Channel || without.Direct {
		t.Errorf("with a token %v, without %v", with, without)
	}
	windows := DecodeWindows(with.Windows)
	if len(windows) != 2 || windows[0].Rate != (relay.Rate{Count: 8, Per: 2e9}) || !windows[0].PerUser || windows[1].Rate.Count != 0 {
		t.Errorf("windows %+v", windows)
	}
	for _, p := range resp.Problems {
		if !p.Direct || p.Revision != "without" {
			t.Errorf("problem %v", p)
		}
	}
}
