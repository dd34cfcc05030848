package relay

import "time"

// Time is a time in answers and in the log: in JSON it is RFC 3339, in UTC and
// always with milliseconds, so that the texts are of one width and sort as the
// times do.
type Time struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}
