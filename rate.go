package relay

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate allows Count starts in every window of Per. The zero Rate allows any number.
type Rate struct {
	Count int
	Per   time.Duration
}

// ParseRate reads "1/s", "20/m" or "500/h"; the empty string is no limit.
func ParseRate(s string) (Rate, error) {
	if s == "" {
		return Rate{}, nil
	}
	count, unit, _ := strings.Cut(s, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || per == 0 {
		return Rate{}, fmt.Errorf("%q is not a rate; write a number and s, m or h, such as 1/s or 20/m", s)
	}
	return Rate{Count: n, Per: per}, nil
}

func (r Rate) String() string {
	switch r.Per {
	case time.Second:
		return fmt.Sprintf("%d/s", r.Count)
	case time.Minute:
		return fmt.Sprintf("%d/m", r.Count)
	case time.Hour:
		return fmt.Sprintf("%d/h", r.Count)
	}
	return ""
}
