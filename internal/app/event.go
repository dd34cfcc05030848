package app

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/people"
)

// withPeople is an event whose actor and recipients have all that relay knows
// of them, so that templates can name and mention them. What a sender wrote
// stays; an event of which nothing more is known is not copied.
func withPeople(event []byte, known func(p relay.Person, source string) (relay.Person, bool)) []byte {
	fields := members(event)
	var source string
	_ = json.Unmarshal(fields["source"].raw, &source) // canonical JSON
	var parts []part
	if actor, ok := fields["actor"]; ok {
		if raw, changed := complete(actor.raw, source, known); changed {
			parts = append(parts, part{actor.at, len(actor.raw), raw})
		}
	}
	if recipients, ok := fields["recipients"]; ok {
		var all []json.RawMessage
		_ = json.Unmarshal(recipients.raw, &all)
		any := false
		for i := range all {
			raw, changed := complete(all[i], source, known)
			all[i], any = raw, any || changed
		}
		if any {
			raw, _ := json.Marshal(all) // raw JSON
			parts = append(parts, part{recipients.at, len(recipients.raw), raw})
		}
	}
	if len(parts) == 0 {
		return event
	}
	var out bytes.Buffer
	from := 0
	for _, p := range parts { // canonical JSON has the actor before the recipients
		out.Write(event[from:p.at])
		out.Write(p.raw)
		from = p.at + p.size
	}
	out.Write(event[from:])
	return out.Bytes()
}

// withRecipients is an event with more recipients. Who is among them already is
// not added, so that a channel calls nobody twice.
func withRecipients(event []byte, more []relay.Person) []byte {
	if len(more) == 0 {
		return event
	}
	fields := members(event)
	var recipients []json.RawMessage
	var known []relay.Person
	_ = json.Unmarshal(fields["recipients"].raw, &recipients) // canonical JSON
	_ = json.Unmarshal(fields["recipients"].raw, &known)
	for _, p := range more {
		if !slices.ContainsFunc(known, func(q relay.Person) bool { return samePerson(p, q) }) {
			raw, _ := json.Marshal(p) // strings
			recipients = append(recipients, raw)
		}
	}
	added, _ := json.Marshal(recipients) // raw JSON
	if old, ok := fields["recipients"]; ok {
		return slices.Concat(event[:old.at], added, event[old.at+len(old.raw):])
	}
	// Canonical JSON has them before data, which comes last.
	end := len(event) - len("}")
	if data, ok := fields["data"]; ok {
		end = data.at - len(`,"data":`)
	}
	return slices.Concat(event[:end], []byte(`,"recipients":`), added, event[end:])
}

// samePerson reports whether two persons share a key.
func samePerson(p, q relay.Person) bool {
	for name, id := range p.IDs {
		if q.IDs[name] == id && id != "" {
			return true
		}
	}
	return p.Email != "" && people.Email(p.Email) == people.Email(q.Email) || p.Phone != "" && people.Phone(p.Phone) == people.Phone(q.Phone)
}

// part replaces size bytes of an event.
type part struct {
	at, size int
	raw      []byte
}

// member is a value of an object, and where it stands.
type member struct {
	at  int
	raw json.RawMessage
}

// members are the values of a JSON object.
func members(object []byte) map[string]member {
	all := map[string]member{}
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil
		}
		var m member
		if d.Decode(&m.raw) != nil {
			return nil
		}
		m.at = int(d.InputOffset()) - len(m.raw)
		name, _ := key.(string)
		all[name] = m
	}
	return all
}

// complete is a person's JSON with what is known besides. Keys that relay does
// not know stay.
func complete(raw json.RawMessage, source string, known func(relay.Person, string) (relay.Person, bool)) (json.RawMessage, bool) {
	var p relay.Person
	if json.Unmarshal(raw, &p) != nil {
		return raw, false
	}
	more, changed := known(p, source)
	if !changed {
		return raw, false
	}
	var all map[string]json.RawMessage
	_ = json.Unmarshal(raw, &all) // it was a person
	added, _ := json.Marshal(more)
	var own map[string]json.RawMessage
	_ = json.Unmarshal(added, &own)
	for key, value := range own {
		all[key] = value
	}
	out, err := json.Marshal(all)
	if err != nil {
		return raw, false
	}
	return out, true
}
