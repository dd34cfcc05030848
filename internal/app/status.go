package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/pluginhost"
)

// status is the body of GET /v1/status.
func (a *App) status() any {
	type configState struct {
		Revision string    `json:"revision"`
		Loaded   time.Time `json:"loaded"`
		Refused  *refusal  `json:"refused"`
	}
	type templateState struct {
		Revision string          `json:"revision"`
		Problems []relay.Problem `json:"problems"`
	}
	now := a.current.Load()
	a.mu.Lock()
	refused := a.refused
	a.mu.Unlock()
	return struct {
		Version   string              `json:"version"`
		Started   time.Time           `json:"started"`
		Config    configState         `json:"config"`
		Templates templateState       `json:"templates"`
		Plugins   []pluginhost.Status `json:"plugins"`
	}{
		Version: a.o.Version, Started: a.started.UTC(),
		Config:    configState{now.cfg.Revision, now.since.UTC(), refused},
		Templates: templateState{now.templates.Revision, notNil(now.templates.Problems())},
		Plugins:   a.pluginStatus(),
	}
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *App) pluginStatus() []pluginhost.Status {
	all := a.host.Status()
	if child, ok := a.child.Status(); ok {
		all = append(all, child)
	}
	slices.SortFunc(all, func(x, y pluginhost.Status) int { return cmp.Compare(x.Name, y.Name) })
	return notNil(all)
}

// fullFor is how long a full disk makes relay unready. Only the next event can
// show that there is room again, and none may come while relay is not ready.
const fullFor = 10 * time.Second

// readiness is the body of GET /readyz. relay is ready when it can accept
// events; a plugin that is down or a destination that is paused does not change
// that, since their deliveries wait on disk.
func (a *App) readiness() (bool, any) {
	state := struct {
		Status  string              `json:"status"`
		Plugins []pluginhost.Status `json:"plugins"`
	}{"ready", a.pluginStatus()}
	full := time.Since(time.Unix(0, a.diskFull.Load())) < fullFor
	switch {
	case !a.ready.Load():
		state.Status = "shutting down"
	case full:
		state.Status = "the disk is full"
	default:
		return true, state
	}
	return false, state
}

// Destinations lists what is configured, with what waits for it.
func (a *App) Destinations(ctx context.Context) ([]api.Destination, error) {
	backlogs, err := a.store.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	pauses, err := a.store.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	var all []api.Destination
	for _, d := range a.current.Load().cfg.Destinations {
		row := api.Destination{Name: d.Name, Provider: d.Entry, State: "active"}
		if d.Disabled {
			row.State = "disabled"
		}
		for _, p := range pauses {
			if p.Destination == d.Name {
				row.State, row.Reason = "paused", p.Reason
			}
		}
		for _, b := range backlogs {
			if b.Destination == d.Name && b.Pending > 0 {
				row.Pending, row.OldestPending = b.Pending, &b.Oldest
			}
		}
		all = append(all, row)
	}
	return all, nil
}

// Pause holds a destination until it is resumed.
func (a *App) Pause(ctx context.Context, name, reason string) error {
	if !a.configured(name) {
		return relay.ErrNotFound
	}
	return a.engine.Pause(ctx, name, reason)
}

// Resume lets a destination go on.
func (a *App) Resume(ctx context.Context, name string) error {
	if !a.configured(name) {
		return relay.ErrNotFound
	}
	return a.engine.Resume(ctx, name)
}

func (a *App) configured(name string) bool {
	return slices.ContainsFunc(a.current.Load().cfg.Destinations, func(d config.Destination) bool { return d.Name == name })
}
