package intake

import (
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
)

// DecodeForTest is decode for a body that came at the events door.
func DecodeForTest(body []byte, now time.Time) ([]relay.Accepted, error) {
	events, _, p := decode(body, options{source: defaultSource, now: now})
	if p != nil {
		return nil, p
	}
	return events, nil
}

// DecodeCloudEventsForTest is what the events door makes of CloudEvents.
func DecodeCloudEventsForTest(h http.Header, body []byte, now time.Time) ([]relay.Accepted, error) {
	m, p := modeOf(h)
	if p != nil {
		return nil, p
	}
	if m == plain {
		return nil, nil
	}
	events, _, p := decodeCloudEvents(m, h, body, options{source: defaultSource, now: now})
	if p != nil {
		return nil, p
	}
	return events, nil
}
