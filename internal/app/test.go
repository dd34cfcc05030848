package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/people"
	"github.com/relay-sidecar/relay/templates"
)

const (
	// testSource is the source of events that relay makes itself.
	testSource = "relay"
	// testPatience is how long a test waits beyond the timeout of its attempt:
	// for its turn, and for the plugin to start.
	testPatience = 10 * time.Second
	testLook     = 25 * time.Millisecond
)

// Test sends a test event to a destination, on the very path of a real one, and
// waits for what comes of it: the end of its delivery, its first failed
// attempt, or that it is held. A delivery that does not come that far in time
// is answered as it stands, and goes on.
func (a *App) Test(ctx context.Context, name string, t api.Test) (relay.Delivery, error) {
	now := a.current.Load()
	i := slices.IndexFunc(now.cfg.Destinations, func(d config.Destination) bool { return d.Name == name })
	if i < 0 {
		return relay.Delivery{}, relay.ErrNotFound
	}
	d := now.cfg.Destinations[i]
	wanted, unreachable := now.addressee(d, t.To, "$.to")
	id, err := uuid.NewV7()
	if err != nil {
		return relay.Delivery{}, fmt.Errorf("make an event's id: %w", err)
	}
	e, bad := sampleEvent(cmp.Or(t.Type, relay.TypeTest), wanted.Recipient, id.String(), time.Now())
	if err := together(unreachable, bad); err != nil {
		return relay.Delivery{}, err
	}
	e.Deliveries = []relay.NewDelivery{wanted}
	a.lookAgain(name, wanted.Recipient)
	if _, err := a.Append(ctx, []relay.Accepted{e}); err != nil {
		return relay.Delivery{}, err
	}
	timeout := d.Timeout
	if d.Direct != nil {
		timeout = max(timeout, d.Direct.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+testPatience)
	defer cancel()
	return a.outcome(ctx, e.ID)
}

// addressee is where a message to a destination goes: to its channel, or to the
// person whom path of the request names.
func (s *snapshot) addressee(d config.Destination, to, path string) (relay.NewDelivery, error) {
	out := relay.NewDelivery{Destination: d.Name, Provider: d.Entry}
	_, reaches := s.cfg.direct[d.Name]
	switch {
	case d.Disabled:
		return out, &api.Refusal{Reason: fmt.Sprintf("destination %s is disabled; set disabled: false first", d.Name)}
	case to == "" && s.hasChannel(d.Name):
		return out, nil
	case to == "":
		return out, &api.Refusal{Path: path, Reason: fmt.Sprintf("destination %s has no channel; say whom to write to, by email, phone or id", d.Name)}
	case !reaches:
		return out, &api.Refusal{Path: path, Reason: fmt.Sprintf("destination %s cannot reach people: its provider has no credentials for direct messages; relay check says which are missing", d.Name)}
	}
	raw, err := json.Marshal(s.cfg.people.Complete(personBy(to, d.Entry), testSource))
	out.Recipient = string(raw)
	return out, err
}

// personBy is the person whom an operator names by one key.
func personBy(to, entry string) relay.Person {
	to = strings.TrimSpace(to)
	switch {
	case strings.Contains(to, "@"):
		return relay.Person{Email: to}
	case strings.HasPrefix(to, "+"):
		return relay.Person{Phone: people.Phone(to)}
	}
	return relay.Person{IDs: map[string]string{entry: to}}
}

// sampleEvent is the sample of a type of the catalogue.
func sampleEvent(eventType, recipient, id string, now time.Time) (relay.Accepted, error) {
	sample, ok := templates.Sample(eventType)
	if !ok {
		return relay.Accepted{}, &api.Refusal{Path: "$.type", Reason: fmt.Sprintf("there is no sample of type %q; there are %s", eventType, strings.Join(relay.Catalogue(), ", "))}
	}
	var e relay.Event
	if err := json.Unmarshal(sample, &e); err != nil {
		return relay.Accepted{}, fmt.Errorf("the sample of %s: %w", eventType, err)
	}
	e.ID, e.Type, e.Source, e.Time = relay.StringID(id), eventType, testSource, now.UTC().Truncate(time.Millisecond)
	if recipient != "" {
		var p relay.Person
		if err := json.Unmarshal([]byte(recipient), &p); err != nil {
			return relay.Accepted{}, err
		}
		e.Recipients = []relay.Person{p}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return relay.Accepted{}, err
	}
	return relay.Accepted{ID: id, Source: testSource, Door: testSource, Type: eventType, Level: e.Level, Title: e.Title, Body: body, At: now, Own: true}, nil
}

// outcome waits for the only delivery of an event.
func (a *App) outcome(ctx context.Context, event string) (relay.Delivery, error) {
	store := context.WithoutCancel(ctx) // when time is up, it is asked once more
	tick := time.NewTicker(testLook)
	defer tick.Stop()
	for {
		rows, _, err := a.store.Deliveries(store, relay.DeliveryFilter{EventID: event, Limit: 1})
		if err != nil {
			return relay.Delivery{}, err
		}
		if len(rows) == 0 {
			return relay.Delivery{}, errors.New("the test's delivery is gone")
		}
		d := rows[0]
		settled := d.State.Final() || d.State == relay.StateHeld || d.State == relay.StatePending && d.Attempts > 0
		select {
		case <-tick.C:
		case <-ctx.Done():
			settled = true
		}
		if settled {
			return a.store.Delivery(store, d.ID)
		}
	}
}
