package config

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

type nodeKind int

const (
	scalarNode nodeKind = iota
	listNode
	objectNode
)

// node is a value of the file with aliases, merges and references expanded.
type node struct {
	kind nodeKind
	at   place  // of the value; of the key for what is written below its key
	key  place  // of its key in the mapping around it
	path string // such as destinations.dba-team.url or server.tokens[0]; see nameOf for keys that are no names
	bad  bool   // a fault was reported; it is not judged any further
	name string // of its key, as faults may show it
	slip bool   // its key ends at a colon without a space, and goes on with what should be its value

	text    string   // of a scalar
	plain   bool     // a scalar that is typed by what the schema wants
	null    bool     // a scalar that has no value
	anchor  bool     // an anchor stands before it
	outside string   // the references in it, as they are written
	parts   []string // what the references stood for

	items  []*node
	keys   []string // in the order of the file
	fields map[string]*node

	views  views // the schemas that it has to fit
	secret bool
}

// tree is the whole file. nil: there is none, and a problem says why.
func (l *loader) tree() *node {
	document := l.parse()
	if document == nil {
		return nil
	}
	root := l.build(document, "", place{}, 0)
	if l.spent || root.bad {
		return nil
	}
	if root.kind != objectNode {
		l.fault(root, "a configuration is a mapping of keys to values, this is %s", kindOf(document))
		return nil
	}
	l.include(root, "people")
	if l.spent {
		return nil
	}
	return root
}

// include puts in place of a key's {file: …} what that file holds: a list that
// has outgrown the main file.
func (l *loader) include(root *node, key string) {
	n := root.fields[key]
	if n == nil || n.kind != objectNode || n.fields["file"] == nil || len(n.keys) > 1 {
		return // the schema says what may stand there
	}
	file := n.fields["file"]
	if file.bad || file.kind != scalarNode || file.text == "" {
		return
	}
	path := l.absolute(file.text)
	l.reading = file.text
	defer func() { l.reading = "" }()
	data, err := l.file(path)
	if err != nil {
		l.fault(file, "%s cannot be read: %s", show(file), err)
		n.bad = true
		return
	}
	document := l.document(data)
	if document == nil {
		n.bad = true // a problem says why
		return
	}
	list := l.build(document, key, place{}, 1)
	if !list.bad && list.kind != listNode {
		l.fault(list, "the file holds %s; write a list of people, each a mapping of an email, a phone or ids", kindOf(document))
	}
	root.fields[key] = list
}

// build makes a node of what stands at path. It spends the budget of the load:
// aliases of aliases can ask for more than any memory holds.
func (l *loader) build(y *yaml.Node, path string, key place, depth int) *node {
	n := &node{path: path, key: key, at: l.here(y.Line, y.Column)}
	l.nodes++
	l.text += len(y.Value)
	switch {
	case l.spent:
		n.bad = true
		return n
	case l.nodes > maxNodes || l.text > maxText:
		l.spent = true
		n.path = knownPath(n.path)
		l.fault(n, "the file holds too much: with its aliases expanded it has more than %d values or %d MiB; use fewer aliases", maxNodes, maxText>>20)
		return n
	case depth > maxDepth:
		l.spent = true
		n.path = knownPath(n.path)
		l.fault(n, "nested deeper than %d levels; does an alias contain itself?", maxDepth)
		return n
	}
	if y.Kind == yaml.AliasNode {
		target := l.build(y.Alias, path, key, depth+1)
		target.key = key
		return target
	}
	switch y.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!map", "!!seq", "!!merge":
	default:
		l.fault(n, "a tag, which begins with !, means nothing here; take it out, or quote a value that begins with !")
		return n
	}
	switch y.Kind {
	case yaml.ScalarNode:
		n.kind, n.anchor = scalarNode, y.Anchor != ""
		l.expand(n, y)
	case yaml.SequenceNode:
		n.kind = listNode
		n.stand(y)
		for i, item := range y.Content {
			n.items = append(n.items, l.build(item, path+"["+strconv.Itoa(i)+"]", place{}, depth+1))
		}
	case yaml.MappingNode:
		n.kind = objectNode
		n.stand(y)
		n.fields = map[string]*node{}
		l.fill(n, y, depth)
	}
	return n
}

// cut keeps a text of endless length readable.
func cut(text string) string {
	if len(text) > maxSuggested {
		return strings.ToValidUTF8(text[:maxSuggested], "") + "…"
	}
	return text
}

// stand moves what is written below its key up to the key, where people look.
func (n *node) stand(y *yaml.Node) {
	if y.Style&yaml.FlowStyle == 0 && n.key.line > 0 {
		n.at = n.key
	}
}

// fill puts the pairs of a mapping into n. Its own keys win over merged ones.
func (l *loader) fill(n *node, y *yaml.Node, depth int) {
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content) && !l.spent; i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		at := l.here(k.Line, k.Column)
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		switch {
		case k.Kind != yaml.ScalarNode:
			l.problem(at, n.path, "a key is a name, this is %s", kindOf(k))
		case k.ShortTag() == "!!merge":
			merges = append(merges, v)
		case n.path == "" && len(k.Value) > 1 && k.Value[:2] == "x-":
			// A place for anchors: it counts where it is used.
		default:
			name, _ := nameOf(k.Value)
			path := n.below(name)
			if first, twice := n.fields[k.Value]; twice {
				l.problem(at, path, "duplicate key; it is set in line %d already", first.key.line)
				continue
			}
			n.keys = append(n.keys, k.Value)
			n.fields[k.Value] = l.build(v, path, at, depth+1)
		}
	}
	for _, m := range merges {
		l.merged(n, m, depth)
	}
}

// merged takes over what `<<` names: a mapping, or a list of them of which
// earlier ones win.
func (l *loader) merged(n *node, y *yaml.Node, depth int) {
	source := y
	if y.Kind == yaml.AliasNode {
		source = y.Alias
	}
	if depth > maxDepth {
		l.spent = true
		l.fault(n, "nested deeper than %d levels; does an alias contain itself?", maxDepth)
		return
	}
	if source.Kind == yaml.SequenceNode {
		for _, item := range source.Content {
			if l.nodes++; l.spent {
				return
			}
			l.merged(n, item, depth+1)
		}
		return
	}
	if source.Kind != yaml.MappingNode {
		l.problem(l.here(y.Line, y.Column), n.path, "<< takes a mapping or a list of mappings, this is %s", kindOf(source))
		return
	}
	from := l.build(source, n.path, n.key, depth+1)
	for _, key := range from.keys {
		if _, own := n.fields[key]; !own {
			n.keys = append(n.keys, key)
			n.fields[key] = from.fields[key]
		}
	}
}
