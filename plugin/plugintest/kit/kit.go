// Package kit is the conformance kit of provider plugins: it runs a plugin's
// executable as relay would, with a stand-in for the vendor, and finds out
// whether it does what relay relies on.
//
// `relay plugin check FILE` prints its report; plugintest.Run runs it as a Go
// test. A [Case] says with which settings the plugin is tried, and how its vendor
// answers; without one the kit makes settings from the plugin's own schemas.
package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// Case is what the kit must know of a plugin to try all of it. In every string of
// it, ${VENDOR} stands for the URL of the vendor's stand-in.
type Case struct {
	Provider json.RawMessage `json:"provider,omitempty"` // settings of the `providers` entry
	Target   json.RawMessage `json:"target,omitempty"`   // the destination's own keys
	Answer   Answer          `json:"answer"`             // how the vendor says yes; default: 200 {}
	Classes  []Class         `json:"classes"`            // what else it says, and what that means; default: by HTTP status
	Refused  []Refused       `json:"refused"`            // settings that must be refused
	// Idempotency says where the vendor's deduplication key stands in a request.
	Idempotency *Place `json:"idempotency"`
}

// Answer is what the vendor answers.
type Answer struct {
	Status  int               `json:"status"` // default 200
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// Class is an answer of the vendor with what the plugin must make of it.
type Class struct {
	Name   string          `json:"name"`
	Answer Answer          `json:"answer"`
	Want   []relay.Verdict `json:"want"`    // any of them
	WaitMS int64           `json:"wait_ms"` // the wait hint that the answer has; 0: none
}

// Refused are settings with a fault.
type Refused struct {
	Provider json.RawMessage `json:"provider,omitempty"` // default: the good ones
	Target   json.RawMessage `json:"target,omitempty"`
	Pointer  string          `json:"pointer"` // JSON pointer to the value at fault
}

// Place is where something stands in a request to the vendor; one of them.
type Place struct {
	Header string `json:"header"`
	Query  string `json:"query"`
	Body   string `json:"body"` // JSON pointer
}

// CaseFile is the name under which a plugin's project keeps its case.
const CaseFile = "plugincheck.json"

// ReadCase reads a case from JSON. Unknown keys are errors.
func ReadCase(r io.Reader) (*Case, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	c := &Case{}
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("read the case: %w", err)
	}
	return c, nil
}

// Plugin is what is checked.
type Plugin struct {
	Command []string // the executable and its arguments
	Case    *Case    // nil: made from the schemas
	// BuiltIn are the providers that relay has itself; nil: the kit does not know them.
	BuiltIn []string
}

// Outcome is how a check ended.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "ok"
	Failed  Outcome = "FAILED"
	Skipped Outcome = "skipped"
)

// Result is one check.
type Result struct {
	Name    string
	Outcome Outcome
	Detail  string // what was seen, what is wrong and the remedy, or why it was skipped
	Took    time.Duration
}

// errSkip ends a check that does not apply.
var errSkip = errors.New("skipped")

func skip(format string, args ...any) (string, error) {
	return fmt.Sprintf(format, args...), errSkip
}

// check is one thing that a plugin must do. An error says what is wrong.
type check struct {
	name string
	run  func(*trial, context.Context) (string, error)
	// needed: without it nothing that follows can be tried.
	needed bool
}

// checks are all of them, in order.
func checks() []check {
	return []check{
		{"handshake", (*trial).handshake, true},
		{"describe", (*trial).describe, true},
		{"name", (*trial).name, false},
		{"schemas", (*trial).schemas, true},
		{"settings", (*trial).settings, true},
		{"settings refused", (*trial).settingsRefused, false},
		{"configure", (*trial).configure, true},
		{"delivered", (*trial).delivered, false},
		{"report classes", (*trial).classes, false},
		{"nobody listens", (*trial).nobodyListens, false},
		{"every kind of message", (*trial).messages, false},
		{"templates", (*trial).templates, false},
		{"idempotency key", (*trial).idempotency, false},
		{"one request an attempt", (*trial).oneRequest, false},
		{"many at a time", (*trial).concurrent, false},
		{"timeout", (*trial).timeout, false},
		{"cancel", (*trial).cancel, false},
		{"oversize", (*trial).oversize, false},
		{"settings come and go", (*trial).comeAndGo, false},
		{"preview", (*trial).preview, false},
		{"look-ups", (*trial).lookUps, false},
		{"crash", (*trial).crash, true},
		{"shutdown", (*trial).shutdown, false},
		{"parent gone", (*trial).parentGone, false},
		{"secrets", (*trial).secrets, false},
	}
}

// Check runs all checks. It takes a few seconds, and ends what it started.
func Check(ctx context.Context, p Plugin) []Result {
	t, err := newTrial(p)
	if err != nil {
		return []Result{{Name: "prepare", Outcome: Failed, Detail: err.Error()}}
	}
	defer t.close()
	var all []Result
	broken := false
	for _, c := range checks() {
		r := Result{Name: c.name, Outcome: Passed}
		began := time.Now()
		switch detail, err := "", error(nil); {
		case broken:
			r.Outcome, r.Detail = Skipped, notReached
		default:
			detail, err = c.run(t, ctx)
			r.Detail = detail
			if errors.Is(err, errSkip) {
				r.Outcome = Skipped
			} else if err != nil {
				r.Outcome, r.Detail = Failed, err.Error()
				broken = c.needed
				if !broken && !t.running() { // what follows wants a process
					t.restart()
				}
			}
		}
		r.Took = time.Since(began)
		all = append(all, r)
	}
	return all
}

// notReached is said of checks that what failed before leaves no sense in.
const notReached = "what comes before it must work first"

// Good reports whether nothing failed.
func Good(results []Result) bool {
	for _, r := range results {
		if r.Outcome == Failed {
			return false
		}
	}
	return true
}

// Print writes a report for people.
func Print(w io.Writer, results []Result) {
	counts := map[Outcome]int{}
	for _, r := range results {
		counts[r.Outcome]++
		if r.Detail == notReached {
			continue
		}
		detail := strings.ReplaceAll(r.Detail, "\n", "\n"+strings.Repeat(" ", 35))
		fmt.Fprintf(w, "%-8s  %-23s  %s\n", r.Outcome, r.Name, detail)
	}
	fmt.Fprintf(w, "\n%d ok, %d failed, %d skipped\n", counts[Passed], counts[Failed], counts[Skipped])
}

// tempDir is a short directory: sockets stand below it.
func tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "rp")
	if err == nil && len(dir) > 60 {
		os.Remove(dir)
		dir, err = os.MkdirTemp("/tmp", "rp")
	}
	return dir, err
}
