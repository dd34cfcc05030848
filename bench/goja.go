package main

import (
	"context"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
)

// renderCost is what one render of the bench's template takes in µs, alone and
// in this process: as much of an event's CPU time is JavaScript.
func renderCost() (float64, error) {
	compiled := scripts.Compile(map[string][]byte{"bench.ts": template}, []string{"bench.ts"})[0]
	if len(compiled.Problems) > 0 {
		return 0, fmt.Errorf("compile the template: %w", &compiled.Problems[0])
	}
	t, err := render.New(relay.Program{Name: compiled.Name, Revision: "bench", Code: compiled.Code})
	if err != nil {
		return 0, err
	}
	in := render.Input{Event: compact(event), Seed: "bench", Context: render.Context{Destination: "bench", Provider: "custom", Language: "en", Now: time.Now()}}
	const warm, rounds = 2_000, 10_000
	var began time.Time
	for i := range warm + rounds {
		if i == warm {
			began = time.Now()
		}
		if _, fault := t.Render(context.Background(), in); fault != nil {
			return 0, fault
		}
	}
	return float64(time.Since(began).Microseconds()) / rounds, nil
}
