package plugintest

import (
	"encoding/json"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// TryOpen opens a destination whose own keys are target, as JSON. Nothing is
// known to be secret before: what is, the provider has to say itself.
func TryOpen(p plugin.Provider, target any) (plugin.Destination, []plugin.Problem) {
	raw, err := json.Marshal(target)
	if err != nil {
		return nil, []plugin.Problem{{Message: err.Error()}}
	}
	return p.Open(plugin.Settings{Destination: "dba", Entry: p.Describe().Name, Target: raw, Masker: &relay.Masker{}})
}

// Open is TryOpen for settings that are good, but for warnings.
func Open(t testing.TB, p plugin.Provider, target any) plugin.Destination {
	t.Helper()
	d, problems := TryOpen(p, target)
	for _, problem := range problems {
		if !problem.Warning {
			t.Fatalf("open:\n%s", Problems(problems))
		}
	}
	return d
}
