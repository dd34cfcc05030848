package config

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// certificates reads the files of certificates and keys, which are a part of
// the configuration: a watcher watches them, and a bad one is a fault.
func (l *loader) certificates(root *node) {
	file := within(root, "egress", "ca_file")
	if data, ok := l.named(file); ok {
		l.authorities = data
		if !x509.NewCertPool().AppendCertsFromPEM(data) {
			l.fault(file, "%s holds no certificate; it has to be PEM, -----BEGIN CERTIFICATE-----", show(file))
		}
	}
	chain, readable := l.named(within(root, "server", "tls", "cert"))
	private, readableToo := l.named(within(root, "server", "tls", "key"))
	if !readable || !readableToo {
		return
	}
	var err error
	l.certificate, err = tls.X509KeyPair(chain, private)
	if err != nil {
		// The words of crypto/tls hold nothing of the files.
		l.fault(root.fields["server"].fields["tls"], "cert and key cannot be used together: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// within goes down the keys of mappings; nil: nothing usable stands there.
func within(n *node, keys ...string) *node {
	for _, key := range keys {
		if n = n.fields[key]; n == nil || n.bad {
			return nil
		}
	}
	return n
}

// named reads the file that a value names.
func (l *loader) named(n *node) ([]byte, bool) {
	if n == nil || n.kind != scalarNode || n.text == "" {
		return nil, false // the schema says what is missing
	}
	if strings.Contains(n.text, "-----BEGIN") || strings.ContainsAny(n.text, "\r\n") {
		l.fault(n, "the value is PEM itself; write it to a file, and the path of that file here")
		return nil, false
	}
	data, err := l.file(l.absolute(n.text))
	if err != nil {
		l.fault(n, "%s cannot be read: %s", show(n), err)
	}
	return data, err == nil
}
