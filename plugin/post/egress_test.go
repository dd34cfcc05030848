package post_test

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

func TestEgressRefusesWhereCredentialsAre(t *testing.T) {
	for url, refused := range map[string]string{
		"http://169.254.169.254/latest/meta-data": "169.254.169.254 is a link-local address; list it in egress.allow",
		"http://169.254.170.2/":                   "link-local",
		"http://[::ffff:169.254.169.254]/":        "169.254.169.254 is a link-local address",
		"http://[64:ff9b::a9fe:a9fe]/":            "169.254.169.254 is a link-local address",
		"http://[fe80::1]/":                       "fe80::1 is a link-local address",
		"http://100.100.100.200/":                 "100.100.100.200 serves a cloud's metadata",
		"http://[fd00:ec2::254]/":                 "fd00:ec2::254 serves a cloud's metadata",
		"http://192.0.0.192/":                     "192.0.0.192 serves a cloud's metadata",
		"http://127.0.0.1:1/":                     "",
	} {
		client := post.New(post.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := client.Do(ctx, post.JSON(url, []byte("{}")))
		cancel()
		if err == nil || refused != "" && !strings.Contains(err.Error(), refused) || refused == "" && strings.Contains(err.Error(), "egress") {
			t.Errorf("%s: %v, want %q", url, err, refused)
		}
	}
}

func TestEgressAllows(t *testing.T) {
	client := post.New(post.Options{})
	client.SetEgress(plugin.Egress{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Do(ctx, post.JSON("http://169.254.1.2:9/", nil)); err != nil && strings.Contains(err.Error(), "egress") {
		t.Errorf("got %v: the network is listed", err)
	}
}

// An authority is trusted from the moment on when it is named, and no longer
// than it is.
func TestEgressAuthorities(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail here on purpose
	server.StartTLS()
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	client := post.New(post.Options{})
	try := func() error {
		_, err := client.Do(t.Context(), post.JSON(server.URL, []byte("{}")))
		return err
	}
	if err := try(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
	client.SetEgress(plugin.Egress{Authorities: authority})
	for range 3 {
		client.SetEgress(plugin.Egress{Authorities: authority}) // no change
		if err := try(); err != nil {
			t.Errorf("with it: %v", err)
		}
	}
	client.SetEgress(plugin.Egress{})
	if err := try(); err == nil {
		t.Error("an authority that is named no more is still trusted")
	}
}
