package plugintest

import (
	"os"
	"testing"

	"github.com/relay-sidecar/relay/plugin/plugintest/kit"
)

// Run checks a plugin's executable with the conformance kit, each check a
// subtest. caseFile says with which settings, and how the vendor answers (see
// [kit.Case]); empty: the kit guesses.
//
//	func TestConformance(t *testing.T) {
//		plugintest.Run(t, "plugincheck.json", "./relay-plugin-ntfy")
//	}
func Run(t *testing.T, caseFile string, command ...string) {
	t.Helper()
	p := kit.Plugin{Command: command}
	if caseFile != "" {
		f, err := os.Open(caseFile)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if p.Case, err = kit.ReadCase(f); err != nil {
			t.Fatal(err)
		}
	}
	RunCase(t, p)
}

// RunCase is Run for a case that is made in Go.
func RunCase(t *testing.T, p kit.Plugin) {
	t.Helper()
	for _, r := range kit.Check(t.Context(), p) {
		t.Run(r.Name, func(t *testing.T) {
			switch r.Outcome {
			case kit.Failed:
				t.Error(r.Detail)
			case kit.Skipped:
				t.Skip(r.Detail)
			default:
				t.Log(r.Detail)
			}
		})
	}
}
