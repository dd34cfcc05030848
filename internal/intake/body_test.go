package intake_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/store"
)

func packed(t testing.TB, body string, open func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	io.WriteString(w, body)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t testing.TB, body string) string {
	return packed(t, body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func TestContentEncoding(t *testing.T) {
	good := event("")
	whole := gzipped(t, good)
	tests := []struct {
		name, encoding, body string
		status               int
		detail               string
	}{
		{"Gzip", "gzip", whole, 202, ""},
		{"XGzip", "X-GZIP", whole, 202, ""},
		{"Deflate", "deflate", packed(t, good, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }), 202, ""},
		{"IdentityBeside", "identity, gzip", whole, 202, ""},
		{"TwoMembers", "gzip", gzipped(t, good[:10]) + gzipped(t, good[10:]), 202, ""},
		{"NotGzip", "gzip", good, 400, "the body is not what its Content-Encoding says: gzip: invalid header"},
		{"Truncated", "gzip", whole[:len(whole)-9], 400, "the body is not what its Content-Encoding says: unexpected EOF"},
		{"WrongSum", "gzip", whole[:len(whole)-8] + "12345678", 400, "the body is not what its Content-Encoding says: gzip: invalid checksum"},
		{"Bomb", "gzip", gzipped(t, event(`,"data":{"x":"`+strings.Repeat("a", maxBody)+`"}`)), 413, "the body is larger than 1048576 bytes (server.max_body); send fewer events at once, or less data"},
		{"Empty", "gzip", gzipped(t, ""), 400, "malformed JSON at byte 0: unexpected end of JSON input"},
	}
	d, rows := newDoor(t, store.Options{}), 0
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			got := d.post(test.body, "Content-Encoding: "+test.encoding)
			if test.status == 202 {
				got.one()
				rows++
				return
			}
			if p := got.refused(test.status); p.Detail != test.detail || d.rows() != rows {
				t.Errorf("got %q and %d deliveries, want %q", p.Detail, d.rows(), test.detail)
			}
		})
	}
}

// TestExpectContinue: who asks first is told before the body is sent, also that
// it is not wanted.
func TestExpectContinue(t *testing.T) {
	d := newDoor(t, store.Options{})
	server := httptest.NewServer(d.events)
	defer server.Close()
	for kind, want := range map[string]struct{ status, read int }{
		"application/json": {202, len(event(""))}, "text/plain": {415, 0},
	} {
		body := &counter{Reader: strings.NewReader(event(""))}
		req, err := http.NewRequest("POST", server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = int64(len(event("")))
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Expect", "100-continue")
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 1 << 40}} // for ever: it has to be told
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != want.status || body.n != want.read {
			t.Errorf("%s: answered %d after %d bytes, want %d after %d", kind, resp.StatusCode, body.n, want.status, want.read)
		}
	}
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}
