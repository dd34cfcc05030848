package guard_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/guard"
	"github.com/relay-sidecar/relay/internal/problem"
)

// The example that GitHub's documents give for trying an implementation.
const (
	githubSecret = "It's a Secret to Everybody"
	githubBody   = "Hello, World!"
	githubHex    = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
)

func TestHMAC(t *testing.T) {
	github := guard.HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256=", Secrets: []string{"old", githubSecret}, Algorithm: "sha256", Encoding: "hex"}
	mac := hmac.New(sha256.New, []byte("s"))
	mac.Write([]byte("b"))
	const differs = "the signature in the X-Hub-Signature-256 header is not that of this body and the source's secret"
	tests := []struct {
		name        string
		v           guard.HMAC
		given, body string
		want        string
	}{
		{"Vector", github, "sha256=" + githubHex, githubBody, ""},
		{"UpperCase", github, "sha256=" + strings.ToUpper(githubHex), githubBody, ""},
		{"OtherBody", github, "sha256=" + githubHex, githubBody + " ", differs},
		{"NoPrefix", github, githubHex, githubBody, `the X-Hub-Signature-256 header does not begin with "sha256="`},
		{"NoHex", github, "sha256=xyz", githubBody, "the signature in the X-Hub-Signature-256 header is not hex"},
		{"Short", github, "sha256=7571", githubBody, differs},
		{"Nothing", github, "sha256=", githubBody, differs},
		{"Base64", guard.HMAC{Header: "X-Hub-Signature-256", Secrets: []string{"s"}, Algorithm: "sha256", Encoding: "base64"}, base64.StdEncoding.EncodeToString(mac.Sum(nil)), "b", ""},
		{"SHA1", guard.HMAC{Header: "X-Hub-Signature-256", Secrets: []string{"key"}, Algorithm: "sha1", Encoding: "hex"}, "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9", "The quick brown fox jumps over the lazy dog", ""},
		{"SHA512", guard.HMAC{Header: "X-Hub-Signature-256", Secrets: []string{"key"}, Algorithm: "sha512", Encoding: "hex"},
			"b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a", "The quick brown fox jumps over the lazy dog", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{"X-Hub-Signature-256": {test.given}}
			if got := test.v.Verify(h, []byte(test.body), time.Now()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStandardWebhooks(t *testing.T) {
	// The example of the specification's libraries.
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const (
		id   = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		at   = 1614265330
		body = `{"test": 2432232314}`
		good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	const differs = "no signature in the webhook-signature header is that of this body and the source's secret"
	const incomplete = "a signed request has the headers webhook-id, webhook-timestamp (Unix seconds) and webhook-signature"
	const late = "the webhook-timestamp is more than 5 minutes from relay's clock"
	v := guard.StandardWebhooks{Keys: [][]byte{[]byte("another key of at least 24 bytes"), key}}
	tests := []struct {
		name, signature, body string
		change                map[string]string
		now                   time.Duration
		want                  string
	}{
		{name: "Vector", signature: good},
		{name: "SecondOfSeveral", signature: "v1,AAAA v1a,g0hM9SsE " + good + " v2,x"},
		{name: "OtherBody", signature: good, body: body + " ", want: differs},
		{name: "OtherID", signature: good, change: map[string]string{"Webhook-Id": "msg_2"}, want: differs},
		{name: "OtherTime", signature: good, change: map[string]string{"Webhook-Timestamp": strconv.Itoa(at + 1)}, want: differs},
		{name: "CommaJoined", signature: "v1,AAAA," + strings.TrimPrefix(good, "v1,"), want: differs},
		{name: "OtherVersion", signature: strings.Replace(good, "v1", "v1a", 1), want: differs},
		{name: "NoBase64", signature: "v1,!", want: differs},
		{name: "NoTime", signature: good, change: map[string]string{"Webhook-Timestamp": "now"}, want: incomplete},
		{name: "NoID", signature: good, change: map[string]string{"Webhook-Id": ""}, want: incomplete},
		{name: "JustInTime", signature: good, now: 5 * time.Minute},
		{name: "TooLate", signature: good, now: 5*time.Minute + time.Second, want: late},
		{name: "TooEarly", signature: good, now: -5*time.Minute - time.Second, want: late},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {strconv.Itoa(at)}, "Webhook-Signature": {test.signature}}
			for key, value := range test.change {
				h.Set(key, value)
			}
			text := body
			if test.body != "" {
				text = test.body
			}
			if got := v.Verify(h, []byte(text), time.Unix(at, 0).Add(test.now)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	svix := http.Header{"Svix-Id": {id}, "Svix-Timestamp": {strconv.Itoa(at)}, "Svix-Signature": {good}}
	if !v.Signed(svix) || v.Verify(svix, []byte(body), time.Unix(at, 0)) != "" {
		t.Error("the older names of the headers are not taken")
	}
}

// TestSignedSources: a signature opens a door by itself, also where no token is
// configured anywhere, and one that is wrong closes it whatever else is given.
func TestSignedSources(t *testing.T) {
	signed := guard.Source{Verifiers: []guard.Verifier{guard.HMAC{Header: "X-Sig", Secrets: []string{githubSecret}, Algorithm: "sha256", Encoding: "hex"}}}
	both := signed
	both.Token = "own-token"
	const missing = "this source takes signed requests only, or a valid token: the signature header is missing"
	const differs = "the signature in the X-Sig header is not that of this body and the source's secret"
	tests := []struct {
		name, path, signature, token string
		tokens                       []guard.Token
		status                       int
		want                         string
	}{
		{"Good", "/sources/signed", githubHex, "", nil, 204, ""},
		{"GoodWithTokens", "/sources/signed", githubHex, "", []guard.Token{{Value: "server-token"}}, 204, ""},
		{"NoTokensAnywhere", "/sources/signed", "", "", nil, 401, missing},
		{"Bad", "/sources/signed", githubHex[2:] + "00", "", nil, 401, differs},
		{"BadBesideAToken", "/sources/both?token=own-token", githubHex[2:] + "00", "", nil, 401, differs},
		{"TokenAlone", "/sources/both?token=own-token", "", "", nil, 204, ""},
		{"ServerTokenAlone", "/sources/signed", "", "server-token", []guard.Token{{Value: "server-token"}}, 204, ""},
		{"ReadToken", "/sources/signed", "", "read-token", []guard.Token{{Value: "read-token", Scope: guard.ScopeRead}}, 403, tooNarrow(guard.ScopeEvents)},
		{"AnotherSource", "/sources/plain", githubHex, "", []guard.Token{{Value: "server-token"}}, 401, unauthorized},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := doors(guard.New(guard.Rules{Tokens: test.tokens, Sources: map[string]guard.Source{"signed": signed, "both": both}}))
			r := httptest.NewRequest("POST", test.path, strings.NewReader(githubBody))
			r.Host = "127.0.0.1:8750"
			if test.signature != "" {
				r.Header.Set("X-Sig", test.signature)
			}
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var p problem.Problem
			if test.want != "" && json.Unmarshal(w.Body.Bytes(), &p) != nil || w.Code != test.status || p.Detail != test.want {
				t.Errorf("answered %d %s, want %d %q", w.Code, w.Body, test.status, test.want)
			}
		})
	}
}

// FuzzSignature: what somebody without the secret sends is refused with words.
func FuzzSignature(f *testing.F) {
	f.Add("sha256="+githubHex, "v1,AAAA v1,", "id", "1614265330", []byte("{}"))
	f.Add("", " ", "", "-9223372036854775808", []byte(nil))
	verifiers := []guard.Verifier{
		guard.HMAC{Header: "Webhook-Hmac", Prefix: "sha256=", Secrets: []string{"a secret that nobody guesses"}, Algorithm: "sha256", Encoding: "base64"},
		guard.StandardWebhooks{Keys: [][]byte{[]byte("a key that nobody guesses at all")}},
	}
	f.Fuzz(func(t *testing.T, sig, signature, id, at string, body []byte) {
		h := http.Header{"Webhook-Hmac": {sig}, "Webhook-Signature": {signature}, "Webhook-Id": {id}, "Webhook-Timestamp": {at}}
		for _, v := range verifiers {
			if v.Verify(h, body, time.Unix(1614265330, 0)) == "" {
				t.Fatalf("%T takes %v", v, h)
			}
		}
	})
}
