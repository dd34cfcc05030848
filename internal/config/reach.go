package config

import (
	"crypto/tls"
	"encoding/pem"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/relay-sidecar/relay"
)

// Reach reads of the file at path only how to reach the relay that runs with
// it: Listen with at least one address, Tokens, and of TLS the certificate. It
// is for whoever asks that relay while somebody edits the file, so what is wrong
// elsewhere does not matter, nor a token or a second address that is of no use.
//
// The error is a Problems: the file cannot be read, is no YAML, or does not say
// where relay listens.
func Reach(path string, o Options) (Server, error) {
	l := newLoader(path, o)
	if document := l.parse(); document != nil {
		if s, ok := l.reach(document); ok {
			return s, nil
		}
	}
	_, faults := l.report()
	return Server{}, faults
}

// reach is false where the address cannot be found out; problems say why.
func (l *loader) reach(document *yaml.Node) (s Server, ok bool) {
	if document.Kind == yaml.MappingNode {
		document = only(document, "server")
	}
	root := l.build(document, "", place{}, 0)
	if root.kind != objectNode {
		if !root.bad {
			l.fault(root, "a configuration is a mapping of keys to values, this is %s", kindOf(document))
		}
		return s, false
	}
	prune(root, "server")
	server := root.fields["server"]
	if server != nil {
		prune(server, "listen", "tokens", "tls")
	}
	l.schema = core()
	l.check(l.instance(root), root)
	if s.Listen = l.addresses(server); len(s.Listen) == 0 {
		l.about("server", "server.listen")
		return s, false
	}
	if server == nil {
		return s, true
	}
	s.Tokens = tokensOf(server.fields["tokens"])
	if n := server.fields["tls"]; n != nil && s.Listen[0].Network == "tcp" {
		if s.TLS = l.shown(n); s.TLS == nil {
			l.about("server.tls", "server.tls.cert")
			return s, false
		}
	}
	return s, true
}

// only is a mapping with what stands under one key of it, and what it merges.
func only(mapping *yaml.Node, key string) *yaml.Node {
	some := *mapping
	some.Content = nil
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if k := mapping.Content[i]; k.Value == key || k.ShortTag() == "!!merge" {
			some.Content = append(some.Content, k, mapping.Content[i+1])
		}
	}
	return &some
}

// prune takes all other keys out of a mapping.
func prune(n *node, keys ...string) {
	n.keys = slices.DeleteFunc(n.keys, func(key string) bool {
		drop := !slices.Contains(keys, key)
		if drop {
			delete(n.fields, key)
		}
		return drop
	})
}

// about drops the problems of all other paths.
func (l *loader) about(paths ...string) {
	l.problems = slices.DeleteFunc(l.problems, func(p relay.Problem) bool {
		return !slices.ContainsFunc(paths, func(path string) bool { return p.Path == path || strings.HasPrefix(p.Path, path+"[") })
	})
}

// addresses are the good ones of those that relay listens on.
func (l *loader) addresses(server *node) []Listen {
	var texts []string
	switch {
	case server == nil, server.kind == objectNode && server.fields["listen"] == nil:
		fallback := below(core(), "properties", "server", "properties", "listen")["default"]
		for _, text := range fallback.([]any) {
			texts = append(texts, text.(string))
		}
	case server.kind == objectNode:
		listen := server.fields["listen"]
		for _, n := range append([]*node{listen}, listen.items...) {
			if n.kind == scalarNode && !n.bad {
				texts = append(texts, n.text)
			}
		}
	}
	var all []Listen
	for _, text := range texts {
		if address, err := ParseListen(text); err == nil {
			all = append(all, address)
		}
	}
	return all
}

// tokensOf are the tokens that are of use.
func tokensOf(n *node) []Token {
	if n == nil {
		return nil
	}
	var all []Token
	for _, n := range append([]*node{n}, n.items...) {
		var t Token
		if n.kind == objectNode {
			if scope := n.fields["scope"]; scope != nil {
				t.Scope = scope.text
			}
			n = n.fields["token"]
		}
		if n != nil && n.kind == scalarNode && !n.bad && n.text != "" {
			t.Token = relay.Secret(n.text)
			all = append(all, t)
		}
	}
	return all
}

// shown is the certificate that relay's listeners show; nil: it cannot be found out.
func (l *loader) shown(n *node) *TLS {
	cert := n.fields["cert"]
	data, ok := l.named(cert)
	if !ok {
		return nil
	}
	block, rest := pem.Decode(data)
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		l.fault(cert, "%s holds no certificate; it has to be PEM, -----BEGIN CERTIFICATE-----", show(cert))
		return nil
	}
	return &TLS{Cert: cert.text, Certificate: tls.Certificate{Certificate: [][]byte{block.Bytes}}}
}
