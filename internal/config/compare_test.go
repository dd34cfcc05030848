package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/config"
)

// What takes a restart is refused by its name, and nothing else is.
func TestNeedsRestart(t *testing.T) {
	const before = `
server: {listen: 127.0.0.1:1, tokens: [the-first-token], hosts: [a.internal], max_body: 1MiB, shutdown: 10s, socket_mode: 0660}
store: {path: ./a, retain: 1d, max_pending: 10, max_pending_per_destination: 5, removed_grace: 1h}
templates: ./a
providers: {slack: {bot_token: the-first-bot-token}}
people: [{email: ann@example.com}]
destinations: {d: {provider: slack, url: https://a.example}}
sources: {bytebase: {token: the-first-source-token}}
alerts: {after: 1m}
egress: {allow: [169.254.0.0/16]}
watch: {poll: 1s}
log: {level: info, format: text}
`
	running, _ := load(t, write(t, before), nil)
	changes := map[string]string{
		"server.listen":                     "127.0.0.1:1 → 127.0.0.1:2",
		"server.shutdown":                   "shutdown: 10s → shutdown: 11s",
		"server.socket_mode":                "0660 → 0600",
		"store.path":                        "path: ./a → path: ./b",
		"store.max_pending":                 "max_pending: 10 → max_pending: 11",
		"store.max_pending_per_destination": "max_pending_per_destination: 5 → max_pending_per_destination: 6",
		"templates":                         "templates: ./a → templates: ./b",
		"log.format":                        "format: text → format: json",
		"":                                  "the-first → another, a.internal → b.internal, 1MiB → 2MiB, 1d → 2d, 1h → 2h, ann@ → bob@, https://a → https://b, 1m → 2m, 169.254.0.0/16 → fe80::/10, 1s → 2s, level: info → level: warn, path: ./a → path: a",
	}
	for key, replacements := range changes {
		after := before
		for r := range strings.SplitSeq(replacements, ", ") {
			was, is, _ := strings.Cut(r, " → ")
			if !strings.Contains(after, was) {
				t.Fatalf("there is no %q", was)
			}
			after = strings.ReplaceAll(after, was, is)
		}
		next, _ := load(t, write(t, after), nil)
		var got []string
		for _, p := range running.NeedsRestart(next) {
			got = append(got, p.Path)
			if want := "a change of it needs a restart; nothing of the file was taken"; p.Message != want || p.Line == 0 {
				t.Errorf("got %s", p.Error())
			}
		}
		want := slices.DeleteFunc([]string{key}, func(key string) bool { return key == "" })
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: a restart is needed for %v, want %v", replacements, got, want)
		}
	}
}

// A refused file is told of its changes that need a restart, too, as far as it
// says them without a fault.
func TestNeedsRestartOfARefusedFile(t *testing.T) {
	running, _ := load(t, write(t, "server: {listen: 127.0.0.1:1, shutdown: 11s}\nstore: {path: ./a, max_pending: 10}\ndestinations: {d: {provider: slack, url: https://a.example}}\n"), nil)
	next, _, err := config.Load(write(t, "server: {listen: [127.0.0.1], shutdon: 12s}\nstore: {path: ./a, max_pending: 11}\ntemplates: ./b\ndestinatons: {}\n"), options(nil))
	if err == nil {
		t.Fatal("the file is taken")
	}
	var got []string
	for _, p := range running.NeedsRestart(next) {
		got = append(got, fmt.Sprint(p.Line, " ", p.Path))
	}
	if want := []string{"2 store.max_pending", "3 templates"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	broken, _, _ := config.Load(write(t, "a: [\n"), options(nil))
	if got := running.NeedsRestart(broken); len(got) > 0 {
		t.Errorf("what is no YAML changes %v", got)
	}
}
