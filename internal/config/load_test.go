package config_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
)

var goodEnv = map[string]string{
	"TOKEN": "token-from-env", "LIMIT": "50", "LIMIT_INT": "1000002",
	"SLACK": "https://hooks.slack.com/services/T/B/env-secret",
}

func load(t *testing.T, path string, env map[string]string) (*config.Config, []relay.Problem) {
	t.Helper()
	cfg, warnings, err := config.Load(path, options(env))
	if err != nil {
		t.Fatal(err)
	}
	return cfg, warnings
}

// write makes a relay.yaml in a directory of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryKeyIsCarried(t *testing.T) {
	cfg, _ := load(t, "testdata/good.yaml", goodEnv)
	here, _ := filepath.Abs("testdata")
	wantServer := config.Server{
		Listen:  []config.Listen{{Network: "tcp", Address: "127.0.0.1:0"}, {Network: "unix", Address: "/run/relay/relay.sock"}, {Network: "tcp", Address: "[::1]:8750"}, {Network: "tcp", Address: "0.0.0.0:8751"}},
		Tokens:  []config.Token{{Token: "token-from-env"}, {Token: "token-for-reading", Scope: "read"}},
		Hosts:   []string{"relay.internal"},
		MaxBody: 64 << 10, MaxConnections: 50, Shutdown: 90 * time.Second, SocketMode: 0o600,
	}
	equal(t, "server", cfg.Server, wantServer)
	equal(t, "store", cfg.Store, config.Store{Path: filepath.Join(here, "data"), Retain: 12 * time.Hour, MaxPending: 500, MaxPendingPerDestination: 50,
		MaxSize: 2 << 30, Reserve: 8 << 20, HoldFor: 48 * time.Hour, RemovedGrace: 2 * time.Hour})
	equal(t, "templates", cfg.Templates, "/etc/relay/templates")
	equal(t, "watch", cfg.Watch, config.Watch{Poll: 250 * time.Millisecond})
	equal(t, "log", cfg.Log, config.Log{Level: "debug", Format: "json"})
	ann := config.Person{Email: "ann@example.com", Phone: "+86 138 0000 0000", Name: "Ann", Language: "zh-CN", TimeZone: "Asia/Shanghai", IDs: map[string]string{"slack": "U012AB3CD", "slack-eu": "0123"}}
	bob := config.Person{Email: "bob@example.com", IDs: map[string]string{"backlog": "12345"}}
	equal(t, "sources", cfg.Sources, map[string]config.Source{
		"bytebase": {Token: "source-token", Settings: json.RawMessage(`{}`)},
		"github": {
			Script:     "sources/github.ts",
			HMAC:       config.HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256=", Secret: []relay.Secret{"github-secret"}, Algorithm: "sha256", Encoding: "hex"},
			Recipients: []config.Person{ann, bob, {Phone: "+86 138 0000 0001"}, {Email: "carol@example.com"}},
			Settings:   json.RawMessage(`{"limits":{"a":1},"space_url":"https://acme.example.com"}`),
		},
		"signed": {
			StandardWebhooks: config.StandardWebhooks{Secret: []relay.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},
			Settings:         json.RawMessage(`{"api_password":"a-password"}`),
		},
	})
	equal(t, "entries", cfg.Entries, map[string]config.Entry{
		"slack":    {Name: "slack", Use: "slack", Settings: json.RawMessage(`{}`)},
		"slack-eu": {Name: "slack-eu", Use: "slack", Settings: json.RawMessage(`{"api_base":"http://127.0.0.1:9","bot_token":"xoxb-from-file"}`)},
		"custom":   {Name: "custom", Use: "custom", Settings: json.RawMessage(`{}`)},
	})
	equal(t, "files", cfg.Files, []string{filepath.Join(here, "good.yaml"), filepath.Join(here, "people.yaml"), filepath.Join(here, "token.txt")})
	equal(t, "people", cfg.People, []config.Person{ann, bob})
	equal(t, "alerts", cfg.Alerts, config.Alerts{After: 5 * time.Minute, Destination: "zulu"})
	equal(t, "egress", cfg.Egress, config.Egress{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.10.0/24"), netip.MustParsePrefix("fd00:ec2::254/128")}})

	patient := config.Retry{For: 72 * time.Hour, Ambiguous: 5}
	want := []config.Destination{
		{
			Name: "alpha", Entry: "slack-eu", Use: "slack", Events: []string{"issue.*", "billing.*"},
			Match:    map[string][]string{"project.name": {"demo", "007", "on"}, "level": {"error"}, "issue.id": {"12"}},
			Template: "slack/approval.ts", Language: "zh-CN", TimeZone: "Asia/Shanghai", Rate: relay.Rate{Count: 20, Per: time.Minute},
			Timeout: 5 * time.Second, Retry: patient, TemplateErrors: relay.TemplateErrorsDead, Concurrency: 2, Disabled: true,
			Direct:   &config.DirectMessages{Events: []string{"issue.*"}, Fallback: relay.FallbackNever, Timeout: 5 * time.Second, Concurrency: 2},
			Settings: json.RawMessage(`{"url":"https://hooks.slack.com/services/T/B/literal-secret"}`),
		},
		{
			Name: "hook", Entry: "custom", Use: "custom", Match: map[string][]string{}, Language: "en", Timeout: 10 * time.Second, TemplateErrors: relay.TemplateErrorsFallback, Concurrency: 32,
			Recipients: []config.Person{ann},
			Settings: json.RawMessage(`{"agent_id":1000002,"any":["2026-11-21","0123",1.5,true,null,"7"],"headers":{"Authorization":"Bearer token-from-env","X-Literal":"${NAME} costs $5"},` +
				`"secrets":["fallback-secret","another-secret"],"url":"http://app.internal/hook","verify":true}`),
		},
		{
			Name: "zulu", Entry: "slack", Use: "slack", Match: map[string][]string{}, Language: "en", Rate: relay.Rate{Count: 1, Per: time.Second}, Timeout: 10 * time.Second, Retry: patient,
			TemplateErrors: relay.TemplateErrorsFallback, Concurrency: 1,
			Direct: &config.DirectMessages{
				Events:   []string{"issue.approval_requested", "issue.approved", "issue.sent_back", "issue.rollout_requested"},
				Fallback: relay.FallbackNoneMatched, Timeout: 30 * time.Second, Concurrency: 8,
			},
			Settings: json.RawMessage(`{"url":"https://hooks.slack.com/services/T/B/env-secret"}`),
		},
	}
	for i, got := range cfg.Destinations {
		if len(got.Revision) != 12 {
			t.Errorf("destination %s has revision %q", got.Name, got.Revision)
		}
		got.Revision = ""
		equal(t, "destination "+got.Name, got, want[i])
	}

	for _, secret := range []string{"token-from-env", "Bearer token-from-env", "token-for-reading", "xoxb-from-file", "source-token", "github-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a-password", "fallback-secret", "another-secret",
		"https://hooks.slack.com/services/T/B/env-secret", "https://hooks.slack.com/services/T/B/literal-secret"} {
		if !slices.Contains(cfg.Secrets, secret) {
			t.Errorf("%q is not among the secrets", secret)
		}
	}
	for _, word := range []string{"read", "demo", "http://127.0.0.1:9", "event"} {
		if slices.Contains(cfg.Secrets, word) {
			t.Errorf("%q is among the secrets", word)
		}
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

func TestDefaults(t *testing.T) {
	cfg, _ := load(t, write(t, "server:\nstore:\n  # all defaults\ndestinations: {d: {provider: custom, url: https://example.com, time_zone: Local}}\n"), nil)
	dir := filepath.Dir(cfg.Files[0])
	equal(t, "server", cfg.Server, config.Server{Listen: []config.Listen{{Network: "tcp", Address: "127.0.0.1:8750"}}, MaxBody: 1 << 20, MaxConnections: 1000, Shutdown: 10 * time.Second, SocketMode: 0o660})
	equal(t, "store", cfg.Store, config.Store{Path: filepath.Join(dir, "relay-data"), Retain: 30 * 24 * time.Hour, MaxPending: 1_000_000, MaxPendingPerDestination: 100_000,
		MaxSize: 10 << 30, Reserve: 64 << 20, HoldFor: 7 * 24 * time.Hour, RemovedGrace: 24 * time.Hour})
	equal(t, "templates", cfg.Templates, filepath.Join(dir, "templates"))
	equal(t, "watch", cfg.Watch.Poll, 5*time.Second)
	equal(t, "log", cfg.Log, config.Log{Level: "info", Format: "text"})
	d := cfg.Destinations[0]
	equal(t, "retry", d.Retry, config.Retry{For: 24 * time.Hour, Ambiguous: 3})
	equal(t, "alerts", cfg.Alerts.After, 10*time.Minute)
	if d.Direct != nil || d.Events != nil || d.TimeZone != "" || d.Language != "en" || d.Timeout != 10*time.Second {
		t.Errorf("got %+v", d)
	}
}

func TestTheShippedFileLoads(t *testing.T) {
	cfg, warnings := load(t, "../../relay.yaml", nil)
	if len(warnings) > 0 || len(cfg.Destinations) == 0 {
		t.Errorf("warnings %v, destinations %v", warnings, cfg.Destinations)
	}
	if cfg.Server.Tokens != nil || !cfg.Server.Listen[0].Loopback() {
		t.Errorf("server %+v", cfg.Server)
	}
}

// The keys that the shipped file has in comments are real, and none is left out.
func TestTheShippedFileKnowsEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../relay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?m)^( *)# ( *(?:- |[A-Za-z0-9_.-]+:(?:\s|$)))`)
	full := comment.ReplaceAllString(string(text), "$1$2")
	cert, key := pair(t)
	o := options(map[string]string{"RELAY_TOKEN": "token-number-one", "RECEIVER_TOKEN": "token-number-four", "BYTEBASE_TOKEN": "token-number-two",
		"GITHUB_SECRET": "secret-number-one", "BILLING_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/X", "SLACK_EU_TOKEN": "token-number-five",
		"PAGERDUTY_KEY": "token-number-six"})
	o.Plugins = func(config.Plugins) config.Found {
		return config.Found{Schemas: map[string]config.Schemas{"pagerduty": {Provider: []byte(`{"properties":{"routing_key":{"type":"string","writeOnly":true}}}`)}}}
	}
	o.ReadFile = func(path string) ([]byte, error) {
		switch filepath.Base(path) {
		case "relay.yaml":
			return []byte(full), nil
		case "cert.pem", "ca.pem":
			return cert, nil
		case "key.pem":
			return key, nil
		}
		return []byte("token-number-three\n"), nil
	}
	cfg, warnings, err := config.Load("relay.yaml", o)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("error %v, warnings %v", err, warnings)
	}
	if len(cfg.Destinations) != 2 || len(cfg.Server.Tokens) != 2 {
		t.Errorf("got %+v", cfg)
	}
	core, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(core, &schema); err != nil {
		t.Fatal(err)
	}
	for _, key := range keysOf(schema) {
		if !regexp.MustCompile(`\b` + key + `:`).MatchString(full) {
			t.Errorf("relay.yaml does not speak of %s", key)
		}
	}
	for _, d := range cfg.Destinations[:1] {
		defaults, _ := load(t, write(t, "destinations: {d: {provider: slack, url: https://a.example}}"), nil)
		equal(t, "the defaults in comments", d.Retry, defaults.Destinations[0].Retry)
		equal(t, "the defaults in comments", d.Rate, defaults.Destinations[0].Rate)
		equal(t, "the defaults in comments", d.Timeout, defaults.Destinations[0].Timeout)
	}
}

