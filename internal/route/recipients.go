package route

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// recipients are an event's, as they stand in it.
type recipients struct {
	Source     string         `json:"source"`
	Recipients []relay.Person `json:"recipients"`
}

func recipientsOf(body []byte) *recipients {
	r := &recipients{}
	_ = json.Unmarshal(body, r) // canonical JSON always decodes
	return r
}

// persons are the recipients of an event at a destination with what is known of
// them, as the JSON that their deliveries carry, each person once: who stands
// there twice, with the same email, phone or id, is one person with all that both
// say. Two keys that only a provider knows to be the same person's are found out
// when they are looked up.
func (t *Table) persons(event *recipients, more []relay.Person) []string {
	var all []relay.Person
	seen := map[string]int{} // key → index into all
	for _, p := range slices.Concat(event.Recipients, more) {
		p = t.complete(p, event.Source)
		keys := keysOf(p)
		at := len(all)
		for _, k := range keys {
			if i, ok := seen[k]; ok && i < at {
				at = i
			}
		}
		if at == len(all) {
			all = append(all, p)
		} else {
			join(&all[at], p)
		}
		for _, k := range keys {
			seen[k] = at
		}
	}
	var out []string
	for _, p := range all {
		raw, _ := json.Marshal(p) // it came from JSON
		out = append(out, string(raw))
	}
	return out
}

func keysOf(p relay.Person) []string {
	var keys []string
	if email := strings.ToLower(strings.TrimSpace(p.Email)); email != "" {
		keys = append(keys, "email "+email)
	}
	if phone := strings.NewReplacer(" ", "", "-", "").Replace(p.Phone); phone != "" {
		keys = append(keys, "phone "+phone)
	}
	for name, id := range p.IDs {
		keys = append(keys, name+" "+id)
	}
	if !p.ID.IsZero() {
		keys = append(keys, "sender "+p.ID.String())
	}
	return keys
}

// join adds to p what it lacks and q has.
func join(p *relay.Person, q relay.Person) {
	fill := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	fill(&p.Name, q.Name)
	fill(&p.Email, q.Email)
	fill(&p.Phone, q.Phone)
	if p.ID.IsZero() {
		p.ID = q.ID
	}
	for name, id := range q.IDs {
		if p.IDs == nil {
			p.IDs = map[string]string{}
		}
		if _, has := p.IDs[name]; !has {
			p.IDs[name] = id
		}
	}
}
