package custom

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The formats.
const (
	formatBytebase    = "bytebase" // the default
	formatEvent       = "event"
	formatCloudEvents = "cloudevents"
)

// settings are a destination's own keys.
type settings struct {
	URL     string            `json:"url"`
	Secret  string            `json:"secret"`
	Secrets []string          `json:"secrets"`
	Headers map[string]string `json:"headers"`
	Format  string            `json:"format"`
}

// signing are the secrets that every attempt is signed with.
func (s settings) signing() []string {
	if s.Secret != "" {
		return []string{s.Secret}
	}
	return s.Secrets
}

const destinationSchema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["url"],
  "properties": {
    "url": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "where the receiver listens: https, or http with a warning unless it is a loopback address"
    },
    "secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "signs every request as Standard Webhooks say: whsec_ and the base64 of 24 to 64 random bytes"
    },
    "secrets": {
      "type": "array",
      "minItems": 1,
      "items": {"type": "string", "minLength": 1},
      "writeOnly": true,
      "description": "in place of secret while it is changed: every request is signed with each, and the receiver takes either"
    },
    "headers": {
      "type": "object",
      "additionalProperties": {"type": "string"},
      "writeOnly": true,
      "description": "sent with every request, such as Authorization; the values never show"
    },
    "format": {
      "type": "string",
      "enum": ["bytebase", "event", "cloudevents"],
      "default": "bytebase",
      "description": "bytebase: the body of Bytebase's custom webhook; event: the event as it was accepted; cloudevents: that event in a CloudEvent, structured mode"
    }
  }
}`

// ownHeaders are those that the connection itself needs.
func ownHeaders() []string {
	return []string{"Connection", "Content-Length", "Host", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
}

// check says every fault; the URL, the header and the keys are good when there
// is none.
func (s settings) check() (u *url.URL, header http.Header, keys [][]byte, problems []plugin.Problem) {
	fault := func(pointer, format string, args ...any) {
		problems = append(problems, plugin.Problem{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	u, why := post.URL(s.URL)
	switch {
	case why != "":
		fault("/url", "%s; write one such as https://app.example.com/hooks/relay", why)
	case u.Scheme == "http" && !post.Loopback(u.Hostname()):
		problems = append(problems, plugin.Problem{
			Pointer: "/url",
			Message: "http is not encrypted: whoever is on the way can read and change events; use https",
			Warning: true,
		})
	}
	switch s.Format {
	case "", formatBytebase, formatEvent, formatCloudEvents:
	default:
		fault("/format", "%q is not a format; write bytebase, event or cloudevents", s.Format)
	}
	if s.Secret != "" && len(s.Secrets) > 0 {
		fault("/secrets", "secret and secrets stand here together; keep one of them")
	}
	for i, secret := range s.signing() {
		key, err := signingKey(secret)
		if err != nil {
			pointer := "/secret"
			if s.Secret == "" {
				pointer = fmt.Sprintf("/secrets/%d", i)
			}
			fault(pointer, "%v", err)
		}
		keys = append(keys, key)
	}
	header = http.Header{"Content-Type": {"application/json"}}
	if s.Format == formatCloudEvents {
		header["Content-Type"] = []string{contentTypeCloudEvent}
	}
	for name, value := range s.Headers {
		pointer := "/headers/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		key := http.CanonicalHeaderKey(name)
		switch {
		case !headerName(name):
			fault(pointer, "%q is not a header's name; write letters, digits and -", name)
		case slices.Contains(ownHeaders(), key):
			fault(pointer, "%s is set by the connection; leave it out", key)
		case len(keys) > 0 && (key == headerID || key == headerTimestamp || key == headerSignature):
			fault(pointer, "%s is made anew for every request because there is a secret; leave it out", key)
		case s.Format == formatCloudEvents && key == "Content-Type":
			fault(pointer, "Content-Type is %s with format: cloudevents; leave it out", contentTypeCloudEvent)
		case !headerValue(value):
			fault(pointer, "the value holds a line break or another control character; take it out")
		case header[key] != nil && key != "Content-Type":
			fault(pointer, "%s stands here twice in different letter case; keep one", key)
		default:
			header[key] = []string{value}
		}
	}
	slices.SortFunc(problems, func(a, b plugin.Problem) int { return strings.Compare(a.Pointer, b.Pointer) })
	return u, header, keys, problems
}

// headerName reports whether s is a token of RFC 9110.
func headerName(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func headerValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}
