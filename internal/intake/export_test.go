package intake

import (
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
