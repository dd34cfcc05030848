package teamstest

import (
	"net/http"
	"strings"
)

// hold keeps calls unanswered until it is done.
type hold struct {
	match string
	done  chan struct{}
}

// Hold implements [plugintest.DirectVendor].
func (v *Vendor) Hold(match string) (release func()) {
	h := &hold{match: match, done: make(chan struct{})}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.holds = append(v.holds, h)
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		h.release()
	}
}

// release is called under the mutex.
func (h *hold) release() {
	select {
	case <-h.done:
	default:
		close(h.done)
	}
}

// wait keeps a call that did its work unanswered while it is held.
func (v *Vendor) wait(r *http.Request, body []byte) {
	v.mu.Lock()
	holds := append([]*hold{}, v.holds...)
	v.mu.Unlock()
	for _, h := range holds {
		if strings.Contains(r.URL.RequestURI(), h.match) || strings.Contains(string(body), h.match) {
			select {
			case <-h.done:
			case <-r.Context().Done():
			}
		}
	}
}
