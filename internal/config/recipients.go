package config

import (
	"regexp"
	"strings"
)

var (
	anEmail = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
	aPhone  = regexp.MustCompile(`^\+[0-9][0-9 -]{4,20}$`)
)

// recipients checks the keys of people under a destination or a source.
func (l *loader) recipients(n, root *node) {
	list := n.fields["recipients"]
	if list == nil || list.bad {
		return
	}
	people := writtenPeople(root)
	for _, key := range list.items {
		if key.bad || key.kind != scalarNode {
			continue
		}
		switch found := findPeople(people, key.text); {
		case len(found) > 1:
			l.fault(key, "%s is the name of %d people; write the email, phone or an id of the one who is meant", show(key), len(found))
		case len(found) == 0 && !anEmail.MatchString(key.text) && !aPhone.MatchString(key.text):
			l.fault(key, "%s is nobody of people; write an email, a phone, or what an entry of people has: a name, an id, or <provider>:<id>", show(key))
		}
	}
}

// writtenPeople is `people` as it stands in the file, faults and all.
func writtenPeople(root *node) []Person {
	list := root.fields["people"]
	if list == nil {
		return nil
	}
	var all []Person
	for _, n := range list.items {
		p := Person{IDs: map[string]string{}}
		for _, key := range n.keys {
			text := n.fields[key].text
			switch key {
			case "email":
				p.Email = text
			case "phone":
				p.Phone = text
			case "name":
				p.Name = text
			case "language", "time_zone":
			default:
				p.IDs[key] = text
			}
		}
		all = append(all, p)
	}
	return all
}

// findPeople are the people whom a key belongs to: an email, a phone, <name>:<id>
// or an id, which are one person's, before a name.
func findPeople(people []Person, key string) []Person {
	digits := strings.NewReplacer(" ", "", "-", "")
	var called []Person
	for _, p := range people {
		if strings.EqualFold(p.Email, key) || p.Phone != "" && digits.Replace(p.Phone) == digits.Replace(key) {
			return []Person{p}
		}
		for name, id := range p.IDs {
			if key == id || key == name+":"+id {
				return []Person{p}
			}
		}
		if strings.EqualFold(p.Name, key) {
			called = append(called, p)
		}
	}
	return called
}

// recipientsOf resolves keys that passed the checks.
func recipientsOf(value map[string]any, people []Person) []Person {
	keys, _ := value["recipients"].([]any)
	var all []Person
	for _, key := range keys {
		text, _ := key.(string)
		found := findPeople(people, text)
		switch {
		case len(found) > 0:
			all = append(all, found[0])
		case anEmail.MatchString(text):
			all = append(all, Person{Email: text})
		default:
			all = append(all, Person{Phone: text})
		}
	}
	return all
}
