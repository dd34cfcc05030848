package relay_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
)

func TestSecretPrintsNowhere(t *testing.T) {
	const value = "hunter2hunter2"
	s := relay.Secret(value)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", s)
	encoded, err := json.Marshal(map[string]any{"token": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), log.String(), string(encoded)} {
		if strings.Contains(text, value) {
			t.Errorf("the secret shows in %q", text)
		}
	}
	if s.Reveal() != value {
		t.Error("the secret cannot be used")
	}
}

func TestMaskerKnowsEveryForm(t *testing.T) {
	const secret = `se"cr/et wörd`
	var m relay.Masker
	m.Add("short", secret, secret+"-longer")
	quoted, _ := json.Marshal(secret)
	for _, text := range []string{
		secret, string(quoted), url.PathEscape(secret), url.QueryEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)),
	} {
		if got := m.Mask("a " + text + " b"); !strings.Contains(got, relay.SecretText) || strings.Contains(got, text) {
			t.Errorf("%q is masked as %q", text, got)
		}
	}
	if got := m.Mask(secret + "-longer"); got != relay.SecretText {
		t.Errorf("the longer secret is masked as %q: the whole goes before its part", got)
	}
	if got := m.Mask("short words stay"); got != "short words stay" {
		t.Errorf("a secret of five bytes masks: %q", got)
	}
}

func TestMaskerWith(t *testing.T) {
	var m relay.Masker
	m.Add("of the settings")
	more := m.With("of this attempt")
	const text = "of the settings, of this attempt"
	if got, want := more.Mask(text), relay.SecretText+", "+relay.SecretText; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := m.Mask(text), relay.SecretText+", of this attempt"; got != want {
		t.Errorf("the first masker changed: got %q, want %q", got, want)
	}
}

func TestSecretsIn(t *testing.T) {
	const schema = `{"properties": {
		"url": {"type": "string", "writeOnly": true},
		"name": {"type": "string"},
		"headers": {"writeOnly": true, "additionalProperties": {"type": "string"}},
		"secrets": {"items": {"writeOnly": true}},
		"any": {"anyOf": [{"type": "integer"}, {"type": "string", "writeOnly": true}]},
		"open": true
	}}`
	const value = `{"url": "u", "name": "n", "headers": {"A": "h"}, "secrets": ["s1", "s2"], "any": "x", "open": "o", "unknown": "?"}`
	got := relay.SecretsIn(json.RawMessage(schema), json.RawMessage(value))
	slices.Sort(got)
	if want := []string{"h", "s1", "s2", "u", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := relay.SecretsIn(json.RawMessage(`true`), json.RawMessage(value)); got != nil {
		t.Errorf("a schema without secrets has %v", got)
	}
}
