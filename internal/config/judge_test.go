package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/config"
)

// The providers' faults come with all others, except for destinations whose
// settings do not even fit the schema.
func TestProvidersJudgeWithTheRest(t *testing.T) {
	const file = `
providers:
  second: {use: chat, token: bad}
destinations:
  a: {provider: chat, url: bad}
  b: {provider: second, url: fine}
  c: {provider: chat, url: bad, ulr: x}
  d: {provider: chat, url: odd}
servr: {}
`
	chat := config.Schemas{
		Provider:    json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{"token":{"type":"string"}}}`),
		Destination: json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{"url":{"type":"string"}}}`),
	}
	var asked []string
	_, warnings, err := config.Load("relay.yaml", config.Options{
		ReadFile:  func(string) ([]byte, error) { return []byte(file), nil },
		Providers: []string{"chat"},
		Provider:  func(name string) (config.Schemas, bool) { return chat, name == "chat" },
		Judge: func(d config.Destination, e config.Entry) []config.Judgement {
			asked = append(asked, d.Name+" "+d.Use+" "+string(d.Settings)+" "+string(e.Settings))
			switch {
			case strings.Contains(string(e.Settings), "bad"):
				return []config.Judgement{{Entry: true, Pointer: "/token", Message: "no token"}}
			case strings.Contains(string(d.Settings), "bad"):
				return []config.Judgement{{Pointer: "/url", Message: "no url"}}
			}
			return []config.Judgement{{Pointer: "/url", Message: "odd", Warning: true}}
		},
	})
	want := []string{`a chat {"url":"bad"} {}`, `b chat {"url":"fine"} {"token":"bad"}`, `d chat {"url":"odd"} {}`}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked about\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	if err == nil {
		t.Fatal("the file is taken")
	}
	for _, line := range []string{
		"relay.yaml:3:30: providers.second.token: no token",
		"relay.yaml:5:28: destinations.a.url: no url",
		"relay.yaml:7:33: destinations.c.ulr: unknown key",
		"relay.yaml:9:1: servr: unknown key",
	} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("the faults lack %q:\n%v", line, err)
		}
	}
	if len(warnings) != 1 || warnings[0].Error() != "relay.yaml:8:28: destinations.d.url: odd" {
		t.Errorf("warnings %v", warnings)
	}
}

// Whether a destination needs a channel depends on its direct messages.
func TestDestinationsWithoutAChannel(t *testing.T) {
	const file = `
destinations:
  a: {provider: chat}
  b: {provider: chat, direct_messages: true}
  c: {provider: chat, direct_messages: {fallback: never}}
  d: {provider: chat, direct_messages: false}
`
	chat := config.Schemas{Destination: json.RawMessage(`{"type":"object"}`)}
	_, warnings, err := config.Load("relay.yaml", config.Options{
		ReadFile:  func(string) ([]byte, error) { return []byte(file), nil },
		Providers: []string{"chat"},
		Provider:  func(name string) (config.Schemas, bool) { return chat, name == "chat" },
		Judge: func(config.Destination, config.Entry) []config.Judgement {
			return []config.Judgement{
				{Message: "url is missing", NoChannel: true},
				{Entry: true, Pointer: "/bot_token", Message: "no bot_token", Warning: true, Direct: true},
			}
		},
	})
	want := []string{
		"relay.yaml:3:6: destinations.a: url is missing",
		"relay.yaml:4:6: destinations.b: url is missing; a destination without a channel needs direct_messages: {fallback: never}, since there is nothing to fall back to",
		"relay.yaml:6:6: destinations.d: url is missing",
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	var said []string
	for _, w := range warnings {
		said = append(said, w.Error())
	}
	if got := strings.Join(said, "\n"); got != "relay.yaml:4:6: destinations.b: no bot_token\nrelay.yaml:5:6: destinations.c: no bot_token" {
		t.Errorf("warnings\n%s", got)
	}
}
