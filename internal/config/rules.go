package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
)

// minSecret is the shortest secret that can be masked; shorter ones would mask
// ordinary words.
const minSecret = 8

// rules checks what the schema cannot say. Values at fault are passed over.
func (l *loader) rules(root *node) {
	l.openDoors(root)
	l.certificates(root)
	l.entries(root)
	l.launching(root)
	l.everywhere(root)
	l.people(root)
	l.sources(root)
	l.alerts(root)
	destinations := root.fields["destinations"]
	if destinations == nil || len(destinations.keys) == 0 {
		l.warn(root, "there are no destinations: events are accepted and go nowhere")
		return
	}
	for _, name := range destinations.keys {
		l.destination(destinations.fields[name])
		l.recipients(destinations.fields[name], root)
	}
}

// sources checks the doors. What is not a key of relay's is the script's, but
// a slip of the pen must not leave a door open.
func (l *loader) sources(root *node) {
	sources := root.fields["sources"]
	if sources == nil {
		return
	}
	own := slices.Sorted(maps.Keys(below(core(), "properties", "sources", "additionalProperties", "properties")))
	for _, name := range sources.keys {
		n := sources.fields[name]
		l.recipients(n, root)
		for _, key := range n.keys {
			if meant := suggest(key, own); meant != "" && !slices.Contains(own, key) {
				l.problem(n.fields[key].key, n.fields[key].path, "unknown key%s", meant)
			}
		}
	}
}

// openDoors wants a token wherever others than this machine can come in.
func (l *loader) openDoors(root *node) {
	server := root.fields["server"]
	if server == nil || server.fields["listen"] == nil {
		return
	}
	listen := server.fields["listen"]
	for _, n := range append([]*node{listen}, listen.items...) {
		if n.bad || n.kind != scalarNode {
			continue
		}
		address, err := ParseListen(n.text)
		if err != nil || address.Loopback() {
			continue
		}
		if server.fields["tokens"] == nil {
			l.fault(n, "%s can be reached from other machines; set server.tokens, or listen on 127.0.0.1", show(n))
			continue
		}
		if server.fields["tls"] == nil {
			l.warn(n, "%s takes tokens and events over plain HTTP; set server.tls, or put a proxy with TLS before it", show(n))
		}
	}
}

// entries wants to know which provider an entry is.
func (l *loader) entries(root *node) {
	providers := root.fields["providers"]
	if providers == nil {
		return
	}
	for _, name := range providers.keys {
		n := providers.fields[name]
		memory(l, name, n)
		if n.fields["use"] != nil {
			continue // the schema knows what may stand there
		}
		_, ok := l.o.Provider(name)
		switch {
		case slices.ContainsFunc(l.problems, func(p relay.Problem) bool { return p.Path == n.path }): // it is no name at all
		case ok && !providerName.MatchString(name):
			l.problem(n.key, n.path, "%q cannot be the name of a provider; it is made of lower case letters, digits and -", name)
		case !ok:
			known := slices.Sorted(slices.Values(l.o.Providers))
			l.problem(n.key, n.path, "there is no provider %q%s; say with use: which one of %s it is%s, or with command: what starts its plugin", name, l.lacking(name), strings.Join(known, ", "), suggest(name, known))
		}
	}
}

// memory wants the bound of a process where the process is named.
func memory(l *loader, name string, n *node) {
	bound := n.fields["memory"]
	if bound == nil || bound.bad {
		return
	}
	if use := n.fields["use"]; use != nil && use.text != name {
		l.fault(bound, "entries of one provider share its process; set memory in the entry %s", show(use))
		return
	}
	if size, err := ParseSize(bound.text); err == nil && size < leastMemory {
		l.fault(bound, "%s is less than a plugin needs; write at least 64MiB", show(bound))
	}
}

// alerts wants a destination that there is.
func (l *loader) alerts(root *node) {
	section, destinations := root.fields["alerts"], root.fields["destinations"]
	if section == nil || section.fields["destination"] == nil {
		return
	}
	n := section.fields["destination"]
	if n.bad || n.kind != scalarNode {
		return
	}
	var names []string
	if destinations != nil {
		names = destinations.keys
	}
	if !slices.Contains(names, n.text) {
		l.fault(n, "there is no destination %s%s", show(n), suggest(n.text, names))
		return
	}
	if off := destinations.fields[n.text].fields["disabled"]; off != nil && off.text == "true" {
		l.warn(n, "%s is disabled, so nobody is told when something is held", show(n))
	}
}

