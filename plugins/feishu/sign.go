package feishu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
)

// signatureLen is how much longer a signed body is: as much as for every
// timestamp of ten digits, which last until the year 2286.
const signatureLen = len(`"timestamp":"1599360473","sign":"l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=",`)

// signature is what a bot with a secret asks for (add-custom-bot, signature
// verification): the timestamp and the secret are the key, and the message is
// empty. It is good for an hour.
func signature(secret string, now time.Time) (timestamp, sign string) {
	timestamp = strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(timestamp+"\n"+secret))
	return timestamp, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signedBody is a JSON object with the signature in front of its other keys.
func signedBody(body []byte, secret string, now time.Time) (signed []byte, sign string) {
	timestamp, sign := signature(secret, now)
	signed = fmt.Appendf(make([]byte, 0, len(body)+signatureLen), `{"timestamp":"%s","sign":"%s",`, timestamp, sign)
	return append(signed, body[1:]...), sign
}
