package intake

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/relay-sidecar/relay/internal/problem"
)

const (
	// maxFaults keeps an answer readable; a body of a thousand bad events has thousands.
	maxFaults = 50
	// maxQuoted bounds how much of a sender's words stands in an answer to it, in bytes.
	maxQuoted = 60
)

// place is the JSON path of an event.
func place(array bool, i int) string {
	if !array {
		return "$"
	}
	return fmt.Sprintf("$[%d]", i)
}

// refuse is the answer to faults; nil where there are none.
func refuse(faults []problem.Fault) *problem.Problem {
	return refuseAs("nothing was accepted", faults)
}

func refuseAs(words string, faults []problem.Fault) *problem.Problem {
	if len(faults) == 0 {
		return nil
	}
	first := faults[0].Path + " " + faults[0].Message
	switch n := len(faults); {
	case n > maxFaults:
		first = fmt.Sprintf("%d faults, of which %d are listed; the first is %s", n, maxFaults, first)
		faults = faults[:maxFaults]
	case n > 1:
		first = fmt.Sprintf("%d faults, the first is %s", n, first)
	}
	return problem.New(http.StatusBadRequest, words+": "+first, faults...)
}

// cut is text short enough to be quoted.
func cut(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

// child is the part of a JSON path that names a member.
func child(key []byte) string {
	plain := func(c rune) bool {
		return c == '_' || c == '-' || c == '$' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	if len(key) > 0 && len(key) <= maxQuoted && !bytes.ContainsFunc(key, func(c rune) bool { return !plain(c) }) {
		return "." + string(key)
	}
	return fmt.Sprintf("[%q]", cut(string(key)))
}
