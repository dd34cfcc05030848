package discord

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/relay-sidecar/relay/plugins/discord/discordtest"
)

// refuse fails where Discord would refuse a message that relay composed.
func refuse(t testing.TB, body []byte) {
	t.Helper()
	if fault := discordtest.Fault(body); fault != "" {
		t.Errorf("discord would refuse it: %s\n%.2000s", fault, body)
	}
}

var userAgent = regexp.MustCompile(`^DiscordBot \(https://[^ ,]+, [^ ]+\)$`)

// receive answers as Discord does.
func receive(w http.ResponseWriter, r *http.Request) {
	refuse := func(status, code int, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message})
	}
	body, _ := io.ReadAll(r.Body)
	switch fault := discordtest.Fault(body); {
	case !userAgent.MatchString(r.UserAgent()):
		refuse(403, 40333, "internal network error")
	case r.Method != http.MethodPost:
		refuse(405, 0, "405: Method Not Allowed")
	case r.URL.Path != "/api/v10/webhooks/1/x9":
		refuse(404, 10015, "Unknown Webhook")
	case r.Header.Get("Content-Type") != "application/json":
		refuse(400, 50035, "Invalid Form Body")
	case fault != "":
		refuse(400, 50035, fault)
	case r.URL.Query().Get("wait") != "true":
		w.WriteHeader(http.StatusNoContent)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "1300000000000000001", "channel_id": "2", "content": string(body)})
	}
}