// keysOf is every key that a schema names.
func keysOf(schema any) []string {
	var all []string
	switch s := schema.(type) {
	case map[string]any:
		if properties, ok := s["properties"].(map[string]any); ok {
			all = slices.Collect(maps.Keys(properties))
		}
		for _, inner := range s {
			all = append(all, keysOf(inner)...)
		}
	case []any:
		for _, inner := range s {
			all = append(all, keysOf(inner)...)
		}
	}
	return all
}

func TestWarnings(t *testing.T) {
	_, warnings := load(t, "testdata/good.yaml", goodEnv)
	var got []string
	for _, w := range warnings {
		got = append(got, w.Error())
	}
	want := []string{
		`testdata/good.yaml:8:71: server.listen[3]: "0.0.0.0:8751" takes tokens and events over plain HTTP; set server.tls, or put a proxy with TLS before it`,
		`testdata/good.yaml:38:25: destinations.alpha.events[1]: "billing.*" matches no event type of the catalogue`,
		`testdata/good.yaml:50:10: destinations.hook.url: the value goes over plain HTTP to another machine; use https where you can`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, warnings = load(t, write(t, "server: {tokens: [short]}\n"), nil)
	if len(warnings) != 2 || !strings.Contains(warnings[0].Message, "no destinations") || !strings.Contains(warnings[1].Message, "fewer than 8 bytes") {
		t.Errorf("got %v", warnings)
	}
	_, warnings = load(t, write(t, "destinations: {d: {provider: custom, url: https://a.example, events: [isue.created], match: {projct.name: x}}}\n"), nil)
	if len(warnings) != 2 || !strings.HasSuffix(warnings[0].Message, "did you mean issue.created?") || !strings.HasSuffix(warnings[1].Message, "did you mean project?") {
		t.Errorf("got %v", warnings)
	}
}

func TestRevision(t *testing.T) {
	path := write(t, "destinations:\n  d: {provider: custom, url: https://a.example/, secret: \"${file:secret}\", language: \"${LANGUAGE:-en}\"}\n")
	secret := filepath.Join(filepath.Dir(path), "secret")
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("secret-number-1\n")
	first, _ := load(t, path, nil)
	again, _ := load(t, path, nil)
	inChinese, _ := load(t, path, map[string]string{"LANGUAGE": "zh-CN"})
	set("secret-number-2\n")
	rotated, _ := load(t, path, nil)
	if again.Revision != first.Revision || inChinese.Revision == first.Revision || rotated.Revision == first.Revision {
		t.Errorf("revisions %s, again %s, other variable %s, other secret %s", first, again, inChinese, rotated)
	}
	if a, b := first.Destinations[0].Revision, inChinese.Destinations[0].Revision; a != b {
		t.Errorf("the language is not the provider's, but its revision went from %s to %s", a, b)
	}
	if a, b := first.Destinations[0].Revision, rotated.Destinations[0].Revision; a == b {
		t.Errorf("another secret has the same revision %s", a)
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	refused, _, err := config.Load(path, options(nil))
	if err == nil || !slices.Contains(refused.Files, secret) {
		t.Errorf("error %v, files %v: a missing file has to be waited for", err, refused.Files)
	}
}

func TestProblemOfAPlugin(t *testing.T) {
	cfg, _ := load(t, "testdata/good.yaml", goodEnv)
	for _, test := range []struct {
		destination string
		entry       bool
		pointer     string
		want        string
	}{
		{"zulu", false, "/url", "testdata/good.yaml:31:10: destinations.zulu.url: retired"},
		{"hook", false, "/headers/X-Literal", "testdata/good.yaml:52:60: destinations.hook.headers.X-Literal: retired"},
		{"hook", false, "/keyword", "testdata/good.yaml:48:3: destinations.hook.keyword: retired"},
		{"alpha", true, "/bot_token", "testdata/good.yaml:27:67: providers.slack-eu.bot_token: retired"},
		{"zulu", true, "/bot_token", "testdata/good.yaml:29:3: destinations.zulu: retired"},
	} {
		if got := cfg.Problem(test.destination, test.entry, test.pointer, "retired").Error(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if got := cfg.Problem("zulu", false, "", "no env-secret at "+goodEnv["SLACK"]).Message; strings.Contains(got, "hooks.slack.com") {
		t.Errorf("a plugin's words show a secret: %s", got)
	}
}

func TestBadSchemas(t *testing.T) {
	for name, test := range map[string]struct{ schema, want string }{
		"reserved key": {`{"properties": {"timeout": {}}}`, "the schema of provider evil: the key timeout is relay's own"},
		"another key":  {`{"properties": {"recipients": {}}}`, "the schema of provider evil: the key recipients is relay's own"},
		"remote":       {`{"$ref": "file:///etc/passwd"}`, "a schema stands alone; it cannot name file:///etc/passwd"},
		"no schema":    {`{"type": 5}`, "the schema of provider evil: "},
		"no JSON":      {`nonsense`, "the schema of provider evil: "},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(nil)
			o.Provider = func(string) (config.Schemas, bool) {
				return config.Schemas{Destination: []byte(test.schema)}, true
			}
			o.Providers = []string{"evil"}
			_, _, err := config.Load(write(t, "{}"), o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestLimitsOfTheFile(t *testing.T) {
	_, _, err := config.Load(write(t, "x-a: "+strings.Repeat("a", 1<<20)), options(nil))
	if err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %.200v", err)
	}
	_, _, err = config.Load(write(t, strings.Repeat("a: 1\nb: 1\n", 20_000)), options(nil))
	if err == nil || strings.Count(err.Error(), "\n") != 100 || !strings.Contains(err.Error(), "more of these") {
		t.Errorf("got %.200v", err)
	}
	_, _, err = config.Load(filepath.Join(t.TempDir(), "none.yaml"), options(nil))
	if err == nil || !strings.HasSuffix(err.Error(), "none.yaml: cannot be read: there is no such file") {
		t.Errorf("got %v", err)
	}
	_, _, err = config.Load(t.TempDir(), options(nil))
	if err == nil || !strings.HasSuffix(err.Error(), "it is a directory") {
		t.Errorf("got %v", err)
	}
}

func TestListenLoopback(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.9.1:1": true, "[::1]:1": true, "localhost:1": true, "unix:///run/x": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "localhost.example.com:1": false,
	} {
		address, err := config.ParseListen(text)
		if err != nil || address.Loopback() != want {
			t.Errorf("%s: loopback %v, error %v, want %v", text, address.Loopback(), err, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				f.Add(text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o := options(goodEnv)
		o.ReadFile = func(path string) ([]byte, error) {
			if strings.HasSuffix(path, "missing") {
				return nil, os.ErrNotExist
			}
			return text, nil // also as a list of people, a certificate or a secret
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		cfg, _, err := config.Load("relay.yaml", o)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		// Far beyond what the worst file of a megabyte takes, far below what harms.
		if spent := after.TotalAlloc - before.TotalAlloc; took > 20*time.Second || spent > 1<<30 {
			t.Errorf("%d bytes took %s and %d MiB", len(text), took, spent>>20)
		}
		var problems config.Problems
		if errors.As(err, &problems) {
			for i, p := range problems {
				if last := i == 100 && strings.HasSuffix(p.Message, "more of these"); (p.Line < 1 || p.Column < 1) && !last {
					t.Errorf("a fault without a place: %s", p.Error())
				}
			}
			if strings.Contains(err.Error(), goodEnv["TOKEN"]) {
				t.Errorf("shows a secret: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatalf("an error that is no list of problems: %v", err)
		}
		if len(cfg.Server.Listen) == 0 || cfg.Server.MaxBody <= 0 {
			t.Errorf("accepted, but without defaults: %+v", cfg.Server)
		}
		for _, d := range cfg.Destinations {
			if d.Use == "" || d.Timeout <= 0 || d.Concurrency < 1 || !json.Valid(d.Settings) {
				t.Errorf("accepted, but not usable: %+v", d)
			}
		}
	})
}

func TestSlipsInPeople(t *testing.T) {
	_, warnings := load(t, write(t, `people: [{email: ann@example.com, jira: "7"}, {emial: bob@example.com}]
destinations: {d: {provider: custom, url: https://example.com}}
`), nil)
	if len(warnings) != 1 || !strings.HasSuffix(warnings[0].Error(), `relay.yaml:1:55: people[1].emial: "emial" is taken as the name of an app whose ids of people these are; did you mean email?`) {
		t.Errorf("warnings %v", warnings)
	}
}
