package route

import (
	"encoding/json"
	"strings"

	"github.com/relay-sidecar/relay"
)

// recipient is a person with the JSON that their deliveries carry.
type recipient struct {
	relay.Person
	json string
}

// recipients are an event's recipients, and more, with what is known of them, each person
// once: who stands there twice, with the same email, phone or id, is one person
// with all that both say. Two keys that only a provider knows to be the same
// person's are found out when they are looked up.
func (t *Table) recipients(body []byte, more []relay.Person) []recipient {
	var event struct {
		Source     string         `json:"source"`
		Recipients []relay.Person `json:"recipients"`
	}
	if json.Unmarshal(body, &event) != nil {
		return nil // canonical JSON always decodes
	}
	var out []recipient
	seen := map[string]int{} // key → index into out
	for _, p := range append(event.Recipients, more...) {
		p = t.complete(p, event.Source)
		keys := keysOf(p)
		at := len(out)
		for _, k := range keys {
			if i, ok := seen[k]; ok && i < at {
				at = i
			}
		}
		if at == len(out) {
			out = append(out, recipient{Person: p})
		} else {
			join(&out[at].Person, p)
		}
		for _, k := range keys {
			seen[k] = at
		}
	}
	for i := range out {
		raw, _ := json.Marshal(out[i].Person) // it came from JSON
		out[i].json = string(raw)
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
