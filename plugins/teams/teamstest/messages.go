package teamstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// maxActivity is what a bot may send, which Microsoft counts as UTF-16.
const maxActivity = 80 << 10

type activity struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Text        string          `json:"text"`
	Recipient   json.RawMessage `json:"recipient"`
	Attachments []struct {
		ContentType string         `json:"contentType"`
		Content     map[string]any `json:"content"`
	} `json:"attachments"`
}

// cards reports whether a message has attachments, and all are Adaptive Cards.
func (a activity) cards() bool {
	for _, c := range a.Attachments {
		if c.ContentType != "application/vnd.microsoft.card.adaptive" || c.Content["type"] != "AdaptiveCard" {
			return false
		}
	}
	return len(a.Attachments) > 0
}

// activity is the connector.
func (v *Vendor) activity(w http.ResponseWriter, r *http.Request, body []byte) {
	defer v.Wait(r, body) // an answer this short leaves when the handler returns
	v.mu.Lock()
	defer v.mu.Unlock()
	var a activity
	err := json.Unmarshal(body, &a)
	var to *user
	for _, u := range v.users {
		if u.chat() == r.PathValue("chat") {
			to = u
		}
	}
	switch {
	case !v.allowed(r, botScope):
		answer(w, 401, map[string]any{"message": "Authorization has been denied for this request."})
	case len(body) > maxActivity:
		refuse(w, 413, "MessageSizeTooBig")
	case err != nil || a.Type != "message" || a.ID != "" || a.Text == "" && !a.cards() || strings.HasPrefix(string(a.Recipient), `"`) ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		refuse(w, 400, "BadSyntax")
	case to == nil:
		refuse(w, 404, "ConversationNotFound")
	case !to.installed:
		refuse(w, 403, "ForbiddenOperationException")
	default:
		n := v.Show(plugintest.Sent{User: to.id, Body: string(body)})
		answer(w, 201, map[string]any{"id": fmt.Sprintf("17760000%05d", n)})
	}
}

// flow is the trigger of both flows, and what they do then.
func (v *Vendor) flow(w http.ResponseWriter, r *http.Request, body []byte) {
	defer v.Wait(r, body)
	v.mu.Lock()
	defer v.mu.Unlock()
	direct := strings.Contains(r.URL.Path, "/direct/")
	var a activity
	err := json.Unmarshal(body, &a)
	var recipient string
	if direct && err == nil {
		err = json.Unmarshal(a.Recipient, &recipient)
	}
	switch {
	case r.URL.Query().Get("sig") != Signature || r.Header.Get("Authorization") != "":
		refuse(w, 401, "DirectApiAuthorizationRequired")
	case r.Method != http.MethodPost || err != nil || r.Header.Get("Content-Type") != "application/json; charset=utf-8":
		refuse(w, 400, "InvalidRequestContent")
	case a.Type != "message" || !a.cards() || direct && recipient == "":
		refuse(w, 400, "TriggerInputSchemaMismatch")
	default:
		v.Show(plugintest.Sent{User: recipient, Body: string(body)})
		w.Header().Set("X-Ms-Workflow-Run-Id", "08584712345678901234567890123CU00")
		w.WriteHeader(http.StatusAccepted)
	}
}
