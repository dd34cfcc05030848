package problem_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/problem"
)

func TestWrite(t *testing.T) {
	later := problem.New(429, "later")
	later.RetryAfter = 1500 * time.Millisecond
	tests := []struct {
		name                   string
		p                      *problem.Problem
		status                 int
		body, retry, challenge string
	}{
		{"Plain", problem.New(404, "there is no <such> thing"), 404,
			`{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no <such> thing"}`, "", ""},
		{"Faults", problem.New(400, "two", problem.Fault{Path: "$.a", Message: "is b & c"}, problem.Fault{Path: "$[1]", Message: "is d"}), 400,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"two","errors":[{"path":"$.a","message":"is b & c"},{"path":"$[1]","message":"is d"}]}`, "", ""},
		{"Later", later, 429, `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"later"}`, "2", ""},
		{"Token", problem.New(401, "token"), 401, `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"token"}`, "", "Bearer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			test.p.Write(w)
			h := w.Header()
			if w.Code != test.status || w.Body.String() != test.body+"\n" || h.Get("Content-Type") != "application/problem+json" ||
				h.Get("Retry-After") != test.retry || h.Get("WWW-Authenticate") != test.challenge {
				t.Errorf("answered %d %v %s, want %d %s", w.Code, h, w.Body, test.status, test.body)
			}
		})
	}
}
