package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
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
		File     string     `json:"file"` // absolute
		Revision string     `json:"revision"`
		Loaded   relay.Time `json:"loaded"`
		Refused  *refusal   `json:"refused"`
	}
	type templateState struct {
		Revision string          `json:"revision"`
		Problems []relay.Problem `json:"problems"`
	}
	now := a.current.Load()
	file, err := filepath.Abs(a.o.Config)
	if err != nil {
		file = a.o.Config
	}
	a.mu.Lock()
	refused := a.refused
	a.mu.Unlock()
	return struct {
		Version   string              `json:"version"`
		Started   relay.Time          `json:"started"`
		Config    configState         `json:"config"`
		Templates templateState       `json:"templates"`
		Plugins   []pluginhost.Status `json:"plugins"`
	}{
		Version: a.o.Version, Started: relay.Time{Time: a.started},
		Config:    configState{file, now.cfg.Revision, relay.Time{Time: now.since}, refused},
		Templates: templateState{now.templates.Revision, notNil(slices.Concat(TemplateProblems(now.cfg.Config, now.templates), a.faults.problems(time.Now())))},
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
	if child, ok := a.trials.child.Status(); ok {
		child.Name += " (previews)"
		child.Beside = true
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
		Held    []held              `json:"held"` // for longer than alerts.after
	}{"ready", a.pluginStatus(), []held{}}
	if long := a.held.Load(); long != nil {
		state.Held = notNil(*long)
	}
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
	now := a.current.Load()
	var all []api.Destination
	for _, d := range now.cfg.Destinations {
		row := api.Destination{Name: d.Name, Provider: d.Entry}
		unavailable := now.unavailable(d)
		part := func(part relay.Part) *api.Part {
			out := &api.Part{State: "active"}
			switch {
			case d.Disabled:
				out.State = "disabled"
			case unavailable != "":
				out.State, out.Reason = "paused", unavailable
			}
			for _, p := range pauses {
				if p.Destination == d.Name && p.Part == part && !(p.Unavailable && unavailable != "") { // the latter says why
					out.State, out.Reason = "paused", p.Reason
				}
			}
			return out
		}
		if now.hasChannel(d.Name) {
			row.Channel = part(relay.PartChannel)
		}
		if _, ok := now.cfg.direct[d.Name]; ok {
			row.Direct = part(relay.PartDirect)
		}
		if leads := cmp.Or(row.Channel, row.Direct); leads != nil {
			row.State, row.Reason = leads.State, leads.Reason
		}
		for _, b := range backlogs {
			if b.Destination == d.Name && b.Pending > 0 {
				row.Pending, row.OldestPending = b.Pending, &relay.Time{Time: b.Oldest}
			}
		}
		all = append(all, row)
	}
	gone, err := a.removed(ctx, now, backlogs)
	return append(all, gone...), err
}

// removed lists destinations that are configured no more and for which
// something waits.
func (a *App) removed(ctx context.Context, now *snapshot, backlogs []relay.Backlog) ([]api.Destination, error) {
	removals, err := a.store.Removals(ctx)
	if err != nil {
		return nil, err
	}
	var all []api.Destination
	for _, b := range backlogs {
		i := slices.IndexFunc(removals, func(r relay.Removal) bool { return r.Destination == b.Destination })
		if i < 0 || a.configured(b.Destination) {
			continue
		}
		until := relay.Time{Time: removals[i].Since.Add(now.cfg.Store.RemovedGrace)}
		all = append(all, api.Destination{
			Name: b.Destination, State: "removed", Reason: removals[i].Reason, Pending: b.Pending, OldestPending: &relay.Time{Time: b.Oldest}, Until: &until,
		})
	}
	return all, nil
}

// unavailable is why nothing of a destination is sent because of its plugin;
// empty: it runs, or is being started for the first time.
func (s *snapshot) unavailable(d config.Destination) string {
	running := s.destinations[d.Name]
	if running == nil || running.ready() {
		return ""
	}
	switch status := running.provider.Status(); {
	case status.Error != "":
		return "plugin unavailable: " + status.Error
	case running.unknown:
		return "plugin unavailable: it has not said yet what its settings are"
	}
	return ""
}

// hasChannel reports whether a destination has a place of its own.
func (s *snapshot) hasChannel(name string) bool {
	_, ok := s.cfg.windows[name]
	return ok
}

// lane is a part of a destination; without a part that of its channel, or of
// its direct messages where it has no channel.
func (a *App) lane(name string, part relay.Part) (relay.Lane, error) {
	now := a.current.Load()
	_, direct := now.cfg.direct[name]
	switch {
	case !a.configured(name):
		return relay.Lane{}, relay.ErrNotFound
	case part == "" && direct && !now.hasChannel(name):
		part = relay.PartDirect
	case part == "":
		part = relay.PartChannel
	}
	return relay.Lane{Destination: name, Part: part}, nil
}

// Pause holds a part of a destination until it is resumed.
func (a *App) Pause(ctx context.Context, name string, part relay.Part, reason string) error {
	lane, err := a.lane(name, part)
	if err != nil {
		return err
	}
	now := a.current.Load()
	if _, direct := now.cfg.direct[name]; lane.Part == relay.PartDirect && !direct || lane.Part == relay.PartChannel && !now.hasChannel(name) {
		return &api.Refusal{Path: "$.part", Reason: fmt.Sprintf("destination %s has no part %q", name, lane.Part)}
	}
	return a.engine.Pause(ctx, lane, reason)
}

// Resume lets a part of a destination go on.
func (a *App) Resume(ctx context.Context, name string, part relay.Part) error {
	lane, err := a.lane(name, part)
	if err != nil {
		return err
	}
	return a.engine.Resume(ctx, lane)
}

func (a *App) configured(name string) bool {
	return slices.ContainsFunc(a.current.Load().cfg.Destinations, func(d config.Destination) bool { return d.Name == name })
}
