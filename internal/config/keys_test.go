package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/config"
)

// told is all that a load says of a file.
func told(text string) string {
	o := options(environment())
	o.ReadFile = func(path string) ([]byte, error) {
		if strings.HasSuffix(path, "relay.yaml") {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("there is no such file")
	}
	_, warnings, err := config.Load("relay.yaml", o)
	said := ""
	for _, w := range warnings {
		said += "warning: " + w.Error() + "\n"
	}
	if err != nil {
		said += err.Error() + "\n"
	}
	return said
}

// A space that was forgotten, or a quote, must not make a secret a part of a key.
func TestSlipsOfThePenShowNoSecret(t *testing.T) {
	const pem = `"-----BEGIN PRIVATE KEY-----\nSECRETVALUE1\n-----END PRIVATE KEY-----\n"`
	for _, test := range []struct{ text, want string }{
		{"destinations:\n  a: {provider: slack, url:https://hooks.slack.com/services/T/B/SECRETVALUE1}",
			"relay.yaml:2:24: destinations.a.url: the value is a part of the key; put a space after the colon"},
		{"destinations:\n  a: {provider: slack, ulr:https://hooks.slack.com/services/T/B/SECRETVALUE1}",
			"relay.yaml:2:6: destinations.a: url is missing\nrelay.yaml:2:24: destinations.a.ulr: the value is a part of the key; put a space after the colon; did you mean url?"},
		{"destinations:\n  a: {provider: slack, https://hooks.slack.com/services/T/B/SECRETVALUE1}",
			"relay.yaml:2:6: destinations.a: url is missing\nrelay.yaml:2:24: destinations.a.…: unknown key for provider slack"},
		{"providers:\n  slack: {bot_token:xoxb-SECRETVALUE1}",
			"relay.yaml:2:11: providers.slack.bot_token: the value is a part of the key; put a space after the colon"},
		{"providers:\n  slack: {bot_token:xoxb-SECRETVALUE1: x}",
			"relay.yaml:2:11: providers.slack.bot_token: unknown key for provider slack; put a space after the colon"},
		{"providers:\n  slack: {xoxb-SECRETVALUE1}",
			"relay.yaml:2:11: providers.slack.…: unknown key for provider slack"},
		{"providers: {slack:xoxb-SECRETVALUE1}",
			"relay.yaml:1:13: providers.slack: the value is a part of the key; put a space after the colon"},
		{"providers: {\"slack:xoxb-SECRETVALUE1\": {use: slack}}\ndestinations: {d: {provider: slak, url: https://a.example}}",
			"relay.yaml:1:13: providers.slack: the key cannot be a name here; a name begins with a letter or digit and goes on with letters, digits and . _ -\n" +
				`relay.yaml:2:30: destinations.d.provider: "slak" is neither an entry of providers nor a built-in provider; did you mean slack?`},
		{"destinations: {a: {provider: custom, url: https://a.example, secret:SECRETVALUE1}}",
			"relay.yaml:1:62: destinations.a.secret: the value is a part of the key; put a space after the colon"},
		{"destinations: {a: {provider: custom, url: https://a.example, headers: {Authorization:Bearer SECRETVALUE1}}}",
			"relay.yaml:1:72: destinations.a.headers.Authorization: the value is a part of the key; put a space after the colon"},
		{"destinations: {a: {provider: custom, url: https://a.example, headers: {Bearer SECRETVALUE1}}}",
			"relay.yaml:1:91: destinations.a.headers.…: has no value; give it one or take the key out"},
		{"destinations: {a: {provider: custom, url: https://a.example, headers: {SECRETVALUE1}}}",
			"relay.yaml:1:84: destinations.a.headers.…: has no value; give it one or take the key out"},
		{"destinations: {a: {provider: custom, url: https://a.example, secret: {SECRETVALUE1: !x y}}}",
			"relay.yaml:1:70: destinations.a.secret: is a mapping, not text\n" +
				"relay.yaml:1:85: destinations.a.secret.…: a tag, which begins with !, means nothing here; take it out, or quote a value that begins with !"},
		{"destinations:\n  a:\n    provider: custom\n    url: https://a.example\n    secret: !SECRETVALUE1\n",
			"relay.yaml:5:13: destinations.a.secret: a tag, which begins with !, means nothing here; take it out, or quote a value that begins with !"},
		{"destinations: {a: {provider: custom, url: https://a.example, secret: &SECRETVALUE1}}",
			"relay.yaml:1:70: destinations.a.secret: has no value; quote a value that begins with &"},
		{"destinations: {a: {provider: custom, url: https://a.example, secret: *SECRETVALUE1 }}",
			"relay.yaml:1:70: not YAML: an alias, which begins with *, of an anchor that there is not; quote a value that begins with *, or write the anchor before it"},
		{"server: {tokens: [{SECRETVALUE1: events}]}",
			"relay.yaml:1:19: server.tokens[0]: token is missing\nrelay.yaml:1:20: server.tokens[0].…: unknown key"},
		{"server: {tokens: [{SECRETVALUE1:events}]}",
			"relay.yaml:1:19: server.tokens[0]: token is missing\nrelay.yaml:1:20: server.tokens[0].…: unknown key"},
		{"server: {tokens: [{token:SECRETVALUE1, scpe: read}]}",
			"relay.yaml:1:20: server.tokens[0].token: the value is a part of the key; put a space after the colon\n" +
				"relay.yaml:1:40: server.tokens[0].scpe: unknown key; did you mean scope?"},
		{"server: {tokens: {SECRETVALUE1: !x y}}",
			"relay.yaml:1:18: server.tokens: is a mapping, not a list\n" +
				"relay.yaml:1:33: server.tokens.…: a tag, which begins with !, means nothing here; take it out, or quote a value that begins with !"},
		{"server: {tokens: [{SECRETVALUE1: {<<: &b {a: *b}}}]}",
			"relay.yaml:1:39: server.tokens[0].…: nested deeper than 100 levels; does an alias contain itself?"},
		{"sources: {bytebase: {token:SECRETVALUE1}}",
			"relay.yaml:1:22: sources.bytebase.token: the value is a part of the key; put a space after the colon"},
		{"sources: {app: {hmac: {header: X, secret:SECRETVALUE1}}}",
			"relay.yaml:1:35: sources.app.hmac.secret: the value is a part of the key; put a space after the colon"},
		{"providers: {slack: {env: {TOKEN:SECRETVALUE1}}}",
			"relay.yaml:1:27: providers.slack.env.TOKEN: the value is a part of the key; put a space after the colon"},
		{"providers: {slack: {env: {TOKEN=SECRETVALUE1: x}}}",
			"relay.yaml:1:27: providers.slack.env.…: the key cannot be a name here; a variable's name is made of letters, digits and _"},
		{"providers: {slack: {env: [TOKEN=SECRETVALUE1]}}",
			"relay.yaml:1:26: providers.slack.env: is a list, not a mapping"},
		{"server: {tls: {cert: c.pem, key: " + pem + "}}",
			`relay.yaml:1:22: server.tls.cert: "c.pem" cannot be read: there is no such file` + "\n" +
				"relay.yaml:1:34: server.tls.key: the value is PEM itself; write it to a file, and the path of that file here"},
		{"egress: {ca_file: " + pem + "}",
			"relay.yaml:1:19: egress.ca_file: the value is PEM itself; write it to a file, and the path of that file here"},
		{"providers: {pd: {use: slack, command: \"./x --token SECRETVALUE1\"}}",
			"relay.yaml:1:30: providers.pd.command: entries that use a provider share its process; set command at providers.slack\n" +
				"relay.yaml:1:39: providers.pd.command: the value is not a list; write a list, such as [./bin/relay-plugin-pagerduty]"},
		{"SECRETVALUE1: x", "relay.yaml:1:1: …: unknown key"},
		{"destinations: {a: {provider: custom, url: https://a.example, match: {\"x SECRETVALUE1\": y}}}",
			"warning: relay.yaml:1:88: destinations.a.match.…: events have no such field, so this matches nothing; what senders add stands under data"},
		{"{\"key SECRETVALUE1\": 1, \"key SECRETVALUE1\": 2}",
			"relay.yaml:1:2: …: unknown key\nrelay.yaml:1:25: …: duplicate key; it is set in line 1 already"},
	} {
		got := told(test.text)
		schema, _ := config.Schema("relay.yaml", config.Options{ReadFile: func(string) ([]byte, error) { return []byte(test.text), nil }})
		if strings.Contains(got+string(schema), marked) {
			t.Errorf("%s\nshows the secret:\n%s", test.text, got)
		}
		got = strings.ReplaceAll(got, "warning: relay.yaml:1:1: there are no destinations: events are accepted and go nowhere\n", "")
		if got != test.want+"\n" {
			t.Errorf("%s\ngot\n%swant\n%s", test.text, got, test.want)
		}
	}
}

const marked = "SECRETVALUE1"

var withSecrets = []string{
	`server:
  tokens: ["SECRETVALUE1", {token: SECRETVALUE1, scope: read}]
providers:
  slack: {bot_token: xoxb-SECRETVALUE1, env: {A: SECRETVALUE1}}
sources:
  app: {token: SECRETVALUE1, hmac: {header: X-A, secret: SECRETVALUE1}}
destinations:
  a: {provider: slack, url: https://hooks.slack.com/services/T/B/SECRETVALUE1}
  b: {provider: custom, url: "https://a.example/SECRETVALUE1", secret: SECRETVALUE1, headers: {Authorization: Bearer SECRETVALUE1}}
`,
	`server:
  tokens:
    - SECRETVALUE1
    - token: SECRETVALUE1
      scope: read
providers:
  slack:
    bot_token: xoxb-SECRETVALUE1
destinations:
  a:
    provider: custom
    url: https://a.example/SECRETVALUE1
    headers:
      Authorization: Bearer SECRETVALUE1
    secrets:
      - SECRETVALUE1
`,
}

// FuzzNoFaultShowsASecret puts a few characters in place of others. A test run
// tries the likely slips: what stands before a secret is lost, or is another
// character.
func FuzzNoFaultShowsASecret(f *testing.F) {
	for which, file := range withSecrets {
		if said := told(file); said != "" {
			f.Fatalf("the file is not good: %s", said)
		}
		for i := range file {
			next := strings.Index(file[i:], marked)
			if next > 0 && next <= 2 {
				for _, by := range []string{"", ":", "{", "[", "!", "*", "&", "|", "\n"} {
					f.Add(which, i, 1, by)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which, at, long int, by string) {
		if which < 0 || which >= len(withSecrets) || at < 0 || long < 0 || long > 3 || len(by) > 3 {
			t.Skip()
		}
		file := withSecrets[which]
		if at+long > len(file) || strings.Count(file[:at]+file[at+long:], marked) < strings.Count(file, marked) {
			t.Skip() // it would be another secret
		}
		changed := file[:at] + by + file[at+long:]
		if said := told(changed); strings.Contains(said, marked) {
			t.Errorf("the secret of\n%s\nshows:\n%s", changed, said)
		}
	})
}

// A command line that is one word of a command names a file that there is not.
func TestRemarksShowNoArguments(t *testing.T) {
	o := options(nil)
	o.ReadFile = func(string) ([]byte, error) {
		return []byte("providers: {pd: {command: [\"./x --token SECRETVALUE1\"]}}"), nil
	}
	o.Plugins = func(in config.Plugins) config.Found {
		return config.Found{
			Schemas: map[string]config.Schemas{"pd": {Unknown: true}},
			Remarks: []config.Remark{{Keys: []string{"providers", "pd", "command"}, Message: "/srv/x " + in.Named[0].Command[0][4:] + " does not exist"}},
		}
	}
	_, _, err := config.Load("relay.yaml", o)
	if want := "relay.yaml:1:27: providers.pd.command: /srv/x <secret> does not exist"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
