package post

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// maxWait bounds a wait hint, so that a nonsensical one cannot overflow. It is
// what delivery clamps hints to.
const maxWait = 24 * time.Hour

// WaitHint reads Retry-After: whole or decimal seconds, or a date. 0 means that
// there is no hint, or that the time is over.
func WaitHint(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if at, err := http.ParseTime(text); err == nil {
		return clampWait(at.Sub(now).Seconds())
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return clampWait(seconds)
}

// Seconds is a vendor's wait in seconds as a hint, within bounds.
func Seconds(seconds float64) time.Duration { return clampWait(seconds) }

func clampWait(seconds float64) time.Duration {
	switch {
	case math.IsNaN(seconds) || seconds <= 0:
		return 0
	case seconds >= maxWait.Seconds():
		return maxWait
	}
	return time.Duration(math.Ceil(seconds*1000)) * time.Millisecond
}

// ByStatus is what the status alone says; a provider looks at what its vendor
// promises first and comes here with the rest.
//
//	2xx                  delivered
//	3xx                  destination refused, may be probed: the URL points elsewhere
//	401, 403, 404        destination refused, may be probed
//	410                  destination refused for good
//	407, 408, 421, 425,
//	429                  temporary, with the wait hint
//	other 4xx            message refused
//	503                  temporary, with the wait hint: the vendor took nothing
//	other 5xx            ambiguous, with the wait hint
func ByStatus(a *Answer, now time.Time) relay.Report {
	r := relay.Report{Error: "status " + StatusText(a.Status)}
	switch s := a.Status; {
	case s/100 == 2:
		return relay.Report{Verdict: relay.Delivered}
	case s/100 == 3:
		r.Verdict, r.Probe = relay.DestinationRefused, true
		r.Error += ": redirects are not followed; use the URL that it leads to"
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusNotFound:
		r.Verdict, r.Probe = relay.DestinationRefused, true
	case s == http.StatusGone:
		r.Verdict = relay.DestinationRefused
	case s == http.StatusProxyAuthRequired, s == http.StatusRequestTimeout, s == http.StatusMisdirectedRequest,
		s == http.StatusTooEarly, s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		r.Verdict, r.RetryAfter = relay.Temporary, WaitHint(a.Header, now)
	case s/100 == 4:
		r.Verdict = relay.MessageRefused
	default:
		r.Verdict, r.RetryAfter = relay.Ambiguous, WaitHint(a.Header, now)
	}
	return r
}

// StatusText is a status with its name, such as "404 Not Found".
func StatusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
