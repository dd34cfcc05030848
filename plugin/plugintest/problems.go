package plugintest

import (
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugin"
)

// Problems are what was said about settings, a line each: first what kind of
// problem it is, then the pointer and the message, such as
//
//	/url use https
//	warning provider /bot_token the token does not look like a bot's
//	no channel url is missing
func Problems(all []plugin.Problem) string {
	lines := make([]string, len(all))
	for i, p := range all {
		lines[i] = kind(p) + p.Message
	}
	return strings.Join(lines, "\n")
}

// kind is all of a problem but its message.
func kind(p plugin.Problem) string {
	kind := ""
	if p.NoChannel {
		kind += "no channel "
	}
	if p.Warning {
		kind += "warning "
	}
	if p.Provider {
		kind += "provider "
	}
	if p.Pointer != "" {
		kind += p.Pointer + " "
	}
	return kind
}

// CheckProblems fails where settings have other problems than these, in this
// order. Each is written as [Problems] does, with a part of the message. An
// empty one stands for none.
func CheckProblems(t testing.TB, settings string, got []plugin.Problem, want ...string) {
	t.Helper()
	if len(want) == 1 && want[0] == "" {
		want = nil
	}
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		words, ok := strings.CutPrefix(want[i], kind(got[i]))
		same = ok && strings.Contains(got[i].Message, words)
	}
	if !same {
		t.Errorf("%s: got\n%s\nwant\n%s", settings, Problems(got), strings.Join(want, "\n"))
	}
}
