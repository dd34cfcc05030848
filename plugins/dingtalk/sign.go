package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"
)

// sign is a robot's URL with a timestamp and its signature in the query, and
// the signature ("Customize robot security settings"). DingTalk takes a
// timestamp for an hour, so every attempt is signed anew.
func sign(target, secret string, now time.Time) (signed, signature string) {
	u, err := url.Parse(target)
	if err != nil { // Open parsed it
		return target, ""
	}
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n" + secret))
	signature = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	query := u.Query()
	query.Set("timestamp", timestamp)
	query.Set("sign", signature)
	u.RawQuery = query.Encode() // the one encoding: a second one would turn %2B into %252B
	return u.String(), signature
}
