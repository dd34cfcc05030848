//go:build !windows

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/plugins"
)

// client talks to a running relay.
type client struct {
	name  string // as an operator writes it
	base  string
	token string
	http  *http.Client
}

// clientTimeout bounds one question to a relay on the same machine.
const clientTimeout = 30 * time.Second

// client finds the running relay: by flag, by environment, or by what the
// configuration file says, whatever else is wrong with the file.
func (c *cli) client() (*client, error) {
	server, token := c.server, c.token
	if server == "" {
		server = os.Getenv("RELAY_SERVER")
	}
	if token == "" {
		token = os.Getenv("RELAY_TOKEN")
	}
	var trust *tls.Config
	if server == "" {
		said, err := config.Reach(c.config, config.Options{})
		if err != nil {
			return nil, hint(err, "name the running relay with --server or RELAY_SERVER")
		}
		listen := said.Listen[0]
		server = "http://" + listen.Address
		if listen.Network == "unix" {
			server = "unix://" + listen.Address
		} else if said.TLS != nil {
			server, trust = "https://"+listen.Address, onlyThis(said.TLS.Certificate)
		}
		for _, t := range said.Tokens {
			if token == "" && t.Scope == "" {
				token = t.Token.Reveal()
			}
		}
	}
	server = strings.TrimSuffix(server, "/")
	out := &client{name: server, base: server, token: token, http: &http.Client{Timeout: clientTimeout}}
	if path, ok := strings.CutPrefix(server, "unix://"); ok {
		out.base = "http://localhost"
		out.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}
	} else if trust != nil {
		out.http.Transport = &http.Transport{TLSClientConfig: trust}
	} else if u, err := url.Parse(server); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &usageError{fmt.Errorf("%q is no address of a relay; write http://host:port or unix:///path", server)}
	}
	return out, nil
}

// onlyThis trusts a server that shows the certificate which its configuration
// names, whatever names stand in it and whoever signed it.
func onlyThis(c tls.Certificate) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, // in favour of the comparison
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, c.Certificate[0]) {
				return errors.New("it shows another certificate than server.tls names")
			}
			return nil
		},
	}
}

// loadConfig reads the configuration for what a command needs of it.
func (c *cli) loadConfig() (*config.Config, error) {
	cfg, _, err := config.Load(c.config, app.ConfigOptions(plugins.All()))
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// do asks and decodes a 2xx answer into out, which may be nil.
func (c *client) do(ctx context.Context, method, path string, body []byte, out any) error {
	resp, err := c.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read relay's answer: %w", err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("relay at %s answered what is no JSON of relay's: %w", c.name, err)
	}
	return nil
}

// unreachable means that no relay answered at all.
type unreachable struct{ error }

func (e *unreachable) Unwrap() error { return e.error }

// open asks, and leaves it to the caller to read and close a 2xx answer.
func (c *client) open(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *url.Error
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, hint(&unreachable{fmt.Errorf("ask relay at %s: %w", c.name, err)}, "is relay running there? name another with --server")
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read relay's answer: %w", err)
	}
	return nil, refusal(resp, answer)
}

// refusedAnswer is an answer that is an error.
type refusedAnswer struct {
	words  string
	status int
}

func (e *refusedAnswer) Error() string { return e.words }

// refusal is a problem answer in words, a line for each fault.
func refusal(resp *http.Response, answer []byte) error {
	var p problem.Problem
	if json.Unmarshal(answer, &p) != nil || p.Detail == "" {
		err := fmt.Errorf("what listens at %s does not answer as relay does: %s", resp.Request.URL.Host, resp.Status)
		if resp.StatusCode == http.StatusBadRequest && resp.Request.URL.Scheme == "http" {
			return hint(err, "if relay uses TLS there, write https://")
		}
		return err
	}
	err := error(&refusedAnswer{problemWords(&p).Error(), resp.StatusCode})
	if resp.StatusCode == http.StatusUnauthorized {
		return hint(err, "pass --token or set RELAY_TOKEN")
	}
	return err
}

// problemWords are a problem in words, a line for each fault.
func problemWords(p *problem.Problem) error {
	lines := []string{p.Detail}
	if len(p.Errors) > 1 || len(p.Errors) == 1 && !strings.Contains(p.Detail, p.Errors[0].Message) {
		for _, f := range p.Errors {
			lines = append(lines, strings.TrimSpace(f.Path+" "+f.Message))
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}
