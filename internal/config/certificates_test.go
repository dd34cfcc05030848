package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/config"
)

// pair makes a certificate and its key.
func pair(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

func TestCertificates(t *testing.T) {
	path := write(t, "server: {listen: 0.0.0.0:1, tokens: [a-good-token], tls: {cert: cert.pem, key: key.pem}}\negress: {ca_file: ca.pem}\n")
	dir := filepath.Dir(path)
	put := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want ...string) {
		t.Helper()
		cfg, _, err := config.Load(path, options(nil))
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
		}
		for _, name := range []string{"cert.pem", "key.pem", "ca.pem"} {
			if !slices.Contains(cfg.Files, filepath.Join(dir, name)) {
				t.Errorf("%s is not waited for: %v", name, cfg.Files)
			}
		}
	}
	refused(
		path+`:1:65: server.tls.cert: "cert.pem" cannot be read: there is no such file`,
		path+`:1:80: server.tls.key: "key.pem" cannot be read: there is no such file`,
		path+`:2:19: egress.ca_file: "ca.pem" cannot be read: there is no such file`)
	cert, key := pair(t)
	other, otherKey := pair(t)
	put("cert.pem", cert)
	put("key.pem", otherKey)
	put("ca.pem", key)
	refused(
		path+`:1:58: server.tls: cert and key cannot be used together: private key does not match public key`,
		path+`:2:19: egress.ca_file: "ca.pem" holds no certificate; it has to be PEM, -----BEGIN CERTIFICATE-----`)
	put("key.pem", key)
	put("ca.pem", cert)
	cfg, warnings := load(t, path, nil)
	if len(cfg.Server.TLS.Certificate.Certificate) != 1 || string(cfg.Egress.CA) != string(cert) {
		t.Errorf("got %+v, %+v", cfg.Server.TLS, cfg.Egress)
	}
	for _, w := range warnings {
		if strings.Contains(w.Message, "plain HTTP") {
			t.Errorf("HTTPS is taken for plain HTTP: %v", w)
		}
	}

	// Another certificate is a change, and none that needs a restart; to have
	// none is one.
	put("cert.pem", other)
	put("key.pem", otherKey)
	rotated, _ := load(t, path, nil)
	if faults := cfg.NeedsRestart(rotated); rotated.Revision == cfg.Revision || len(faults) > 0 {
		t.Errorf("revisions %s and %s, restart %v", cfg.Revision, rotated.Revision, faults)
	}
	got := config.Compare(cfg.Digests(nil), rotated.Digests(nil))
	if len(got) != 1 || got[0].Part != "server" || !slices.Equal(got[0].Keys, []string{"tls.cert", "tls.key"}) {
		t.Errorf("got %+v", got)
	}
	plain, _ := load(t, write(t, "server: {listen: 0.0.0.0:1, tokens: [a-good-token]}\n"), nil)
	if faults := cfg.NeedsRestart(plain); len(faults) != 1 || faults[0].Path != "server.tls" {
		t.Errorf("restart for %v", faults)
	}
}

func TestCompare(t *testing.T) {
	before, _ := load(t, write(t, `
templates: /t
store: {path: /s, retain: 1d}
people: [{email: ann@example.com}]
providers: {slack: {bot_token: the-first-token}}
destinations:
  a: {provider: slack, url: https://a.example}
  b: {provider: slack, url: https://b.example, timeout: 10s}
  c.d: {provider: custom, url: https://c.example, headers: {X-Key: one-secret-key}, match: {project.name: [x]}}
`), nil)
	after, _ := load(t, write(t, `
templates: /t
store: {path: /s, retain: 24h}
people: [{email: bob@example.com}]
providers: {slack: {bot_token: another-token}}
destinations:
  b: {provider: slack, url: https://b.example}
  c.d: {provider: custom, url: https://c.example, headers: {X-Key: two-secret-key}, retry: 0}
  e: {provider: custom, url: https://e.example}
sources: {bytebase: {token: source-token}}
server: {max_body: 2MiB, hosts: [relay.internal]}
`), nil)
	got := config.Compare(before.Digests([]byte("salt")), after.Digests([]byte("salt")))
	equal(t, "changes", got, []config.Change{
		{Action: "drop", Part: "destinations.a", Keys: []string{}},
		{Action: "change", Part: "destinations.c.d", Keys: []string{"headers.X-Key", "match.project.name", "retry"}},
		{Action: "add", Part: "destinations.e", Keys: []string{}},
		{Action: "change", Part: "people", Keys: []string{}},
		{Action: "change", Part: "providers.slack", Keys: []string{"bot_token"}},
		{Action: "change", Part: "server", Keys: []string{"hosts", "max_body"}},
		{Action: "add", Part: "sources.bytebase", Keys: []string{}},
	})
	for _, values := range after.Digests([]byte("salt")) {
		for _, digest := range values {
			if len(digest) != 32 || strings.Contains(digest, "secret") {
				t.Errorf("%q is no digest", digest)
			}
		}
	}
}
