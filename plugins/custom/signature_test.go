package custom

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	otherOne  = "whsec_//////////////////////////////////////////8="
)

// TestSignature holds the signature against the published example.
func TestSignature(t *testing.T) {
	key, err := signingKey(oldSecret)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := signed(&plugin.Request{Body: []byte(`{"test": 2432232314}`)}, [][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0))
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// verify is a receiver's half of Standard Webhooks, written from the
// specification: any known signature that matches will do.
func verify(secret string, h http.Header, body []byte, now time.Time) error {
	var stamp int64
	if _, err := fmt.Sscan(h.Get("webhook-timestamp"), &stamp); err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("timestamp %q", h.Get("webhook-timestamp"))
	}
	if id := h.Get("webhook-id"); id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("id %q", id)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	for entry := range strings.SplitSeq(h.Get("webhook-signature"), " ") {
		version, signature, _ := strings.Cut(entry, ",")
		raw, err := base64.StdEncoding.DecodeString(signature)
		if version == "v1" && err == nil && hmac.Equal(raw, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature matches: %q", h.Get("webhook-signature"))
}

func TestReceiversVerify(t *testing.T) {
	type request struct {
		header http.Header
		body   []byte
	}
	var got []request
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, request{r.Header, body})
		fmt.Fprint(w, `{"code":1,"message":"not yet: `, r.Header.Get("webhook-signature"), `"}`)
	}))
	defer receiver.Close()
	for name, c := range map[string]struct {
		s       settings
		good    []string // secrets with which a receiver verifies it
		entries int
	}{
		"none":     {settings{}, nil, 0},
		"one":      {settings{Secret: oldSecret}, []string{oldSecret}, 1},
		"rotation": {settings{Secrets: []string{newSecret, oldSecret}, Format: formatCloudEvents}, []string{oldSecret, newSecret}, 2},
	} {
		got = nil
		c.s.URL = receiver.URL
		c.s.Headers = map[string]string{"X-Team": "dba"}
		d := open(t, c.s)
		delivery := &plugin.Delivery{ID: "0199a5b0-7c4e-7000-8000-000000000001", Event: json.RawMessage(event)}
		req, err := d.Compose(delivery, relay.Rendered{Text: "数据库 <变更> & more"})
		if err != nil {
			t.Fatal(err)
		}
		composed := req.Header.Clone()
		for delivery.Attempt = 1; delivery.Attempt <= 2; delivery.Attempt++ {
			report := d.Send(t.Context(), delivery, req)
			logged, _ := json.Marshal(report)
			for _, entry := range strings.Fields(got[len(got)-1].header.Get("webhook-signature")) {
				if bytes.Contains(logged, []byte(strings.TrimPrefix(entry, "v1,"))) {
					t.Errorf("%s: the report shows a signature: %s", name, logged)
				}
			}
			if c.entries > 0 && report.Request.Headers[headerID] != delivery.ID {
				t.Errorf("%s: the log has the headers %v", name, report.Request.Headers)
			}
		}
		if len(req.Header) != len(composed) {
			t.Errorf("%s: the composed request was changed: %v", name, req.Header)
		}
		for _, r := range got {
			for _, secret := range []string{oldSecret, newSecret, otherOne} {
				err := verify(secret, r.header, r.body, time.Now())
				if (err == nil) != slices.Contains(c.good, secret) {
					t.Errorf("%s: with %s: %v", name, secret, err)
				}
			}
			if n := len(strings.Fields(r.header.Get("webhook-signature"))); n != c.entries {
				t.Errorf("%s: %d signatures", name, n)
			}
			if c.entries > 0 && r.header.Get("webhook-id") != delivery.ID {
				t.Errorf("%s: the id is %q", name, r.header.Get("webhook-id"))
			}
			if _, set := r.header["Idempotency-Key"]; set {
				t.Errorf("%s: there is an Idempotency-Key", name)
			}
			if r.header.Get("X-Team") != "dba" {
				t.Errorf("%s: the headers are %v", name, r.header)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	const url = "https://app.example.com/"
	key := func(n int) string {
		return secretPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n))
	}
	for name, c := range map[string]struct {
		s    settings
		want []string // as plugintest.CheckProblems takes them
	}{
		"one":               {settings{URL: url, Secret: oldSecret}, nil},
		"several":           {settings{URL: url, Secrets: []string{oldSecret, newSecret}}, nil},
		"without padding":   {settings{URL: url, Secret: strings.TrimRight(newSecret, "=")}, nil},
		"shortest":          {settings{URL: url, Secret: key(24)}, nil},
		"longest":           {settings{URL: url, Secret: key(64)}, nil},
		"too short":         {settings{URL: url, Secret: key(23)}, []string{"/secret has 23 bytes"}},
		"too long":          {settings{URL: url, Secrets: []string{oldSecret, key(65)}}, []string{"/secrets/1 has 65 bytes"}},
		"no prefix":         {settings{URL: url, Secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, []string{"/secret a secret is whsec_"}},
		"key pair":          {settings{URL: url, Secret: "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, []string{"/secret not supported"}},
		"no base64":         {settings{URL: url, Secrets: []string{"whsec_MfKQ9r8G-YqrTwjUPD8ILPZIo2LaLaSw", ""}}, []string{"/secrets/0 not base64", "/secrets/1 a secret is whsec_"}},
		"both":              {settings{URL: url, Secret: oldSecret, Secrets: []string{newSecret}}, []string{"/secrets keep one"}},
		"own signature":     {settings{URL: url, Secret: oldSecret, Headers: map[string]string{"webhook-signature": "x"}}, []string{"/headers/webhook-signature made anew"}},
		"own, not signed":   {settings{URL: url, Headers: map[string]string{"webhook-id": "x"}}, nil},
		"own type":          {settings{URL: url, Format: formatCloudEvents, Headers: map[string]string{"Content-Type": "x"}}, []string{"/headers/Content-Type leave it out"}},
		"format":            {settings{URL: url, Format: "cloudevent"}, []string{"/format write bytebase, event or cloudevents"}},
		"format is allowed": {settings{URL: url, Format: formatCloudEvents, Secret: oldSecret}, nil},
	} {
		d, problems := plugintest.TryOpen(New(), c.s)
		if (d != nil) != (c.want == nil) {
			t.Errorf("%s: destination %v", name, d != nil)
		}
		plugintest.CheckProblems(t, name, problems, c.want...)
		plugintest.NoSecrets(t, problems, "YqrTwjUPD8")
	}
	hidden := relay.SecretsIn(json.RawMessage(destinationSchema), json.RawMessage(`{"secret":"a","secrets":["b","c"],"format":"d"}`))
	if slices.Sort(hidden); !slices.Equal(hidden, []string{"a", "b", "c"}) {
		t.Errorf("the schema hides %v", hidden)
	}
}

// TestSecretsNeverShow: the receiver says back what it should not know.
func TestSecretsNeverShow(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"message":"bad %s or %s"}`, oldSecret, strings.TrimPrefix(oldSecret, secretPrefix))
	}))
	defer receiver.Close()
	d := open(t, settings{URL: receiver.URL, Secret: oldSecret})
	req, err := d.Compose(&plugin.Delivery{Event: json.RawMessage(bare)}, relay.Rendered{Text: oldSecret})
	if err != nil {
		t.Fatal(err)
	}
	report, _ := json.Marshal(d.Send(t.Context(), &plugin.Delivery{ID: "d"}, req))
	if bytes.Contains(report, []byte("MfKQ9r8G")) {
		t.Errorf("the report shows the secret: %s", report)
	}
}
