package config_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/plugin/plugintest/kit"
)

// What the file says about plugins is asked about before anything is judged,
// and what is answered counts like a built-in provider's word.
func TestPluginsAreAskedFirst(t *testing.T) {
	const file = `
plugins: ./plugins.d
providers:
  pager: {command: [./bin/pager, -v], sha256: "` + "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789" + `", env: {LEVEL: debug}, automtls: true, key: a-long-secret}
  pager-eu: {use: pager, env: {A: b}}
  chat: {command: [node, chat.js]}
destinations:
  a: {provider: pager-eu, room: x, rom: y}
  b: {provider: chat, url: u, disabled: true}
  c: {provider: lost, token: another-secret}
`
	var asked config.Plugins
	cfg, warnings, err := config.Load("relay.yaml", config.Options{
		ReadFile:  func(string) ([]byte, error) { return []byte(file), nil },
		Providers: []string{"chat"},
		Provider:  func(name string) (config.Schemas, bool) { return config.Schemas{}, name == "chat" },
		Plugins: func(in config.Plugins) config.Found {
			asked = in
			return config.Found{
				Schemas: map[string]config.Schemas{
					"pager": {
						Provider:    json.RawMessage(`{"properties":{"key":{"type":"string","writeOnly":true}}}`),
						Destination: json.RawMessage(`{"properties":{"room":{"type":"string"}}}`),
					},
					"chat": {Destination: json.RawMessage(`{"properties":{"url":{"type":"string"}}}`)},
					"lost": {Unknown: true},
				},
				Remarks: []config.Remark{{Keys: []string{"destinations", "c"}, Message: "lost does not answer", Warning: true}},
			}
		},
	})
	if !strings.HasSuffix(asked.Dir, "/plugins.d") || !strings.HasSuffix(asked.File, "/relay.yaml") {
		t.Errorf("asked with %q and %q", asked.Dir, asked.File)
	}
	if got, want := fmt.Sprintf("%+v", asked.Named), "[{Name:chat Command:[node chat.js] SHA256: Env:map[] AutoMTLS:false Memory:268435456 Wanted:false} "+
		"{Name:lost Command:[] SHA256: Env:map[] AutoMTLS:false Memory:268435456 Wanted:true} "+
		"{Name:pager Command:[./bin/pager -v] SHA256:abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789 Env:map[LEVEL:debug] AutoMTLS:true Memory:268435456 Wanted:true}]"; got != want {
		t.Errorf("asked about\n%s\nwant\n%s", got, want)
	}
	want := `relay.yaml:5:26: providers.pager-eu.env: entries that use a provider share its process; set env at providers.pager
relay.yaml:8:36: destinations.a.rom: unknown key for provider pager; did you mean room?`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if len(warnings) != 1 || warnings[0].Error() != "relay.yaml:10:6: destinations.c: lost does not answer" {
		t.Errorf("warnings: %v", warnings)
	}
	if got := fmt.Sprint(cfg.Secrets); got != "[a-long-secret another-secret b debug]" {
		t.Errorf("secrets: %s", got)
	}
}

// A schema that takes what is relay's own is refused, with the reason.
func TestUsable(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object"}`:                 "",
		`{"properties":{"events":{}}}`:      "the schema of provider x: the key events is relay's own",
		`{"properties":{"recipients":{}}}`:  "the schema of provider x: the key recipients is relay's own",
		`{"type":`:                          "the schema of provider x: unexpected EOF",
		`{"properties":{"url":{"type":7}}}`: "the schema of provider x:",
	} {
		err := config.Usable("x", config.Schemas{Destination: json.RawMessage(schema)})
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.HasPrefix(got, want) && want != "" {
			t.Errorf("%s: got %q, want %q", schema, got, want)
		}
	}
}

// The kit tells authors which keys are relay's own.
func TestTheKitKnowsTheReservedKeys(t *testing.T) {
	for _, key := range kit.ReservedTarget {
		if err := config.Usable("x", config.Schemas{Destination: json.RawMessage(fmt.Sprintf(`{"properties":{%q:{}}}`, key))}); err == nil {
			t.Errorf("%s is not relay's own in a destination", key)
		}
	}
	for _, key := range kit.ReservedEntry {
		if err := config.Usable("x", config.Schemas{Provider: json.RawMessage(fmt.Sprintf(`{"properties":{%q:{}}}`, key))}); err == nil {
			t.Errorf("%s is not relay's own in an entry", key)
		}
	}
	schema, err := config.Schema("none.yaml", config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var core struct {
		Defs map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(schema, &core); err != nil {
		t.Fatal(err)
	}
	for def, known := range map[string][]string{"destination": kit.ReservedTarget, "entry": kit.ReservedEntry} {
		for key := range core.Defs[def].Properties {
			if !slices.Contains(known, key) {
				t.Errorf("the kit does not know that the key %s of a %s is relay's own", key, def)
			}
		}
	}
}

// Settings are judged against the schemas of a plugin that wants to take over.
func TestFits(t *testing.T) {
	s := config.Schemas{Destination: json.RawMessage(`{"properties":{"url":{"type":"string","format":"relay-url"}},"required":["url"]}`)}
	if err := config.Fits("x", s, json.RawMessage(`{}`), json.RawMessage(`{"url":"https://a.example/secret"}`)); err != nil {
		t.Error(err)
	}
	for target, want := range map[string]string{
		`{}`:                          "/ does not fit its schema (required)",
		`{"url":"ftp://x/secret"}`:    "/url does not fit its schema (format)",
		`{"url":"https://a","two":1}`: "/ does not fit its schema (additionalProperties)",
	} {
		if err := config.Fits("x", s, json.RawMessage(`{}`), json.RawMessage(target)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", target, err, want)
		}
	}
}
