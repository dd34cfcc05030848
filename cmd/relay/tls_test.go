package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// certificate makes one for this machine, with its key.
func certificate(t *testing.T, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// TestCertificateIsRotated serves HTTPS and replaces the certificate.
func TestCertificateIsRotated(t *testing.T) {
	cert, key := certificate(t, 1)
	dir := workDir(t, map[string]string{
		"cert.pem": cert, "key.pem": key,
	})
	writeFile(t, filepath.Join(dir, "relay.yaml"), fmt.Sprintf(
		"server: {listen: [127.0.0.1:0, 'unix://%s/relay.sock'], tls: {cert: cert.pem, key: key.pem}}\nstore: {path: ./store}\n", dir))
	p := startRelay(t, dir)
	address := strings.TrimPrefix(p.base, "http://")
	shown := func() int64 {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := shown(); got != 1 {
		t.Fatalf("certificate %d is shown", got)
	}
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	answer, err := insecure.Get("https://" + address + "/healthz")
	must(t, err)
	answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.StatusCode != http.StatusOK {
		t.Errorf("over HTTP/2: %s %s", answer.Proto, answer.Status)
	}
	// relay's own commands trust the certificate that the file names.
	writeFile(t, filepath.Join(dir, "client.yaml"), strings.Replace("server: {listen: ADDRESS, tls: {cert: cert.pem, key: key.pem}}\n", "ADDRESS", address, 1))
	status := func() (string, error) {
		cmd := exec.Command("relay", "destinations", "list", "-c", "client.yaml")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := status(); err != nil {
		t.Errorf("%v: %s", err, out)
	}

	plain := exec.Command("relay", "destinations", "list", "--server", "http://"+address)
	if out, err := plain.CombinedOutput(); err == nil || !strings.Contains(string(out), "relay: hint: if relay uses TLS there, write https://") {
		t.Errorf("asked without TLS: %v: %s", err, out)
	}

	next, nextKey := certificate(t, 2)
	replace(t, filepath.Join(dir, "cert.pem"), next)
	poll(t, "a certificate without its key is refused", func() bool { return strings.Contains(p.log.String(), "private key does not match public key") }, p.log)
	if got := shown(); got != 1 {
		t.Errorf("certificate %d is shown although its key is not there", got)
	}
	if out, err := status(); err == nil || !strings.Contains(out, "it shows another certificate than server.tls names") {
		t.Errorf("%v: %s", err, out)
	}
	replace(t, filepath.Join(dir, "key.pem"), nextKey)
	poll(t, "the new certificate is shown", func() bool { return shown() == 2 }, p.log)
	if out, err := status(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	p.stop()
}

// TestEgressIsLive adds the authority of a receiver while a delivery waits for it.
func TestEgressIsLive(t *testing.T) {
	var got atomic.Int32
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		got.Add(1)
		io.WriteString(w, `{"code":0}`)
	}))
	receiver.Config.ErrorLog = log.New(io.Discard, "", 0) // it is not trusted at first
	receiver.StartTLS()
	defer receiver.Close()
	content := fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
destinations:
  private: {provider: custom, url: %q}
  metadata: {provider: custom, url: "https://169.254.169.254/latest"}
`, receiver.URL)
	dir := workDir(t, map[string]string{
		"relay.yaml": content,
		"ca.pem":     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})),
	})
	p := startRelay(t, dir)
	p.accept(`{"type":"issue.created","title":"t"}`)
	reason := func(destination, words string) func() bool {
		return func() bool {
			all := p.deliveries("destination=" + destination)
			return len(all) == 1 && strings.Contains(all[0].Reason, words)
		}
	}
	p.until("the receiver is not trusted", reason("private", "certificate"))
	p.until("the metadata service is refused", reason("metadata", "169.254.169.254 is a link-local address; list it in egress.allow"))
	replace(t, filepath.Join(dir, "relay.yaml"), content+"egress: {ca_file: ca.pem}\n")
	p.until("the waiting delivery arrives", func() bool { return p.deliveries("destination=private")[0].State == "delivered" })
	if n := got.Load(); n != 1 {
		t.Errorf("it arrived %d times", n)
	}
	p.stop()
}
