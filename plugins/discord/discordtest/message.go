package discordtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Fault says what Discord would refuse a message for, from its documentation and
// not from the provider's own limits, or what a careful sender would not send;
// empty: nothing.
func Fault(body []byte) string {
	var m struct {
		Content         *string `json:"content"`
		Username        *string `json:"username"`
		AllowedMentions *struct {
			Parse []string `json:"parse"`
			Users []string `json:"users"`
		} `json:"allowed_mentions"`
		Embeds []struct {
			Title, Description, URL string
			Color                   int
			Footer                  *struct{ Text string }
			Image                   *struct{ URL string }
			Fields                  []struct {
				Name, Value string
				Inline      bool
			}
		} `json:"embeds"`
		Components []any `json:"components"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "50109: " + err.Error()
	}
	total := 0
	var fault string
	text := func(path, s string, least, most int) {
		n := len([]rune(strings.TrimSpace(s)))
		total += n
		if fault == "" && (n < least || n > most) {
			fault = fmt.Sprintf("50035: %s has %d characters, not %d to %d", path, n, least, most)
		}
		if fault == "" && strings.ContainsAny(s, "\x00\u202E\uE000\uE001") {
			fault = fmt.Sprintf("%s holds what may not show: %q", path, s)
		}
	}
	web := func(path, s string) {
		if fault == "" && s != "" && (len([]rune(s)) > 2048 || !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") || strings.ContainsAny(s, " <>")) {
			fault = "50035: " + path + " is no URL: " + s
		}
	}
	if m.Content != nil {
		text("content", *m.Content, 1, 2000)
	}
	if m.Username != nil {
		text("username", *m.Username, 1, 80)
	}
	if m.Content == nil && len(m.Embeds) == 0 && len(m.Components) == 0 {
		return "50006: empty message"
	}
	if len(m.Embeds) > 10 {
		return "50035: embeds"
	}
	total = 0
	for _, e := range m.Embeds {
		text("title", e.Title, 0, 256)
		text("description", e.Description, 0, 4096)
		web("url", e.URL)
		if e.Color < 0 || e.Color > 16777215 || len(e.Fields) > 25 {
			return "50035: color or fields"
		}
		if e.Footer != nil {
			text("footer", e.Footer.Text, 0, 2048)
		}
		if e.Image != nil {
			web("image", e.Image.URL)
		}
		for _, f := range e.Fields {
			text("name", f.Name, 1, 256)
			text("value", f.Value, 1, 1024)
		}
	}
	switch {
	case fault != "":
		return fault
	case total > 6000:
		return fmt.Sprintf("50035: the embeds have %d characters", total)
	case m.AllowedMentions == nil || m.AllowedMentions.Parse == nil:
		return "allowed_mentions is missing: users in the text would be notified"
	case len(m.AllowedMentions.Users) > 100:
		return "50035: allowed_mentions.users"
	case slices.Contains(m.AllowedMentions.Parse, "users") && len(m.AllowedMentions.Users) > 0:
		return "50035: users twice"
	}
	return ""
}
