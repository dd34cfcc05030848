package teams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// refuse fails where a flow or Teams would refuse a message that relay composed.
func refuse(t testing.TB, body []byte) {
	t.Helper()
	if fault := faultOf(body); fault != "" {
		t.Errorf("teams would refuse it: %s\n%.3000s", fault, body)
	}
}

// schema is the published one of Adaptive Cards, reduced.
var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	raw, err := os.ReadFile("testdata/adaptive-card-1.4.schema.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("card.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("card.json")
})

// callOnly is what a TextBlock, which reads Markdown, may hold: mentions and
// words that cannot be markup.
var callOnly = regexp.MustCompile(`^(<at>[\p{L}\p{M}\p{Nd} .,'’@-]+</at>|\p{L}|\p{M}|\p{Nd}|[ ,;:!?'"。，：•…]|\.( |$))+$`)

// faultOf says what is wrong with a composed message.
func faultOf(body []byte) string {
	const budget = 24 << 10
	if len(body) > budget {
		return fmt.Sprintf("%d bytes", len(body))
	}
	var m struct {
		Type        string `json:"type"`
		Attachments []struct {
			ContentType string `json:"contentType"`
			Content     any    `json:"content"`
		} `json:"attachments"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return err.Error()
	}
	if m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		return "not one card in the envelope"
	}
	s, err := schema()
	if err != nil {
		return err.Error()
	}
	card := m.Attachments[0].Content
	if err := s.Validate(card); err != nil {
		return err.Error()
	}
	entities := map[string]bool{}
	teams, _ := card.(map[string]any)["msteams"].(map[string]any)
	list, _ := teams["entities"].([]any)
	for _, e := range list {
		text := e.(map[string]any)["text"].(string)
		if entities[text] {
			return "two entities have the text " + text
		}
		entities[text] = false
	}
	var fault string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if text, ok := v["text"].(string); ok && v["type"] != "mention" {
				if text == "" || strings.ContainsAny(text, "\n\x00\u202E\uE000\uE001\uE010\uE011\uE018\uE01A\uE01B") {
					fault = fmt.Sprintf("text %q", text)
				}
				if v["type"] == "TextBlock" {
					if !callOnly.MatchString(text) || v["wrap"] != true {
						fault = fmt.Sprintf("a TextBlock may show markup: %q", text)
					}
					for at := range entities {
						entities[at] = entities[at] || strings.Contains(text, at)
					}
				}
			}
			if target, ok := v["url"].(string); ok && !strings.HasPrefix(target, "https://") && !strings.HasPrefix(target, "http://") {
				fault = "url " + target
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(card)
	for at, called := range entities {
		if !called {
			fault = "nobody is called by " + at
		}
	}
	return fault
}

// receive answers as a flow's trigger does, and then as its action would.
func receive(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "message": "words"}})
	}
	body, _ := io.ReadAll(r.Body)
	switch fault := faultOf(body); {
	case r.URL.Query().Get("sig") != "aB3" || r.Header.Get("Authorization") != "":
		refuse(401, "DirectApiAuthorizationRequired")
	case r.URL.Path != "/workflows/1/triggers/manual/paths/invoke":
		refuse(404, "WorkflowNotFound")
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json; charset=utf-8":
		refuse(400, "InvalidRequestContent")
	case fault != "":
		refuse(400, "TriggerInputSchemaMismatch")
	default:
		w.Header().Set("X-Ms-Workflow-Run-Id", "08584712345678901234567890123CU00")
		w.WriteHeader(http.StatusAccepted)
	}
}
