package intake

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/relay-sidecar/relay/internal/problem"
)

// fromHeaders makes the JSON form of a CloudEvent in binary mode, without the
// headers that have faults.
func fromHeaders(h http.Header, body []byte) (event []byte, faults []problem.Fault, p *problem.Problem) {
	var o object
	var names []string
	for name := range h {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok && rest != "datacontenttype" && rest != "data" && rest != "data_base64" {
			names = append(names, rest)
		}
	}
	slices.Sort(names) // equal requests make equal events
	for _, name := range names {
		values := h.Values("Ce-" + name)
		text, ok := decodeHeader(values[0])
		path := "$" + child([]byte(name))
		switch {
		case len(values) > 1:
			faults = append(faults, problem.Fault{Path: path, Message: fmt.Sprintf("stands in %d ce-%s headers", len(values), name)})
		case !ok:
			faults = append(faults, problem.Fault{Path: path, Message: fmt.Sprintf("the ce-%s header is not UTF-8", name)})
		case text != "":
			o.put(name, quote(text))
		}
	}
	kind := h.Get("Content-Type")
	if kind != "" {
		o.put("datacontenttype", quote(kind))
	}
	malformed := problem.CheckJSON(body)
	switch {
	case len(body) == 0:
	case malformed == nil && isJSON(kind):
		o.put("data", bytes.TrimSpace(body))
	case kind != "" && isJSON(kind):
		return nil, nil, problem.New(http.StatusBadRequest, malformed.Error())
	case utf8.Valid(body):
		o.put("data", quote(string(body)))
	default:
		o.put("data_base64", quote(base64.StdEncoding.EncodeToString(body)))
	}
	return o.json(), faults, nil
}

// decodeHeader undoes the quoting and the one round of percent-encoding that
// attribute values in headers may have. SDKs that send UTF-8 as it is, or a
// lone %, are understood as well.
func decodeHeader(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		inner := s[1 : len(s)-1]
		var b strings.Builder
		for i := 0; i < len(inner); i++ {
			if inner[i] == '\\' && i+1 < len(inner) {
				i++
			}
			b.WriteByte(inner[i])
		}
		s = b.String()
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b), utf8.Valid(b)
}

func unhex(c byte) int {
	if c >= 'A' && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}
