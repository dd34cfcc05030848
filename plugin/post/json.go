package post

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/relay-sidecar/relay/plugin"
)

// JSON is a POST of a JSON body.
func JSON(url string, body []byte) *plugin.Request {
	return &plugin.Request{
		Method: http.MethodPost,
		URL:    url,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:   body,
	}
}

// Encode is v as JSON as vendors count it: without HTML escapes, which would
// make "<" six bytes long.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
