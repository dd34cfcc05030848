package intake

import (
	"fmt"

	"github.com/relay-sidecar/relay/internal/problem"
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
	return problem.Refuse("nothing was accepted", faults)
}

// child is the part of a JSON path that names a member.
func child(key []byte) string { return problem.Child(string(key)) }
