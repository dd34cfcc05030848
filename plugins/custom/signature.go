package custom

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay/plugin"
)

// The headers of Standard Webhooks 1.0.0.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"

	secretPrefix = "whsec_" // before the base64 of the key
	leastKey     = 24       // bytes
	longestKey   = 64
)

// signingKey reads a secret. The error says what is wrong without showing it.
func signingKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	switch {
	case strings.HasPrefix(secret, "whsk_"), strings.HasPrefix(secret, "whpk_"):
		return nil, errors.New("a key pair (whsk_, whpk_) is not supported; write a secret that begins with " + secretPrefix)
	case !ok:
		return nil, fmt.Errorf("a secret is %s and the base64 of %d to %d bytes; this one does not begin so", secretPrefix, leastKey, longestKey)
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	switch {
	case err != nil:
		return nil, errors.New("what follows " + secretPrefix + " is not base64; copy the whole secret")
	case len(key) < leastKey || len(key) > longestKey:
		return nil, fmt.Errorf("the secret has %d bytes; Standard Webhooks wants %d to %d", len(key), leastKey, longestKey)
	}
	return key, nil
}

// signed is a request with the headers of one attempt, and its signatures, one
// for each key: while a secret is changed, a receiver may know either.
func signed(r *plugin.Request, keys [][]byte, id string, now time.Time) (*plugin.Request, []string) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(keys))
	versioned := make([]string, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(id + "." + timestamp + ".")) // a hash takes everything
		_, _ = mac.Write(r.Body)
		signatures[i] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
		versioned[i] = "v1," + signatures[i]
	}
	with := *r
	with.Header = r.Header.Clone()
	if with.Header == nil {
		with.Header = http.Header{}
	}
	with.Header[headerID] = []string{id}
	with.Header[headerTimestamp] = []string{timestamp}
	with.Header[headerSignature] = []string{strings.Join(versioned, " ")}
	return &with, signatures
}
