// Package problem writes error answers as RFC 9457 problem JSON, and words the
// faults of JSON bodies. It is the one leaf that both HTTP doors share, so that
// an error reads the same at each.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Fault is one thing that is wrong with a request.
type Fault struct {
	Path    string `json:"path"` // JSON path into the body, such as $.title or $[3].type
	Message string `json:"message"`
}

// Problem is an error answer.
type Problem struct {
	Type       string        `json:"type"`
	Title      string        `json:"title"`
	Status     int           `json:"status"`
	Detail     string        `json:"detail"`
	Errors     []Fault       `json:"errors,omitempty"`
	RetryAfter time.Duration `json:"-"` // sent as a Retry-After header when it is not zero
}

// New makes a problem with the title that HTTP gives its status.
func New(status int, detail string, faults ...Fault) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: faults}
}

func (p *Problem) Error() string { return p.Detail }

// SetHeader sets what belongs to the problem whatever the body's form.
func (p *Problem) SetHeader(h http.Header) {
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
}

// Write answers a request with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	p.SetHeader(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // details name <token> and the like
	encoder.Encode(p)            // a client that left needs no answer
}
