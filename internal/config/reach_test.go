package config_test

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/relay-sidecar/relay/internal/config"
)

// reach reads a file as text under the name relay.yaml, beside which stand the
// certificates of testdata.
func reach(t *testing.T, text string) (config.Server, error) {
	t.Helper()
	return config.Reach("relay.yaml", config.Options{
		Env: func(string) (string, bool) { return "", false },
		ReadFile: func(path string) ([]byte, error) {
			switch filepath.Base(path) {
			case "relay.yaml":
				return []byte(text), nil
			case "cert.pem":
				return []byte("-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"), nil
			case "key.pem":
				return []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), nil
			}
			return nil, fs.ErrNotExist
		},
	})
}

// Only what keeps the address unknown is a fault.
func TestReach(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		address string // of the first listener
		token   string // the first of every scope
		tls     bool
		fault   string
	}{
		"nothing said":             {text: "{}", address: "127.0.0.1:8750"},
		"an empty section":         {text: "server:\n", address: "127.0.0.1:8750"},
		"said":                     {text: "server: {listen: 127.0.0.1:1, tokens: [one-token]}", address: "127.0.0.1:1", token: "one-token"},
		"faults elsewhere":         {text: "destintions: {}\nstore: {path: \"${UNSET}\"}\nproviders: {x: {use: 7}}\nserver: {listen: \"unix:///a/b\", hots: 7, max_body: x}", address: "unix:///a/b"},
		"a bad tag elsewhere":      {text: "store: !!binary x\nserver: {listen: 127.0.0.1:1}", address: "127.0.0.1:1"},
		"one good address":         {text: "server: {listen: [\"${UNSET}\", here, \"127.0.0.1:1\"]}", address: "127.0.0.1:1"},
		"no token that is known":   {text: "server: {listen: 127.0.0.1:1, tokens: [\"${UNSET}\"]}", address: "127.0.0.1:1"},
		"a token beside a bad one": {text: "server: {listen: 127.0.0.1:1, tokens: [\"${UNSET}\", {token: one-token, scope: read}, {tokn: x}, {token: two-token}]}", address: "127.0.0.1:1", token: "two-token"},
		"an anchor and a merge":    {text: "x-a: &a {listen: 127.0.0.1:1}\nserver: {<<: *a, tokens: [one-token]}", address: "127.0.0.1:1", token: "one-token"},
		"twice":                    {text: "server: {listen: 127.0.0.1:1}\nserver: {listen: 127.0.0.1:2}", address: "127.0.0.1:1"},
		"a key that is no key":     {text: "server: {listen: 127.0.0.1:1, tls: {cert: cert.pem, key: gone.pem}}", address: "127.0.0.1:1", tls: true},
		"a socket has no TLS":      {text: "server: {listen: \"unix:///a/b\", tls: {cert: gone.pem}}", address: "unix:///a/b"},

		"no YAML":              {text: "server: {listen: 127.0.0.1:1\n", fault: "relay.yaml:1:1: not YAML: did not find expected ',' or '}'; look at the indentation, brackets and quotes from here on"},
		"empty":                {text: "", fault: "relay.yaml:1:1: the file is empty; write {} where nothing but defaults is wanted"},
		"a list":               {text: "- server\n", fault: "relay.yaml:1:1: a configuration is a mapping of keys to values, this is a list"},
		"no section":           {text: "server: 7\nx: y", fault: "relay.yaml:1:9: server: is text, not a mapping"},
		"no address":           {text: "server: {listen: here, hots: 7}", fault: `relay.yaml:1:18: server.listen: "here" is not an address to listen on; write host:port, such as 127.0.0.1:8750, or unix:///path`},
		"an unset address":     {text: "server: {listen: \"127.0.0.1:${UNSET}\", max_body: x}", fault: "relay.yaml:1:18: server.listen: the environment variable UNSET is not set; set it, or give a default with ${UNSET:-…}"},
		"an empty list":        {text: "server: {listen: []}", fault: "relay.yaml:1:18: server.listen: the list is empty"},
		"no certificate":       {text: "server: {listen: 127.0.0.1:1, tls: {cert: key.pem, key: key.pem}}", fault: `relay.yaml:1:43: server.tls.cert: "key.pem" holds no certificate; it has to be PEM, -----BEGIN CERTIFICATE-----`},
		"a certificate gone":   {text: "server: {listen: 127.0.0.1:1, tls: {cert: gone.pem, key: key.pem}}", fault: `relay.yaml:1:43: server.tls.cert: "gone.pem" cannot be read: there is no such file`},
		"TLS without anything": {text: "server: {listen: 127.0.0.1:1, tls: {}}", fault: "relay.yaml:1:36: server.tls: cert is missing\nrelay.yaml:1:36: server.tls: key is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := reach(t, test.text)
			if test.fault != "" {
				if err == nil || err.Error() != test.fault {
					t.Errorf("got %v\nwant %s", err, test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			token := ""
			for _, one := range s.Tokens {
				if token == "" && one.Scope == "" {
					token = one.Token.Reveal()
				}
			}
			if got := s.Listen[0].String(); got != test.address || token != test.token || (s.TLS != nil) != test.tls {
				t.Errorf("got %s, token %q, TLS %v", got, token, s.TLS != nil)
			}
		})
	}
}

// A file that is not there is said to be that.
func TestReachNoFile(t *testing.T) {
	_, err := config.Reach("testdata/nowhere.yaml", config.Options{})
	if want := "testdata/nowhere.yaml: cannot be read: there is no such file"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
