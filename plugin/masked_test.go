package plugin

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
)

func TestProvidersLogIsMasked(t *testing.T) {
	var out strings.Builder
	masker := &relay.Masker{}
	l := slog.New(masked{Logger(&out).Handler(), masker}).With("destination", "d")
	masker.Add("very-secret-part") // as a provider does once it has looked at its settings
	l.With("kept", "very-secret-part").WithGroup("group").Info("asks very-secret-part", "url", "https://chat.example/very-secret-part",
		"error", errors.New("no very-secret-part"), slog.Group("inner", "token", "very-secret-part"), "list", []string{"very-secret-part"}, "n", 7)
	got := out.String()
	if strings.Contains(got, "very-secret-part") || strings.Count(got, relay.SecretText)+strings.Count(got, `\u003csecret\u003e`) != 6 {
		t.Errorf("got %s", got)
	}
	for _, want := range []string{`"destination":"d"`, `"@message":"asks `, `"n":7`, `"inner":{"token":`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}
