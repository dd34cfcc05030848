package guard

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a signed timestamp may be from now, both ways.
const tolerance = 5 * time.Minute

// Verifier knows one way in which senders sign what they send.
type Verifier interface {
	// Signed reports whether a request claims to be signed in this way.
	Signed(h http.Header) bool
	// Verify says why a request is not what the sender signed; empty: it is.
	// body is what came over the wire.
	Verify(h http.Header, body []byte, now time.Time) string
}

// HMAC is a signature of the body in a header of the sender's choice. It proves
// who sent a body, not when: what keeps a recorded request from doing harm is
// that the same event is accepted once.
type HMAC struct {
	Header    string
	Prefix    string // before the signature, such as sha256=
	Secrets   []string
	Algorithm string // sha1, sha256 or sha512
	Encoding  string // hex or base64
}

var _ Verifier = HMAC{}

// Signed reports whether the header is there.
func (s HMAC) Signed(h http.Header) bool { return h.Get(s.Header) != "" }

// Verify compares the header with what each of the secrets makes of the body.
func (s HMAC) Verify(h http.Header, body []byte, _ time.Time) string {
	text, ok := strings.CutPrefix(strings.TrimSpace(h.Get(s.Header)), s.Prefix)
	if !ok {
		return fmt.Sprintf("the %s header does not begin with %q", s.Header, s.Prefix)
	}
	given, err := base64.StdEncoding.DecodeString(text)
	if s.Encoding != "base64" {
		given, err = hex.DecodeString(text)
	}
	if err != nil {
		return fmt.Sprintf("the signature in the %s header is not %s", s.Header, s.Encoding)
	}
	fits := false
	for _, secret := range s.Secrets {
		fits = hmac.Equal(given, sum(algorithms[s.Algorithm], []byte(secret), body)) || fits
	}
	if !fits {
		return fmt.Sprintf("the signature in the %s header is not that of this body and the source's secret", s.Header)
	}
	return ""
}

var algorithms = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

func sum(algorithm func() hash.Hash, key []byte, parts ...[]byte) []byte {
	mac := hmac.New(algorithm, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// StandardWebhooks is the signature of standardwebhooks.com, also under the
// names that headers had before the standard. Only symmetric keys are known
// here: a v1a signature counts for nothing.
type StandardWebhooks struct{ Keys [][]byte }

var _ Verifier = StandardWebhooks{}

// standardPrefix is what a request's three headers begin with.
func standardPrefix(h http.Header) string {
	if h.Get("Webhook-Signature") == "" && h.Get("Svix-Signature") != "" {
		return "Svix-"
	}
	return "Webhook-"
}

// Signed reports whether the signature header is there.
func (s StandardWebhooks) Signed(h http.Header) bool {
	return h.Get(standardPrefix(h)+"Signature") != ""
}

// Verify takes a request that one of its signatures fits, made with one of the
// keys, at about this time.
func (s StandardWebhooks) Verify(h http.Header, body []byte, now time.Time) string {
	prefix := standardPrefix(h)
	id, at := h.Get(prefix+"Id"), h.Get(prefix+"Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	switch {
	case id == "" || err != nil:
		return "a signed request has the headers webhook-id, webhook-timestamp (Unix seconds) and webhook-signature"
	case now.Sub(time.Unix(seconds, 0)).Abs() > tolerance:
		return "the webhook-timestamp is more than 5 minutes from relay's clock"
	}
	fits := false
	for entry := range strings.FieldsSeq(h.Get(prefix + "Signature")) {
		version, text, _ := strings.Cut(entry, ",")
		given, err := base64.StdEncoding.DecodeString(text)
		if version != "v1" || err != nil {
			continue
		}
		for _, key := range s.Keys {
			fits = hmac.Equal(given, sum(sha256.New, key, []byte(id+"."+at+"."), body)) || fits
		}
	}
	if !fits {
		return "no signature in the webhook-signature header is that of this body and the source's secret"
	}
	return ""
}
