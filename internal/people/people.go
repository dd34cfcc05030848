// Package people knows who is who: what relay.yaml says of persons whom the
// providers cannot match by themselves.
//
// It leaves to others how a provider finds somebody by email or phone.
package people

import (
	"maps"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// Person is what is known of somebody.
type Person struct {
	Email, Phone, Name string
	Language, TimeZone string            // of direct messages; empty: the destination's
	IDs                map[string]string // by the name of a provider, of an entry or of a source
}

// Directory is an immutable set of persons. The zero Directory knows nobody.
type Directory struct {
	byEmail, byPhone, byID map[string]*Person
}

// New makes a directory. Of persons who share a key the first counts.
func New(all []Person) *Directory {
	d := &Directory{byEmail: map[string]*Person{}, byPhone: map[string]*Person{}, byID: map[string]*Person{}}
	first := func(index map[string]*Person, key string, p *Person) {
		if _, taken := index[key]; key != "" && !taken {
			index[key] = p
		}
	}
	for i := range all {
		p := &all[i]
		first(d.byEmail, Email(p.Email), p)
		first(d.byPhone, Phone(p.Phone), p)
		for name, id := range p.IDs {
			first(d.byID, name+" "+id, p)
		}
	}
	return d
}

// Empty reports whether nobody is known.
func (d *Directory) Empty() bool {
	return d == nil || len(d.byEmail)+len(d.byPhone)+len(d.byID) == 0
}

// Find is the person whom one of p's keys belongs to, or nil. The id that a
// sender gives its own users is one of them: source names the sender.
func (d *Directory) Find(p relay.Person, source string) *Person {
	if d.Empty() {
		return nil
	}
	if known := d.byEmail[Email(p.Email)]; known != nil {
		return known
	}
	if known := d.byPhone[Phone(p.Phone)]; known != nil {
		return known
	}
	for _, name := range slices.Sorted(maps.Keys(p.IDs)) { // of two persons always the same one
		if known := d.byID[name+" "+p.IDs[name]]; known != nil {
			return known
		}
	}
	if !p.ID.IsZero() {
		return d.byID[source+" "+p.ID.String()]
	}
	return nil
}

// Complete is p with everything that is known of the person: what p lacks is
// filled in, and an id of relay.yaml counts before one of the event.
func (d *Directory) Complete(p relay.Person, source string) relay.Person {
	known := d.Find(p, source)
	if known == nil {
		return p
	}
	fill := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	fill(&p.Email, known.Email)
	fill(&p.Phone, known.Phone)
	fill(&p.Name, known.Name)
	if len(known.IDs) > 0 {
		ids := maps.Clone(p.IDs)
		if ids == nil {
			ids = map[string]string{}
		}
		maps.Copy(ids, known.IDs)
		p.IDs = ids
	}
	return p
}

// Email is an address as it is compared.
func Email(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Phone is a number as it is compared.
func Phone(s string) string {
	return strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(s)
}
