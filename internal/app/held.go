package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
)

// held is something that keeps deliveries from going on: the pause of a
// channel, the pause of direct messages with all that use the same account, a
// plugin that does not run, a backlog that is full.
type held struct {
	Destinations []string   `json:"destinations"`
	Kind         string     `json:"kind"` // paused, unavailable or full
	Part         relay.Part `json:"part"`
	Reason       string     `json:"reason"`
	Since        relay.Time `json:"since"`
}

// The kinds of held. The shipped template knows them.
const (
	kindPaused      = "paused"
	kindUnavailable = "unavailable"
	kindFull        = "full"
)

// key names one pause over its whole length, also over restarts.
func (h held) key() string {
	return fmt.Sprintf("held/%s/%s/%s/%d", h.Kind, h.Part, h.Destinations[0], h.Since.UnixMilli())
}

// longestLook is the time between two looks for what is held.
const longestLook = 5 * time.Second

// watchHeld says once of everything that is held for longer than alerts.after:
// in the log, and to the destination that is to be told. /readyz tells of it as
// long as it lasts.
func (a *App) watchHeld(ctx context.Context) error {
	full := map[string]time.Time{} // since when
	said := map[string]bool{}      // whether all was said that is to be
	for {
		after := a.current.Load().cfg.Alerts.After
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(longestLook, max(after/4, 10*time.Millisecond))):
		}
		now := time.Now()
		all, err := a.whatIsHeld(ctx, full, now)
		if err != nil {
			if ctx.Err() == nil {
				a.logger.Warn("what is held cannot be read", "error", err)
			}
			continue
		}
		long := slices.DeleteFunc(all, func(h held) bool { return now.Sub(h.Since.Time) < after })
		a.held.Store(&long)
		lasting := map[string]bool{}
		for _, h := range long {
			done, again := said[h.key()]
			lasting[h.key()] = done || a.sayHeld(ctx, h, again)
		}
		said = lasting
	}
}

// whatIsHeld lists everything that is held now.
func (a *App) whatIsHeld(ctx context.Context, full map[string]time.Time, now time.Time) ([]held, error) {
	pauses, err := a.store.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	var all []held
	current := a.current.Load()
	for _, p := range pauses {
		i := slices.IndexFunc(current.cfg.Destinations, func(d config.Destination) bool { return d.Name == p.Destination })
		if i < 0 {
			continue
		}
		h := held{[]string{p.Destination}, kindPaused, p.Part, p.Reason, relay.Time{Time: p.Since}}
		if p.Unavailable {
			h.Kind, h.Reason = kindUnavailable, cmp.Or(current.unavailable(current.cfg.Destinations[i]), p.Reason)
		}
		// Direct messages are paused by account: several lanes, one pause.
		same := slices.IndexFunc(all, func(o held) bool {
			return p.Part == relay.PartDirect && o.Part == p.Part && o.Since.Equal(p.Since) && o.Reason == h.Reason
		})
		if same < 0 {
			all = append(all, h)
		} else {
			all[same].Destinations = append(all[same].Destinations, p.Destination)
		}
	}
	names, nearly, err := a.store.Full(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if full[name].IsZero() {
			full[name] = now
		}
	}
	for name, since := range full {
		if !slices.Contains(names, name) && !slices.Contains(nearly, name) {
			delete(full, name)
			continue
		}
		all = append(all, held{[]string{name}, kindFull, relay.PartChannel, "backlog full", relay.Time{Time: since}})
	}
	slices.SortFunc(all, func(x, y held) int { return cmp.Compare(x.key(), y.key()) })
	return all, nil
}

// sayHeld tells of one thing that is held for long; false means that somebody
// must still be told, and again that this is not the first try.
func (a *App) sayHeld(ctx context.Context, h held, again bool) bool {
	to := a.current.Load().cfg.Alerts.Destination
	facts := []any{"destinations", strings.Join(h.Destinations, ","), "part", h.Part, "kind", h.Kind, "reason", h.Reason, "since", h.Since}
	var failed error
	switch {
	case to == "":
	case slices.Contains(h.Destinations, to) && h.Part == relay.PartChannel:
		facts = append(facts, "not_told", to+" is held itself")
	default:
		if failed = a.tell(ctx, h, to); failed != nil {
			facts = append(facts, "not_told_yet", failed)
		} else {
			facts = append(facts, "told", to)
		}
	}
	if failed == nil || !again {
		a.logger.Error("held for long", facts...)
	}
	return failed == nil
}

// tell sends a relay.destination_paused event to one destination's channel. Its
// key makes it one event for a pause, however often relay is started meanwhile.
func (a *App) tell(ctx context.Context, h held, to string) error {
	now := a.current.Load()
	d := now.destinations[to]
	if d == nil || !now.hasChannel(to) {
		return fmt.Errorf("destination %s has no channel that is in use", to)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an event's id: %w", err)
	}
	data := map[string]json.RawMessage{}
	raw, err := json.Marshal(h)
	if err == nil {
		err = json.Unmarshal(raw, &data)
	}
	if err != nil {
		return err
	}
	at := time.Now()
	e := relay.Event{
		ID: relay.StringID(h.key()), Type: relay.TypeDestinationPaused, Source: testSource, Time: at.UTC().Truncate(time.Millisecond),
		Level: relay.LevelError, Title: strings.Join(h.Destinations, ", "), Data: data,
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = a.Append(ctx, []relay.Accepted{{
		ID: id.String(), Key: h.key(), Source: e.Source, Type: e.Type, Level: e.Level, Title: e.Title, Body: body,
		Digest: sha256.Sum256([]byte(h.key())), At: at, Own: true, Deliveries: []relay.NewDelivery{{Destination: to, Provider: d.Entry}},
	}})
	return err
}