// everywhere checks what can stand anywhere: URLs and secrets.
func (l *loader) everywhere(n *node) {
	for _, key := range n.keys {
		l.everywhere(n.fields[key])
	}
	for _, item := range n.items {
		l.everywhere(item)
	}
	if n.bad || n.kind != scalarNode {
		return
	}
	if n.views.secret(false) && n.text != "" && len(n.text) < minSecret && n.views.word("x-relay-guess") == "" {
		l.warn(n, "a secret of fewer than %d bytes cannot be masked in logs; use a longer one", minSecret)
	}
	if n.views.word("format") != "relay-url" {
		return
	}
	u, err := parseURL(n.text)
	if err != nil || u.Scheme == "https" || loopback(u.Hostname()) {
		return
	}
	if n.views.word("x-relay-http") == "anywhere" {
		l.warn(n, "%s goes over plain HTTP to another machine; use https where you can", show(n))
		return
	}
	l.fault(n, "%s is not an https URL; http is taken to a loopback address only", show(n))
}

func (l *loader) destination(n *node) {
	for _, events := range []*node{n.fields["events"], n.fields["direct_messages"]} {
		if events != nil && events.kind == objectNode {
			events = events.fields["events"]
		}
		if events == nil {
			continue
		}
		for _, glob := range events.items {
			l.glob(glob)
		}
	}
	if list := n.fields["recipients"]; list != nil && n.fields["direct_messages"] == nil {
		l.warn(list, "without direct_messages nobody is written to; set it, such as direct_messages: true")
	}
	match := n.fields["match"]
	if match == nil {
		return
	}
	fields := []string{"id", "type", "source", "time", "level", "title", "description", "link", "actor", "project", "issue", "recipients", "data"}
	for _, path := range match.keys {
		top, _, _ := strings.Cut(path, ".")
		if !slices.Contains(fields, top) {
			l.warn(match.fields[path], "events have no field %q, so this matches nothing; what senders add stands under data%s", top, suggest(top, fields))
		}
	}
}

// glob warns of a glob that takes no event of the catalogue: own types are
// legal, slips of the pen are frequent.
func (l *loader) glob(n *node) {
	if n.bad {
		return
	}
	pattern, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(n.text), `\*`, ".*") + "$")
	if err != nil || slices.ContainsFunc(relay.Catalogue(), pattern.MatchString) {
		return
	}
	candidates := relay.Catalogue()
	for _, t := range relay.Catalogue() {
		family, _, _ := strings.Cut(t, ".")
		candidates = append(candidates, family+".*")
	}
	nearest := ""
	if shown(n) {
		nearest = suggest(n.text, candidates)
	}
	l.warn(n, "%s matches no event type of the catalogue%s", show(n), nearest)
}

// people checks that every person is one, and that ids belong to something.
func (l *loader) people(root *node) {
	list := root.fields["people"]
	if list == nil || list.kind != listNode {
		return
	}
	known := slices.Clone(l.o.Providers)
	known = append(known, l.o.Sources...)
	for _, section := range []string{"providers", "sources"} {
		if n := root.fields[section]; n != nil {
			known = append(known, n.keys...)
		}
	}
	own := []string{"email", "phone", "name", "language", "time_zone"}
	first := map[string]*node{}
	for _, person := range list.items {
		for _, key := range person.keys {
			n := person.fields[key]
			if n.bad || n.kind != scalarNode {
				continue
			}
			if !slices.Contains(own, key) && !slices.Contains(known, key) {
				// Apps name their source as they like; only what looks like a slip is said.
				if slip := suggest(key, append(own, known...)); slip != "" {
					l.warn(n, "%q is taken as the name of an app whose ids of people these are%s", key, slip)
				}
			}
			if key == "name" || key == "language" || key == "time_zone" {
				continue
			}
			id := key + " " + strings.ToLower(n.text)
			if before := first[id]; before != nil {
				l.fault(n, "is another person's %s already (line %d)", key, before.at.line)
				continue
			}
			first[id] = n
		}
	}
}
