package kit

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// vendor stands in for a chat system: it answers every request as it is told,
// and remembers it.
type vendor struct {
	url    string
	server *http.Server

	mu       sync.Mutex // guards the fields below
	answer   Answer
	gate     chan struct{} // not nil: no request is answered before it is closed
	requests []request
	open     int // requests that wait at the gate
	most     int // the most that ever did
}

type request struct {
	header http.Header
	url    string
	query  map[string][]string
	body   string
}

func newVendor() (*vendor, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v := &vendor{url: "http://" + l.Addr().String()}
	v.server = &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
	go v.server.Serve(l) // ends with close
	return v, nil
}

func (v *vendor) close() { v.server.Close() }

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the plugin left
	}
	v.mu.Lock()
	v.requests = append(v.requests, request{r.Header.Clone(), r.URL.RequestURI(), r.URL.Query(), string(body)})
	answer, gate := v.answer, v.gate
	v.open++
	v.most = max(v.most, v.open)
	v.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	v.mu.Lock()
	v.open--
	v.mu.Unlock()
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	if w.Header().Get("Content-Type") == "" && json.Valid([]byte(answer.Body)) {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(answer.Status)
	io.WriteString(w, answer.Body)
}

// say changes the answer and forgets the requests so far.
func (v *vendor) say(a Answer) {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer, v.requests, v.most = a, nil, 0
}

// hold keeps requests unanswered until the result is called.
func (v *vendor) hold() (release func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	gate := make(chan struct{})
	v.gate, v.most = gate, 0
	return sync.OnceFunc(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		close(gate)
		v.gate = nil
	})
}

// seen are the requests since the last say.
func (v *vendor) seen() []request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]request(nil), v.requests...)
}

// waiting waits until so many requests wait at the gate.
func (v *vendor) waiting(n int, patience time.Duration) int {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		v.mu.Lock()
		open := v.open
		v.mu.Unlock()
		if open >= n || time.Now().After(end) {
			return open
		}
	}
}

// at is what stands at a place of a request.
func (q request) at(p Place) string {
	switch {
	case p.Header != "":
		return q.header.Get(p.Header)
	case p.Query != "":
		if all := q.query[p.Query]; len(all) > 0 {
			return all[0]
		}
		return ""
	}
	var value any
	if json.Unmarshal([]byte(q.body), &value) != nil {
		return ""
	}
	for _, key := range strings.Split(strings.Trim(p.Body, "/"), "/") {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	text, _ := value.(string)
	return text
}
