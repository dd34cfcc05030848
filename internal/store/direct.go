package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

func encodeMatch(m *relay.Match) (driver.Value, error) {
	kept, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the match: %w", err)
	}
	return string(kept), nil
}

// twin is the id of another delivery of the same event whose recipient is the
// same user, or empty.
func (t *transaction) twin(row sending, seq int64, user string) (id string, err error) {
	err = t.sql.twin.query(func(r []driver.Value) { id = text(r[0]) }, row.event, row.Destination, user, seq)
	return id, err
}

// group is how the direct messages of an event to one destination stand.
type group struct {
	open       int64
	unresolved int64 // open, and nobody was found yet
	found      int64 // recipients who are users, whatever came of their message
	unmatched  int64 // over, and nobody was found
	failed     int64
	done       int64 // delivered, or skipped by the template
	provider   string
}

// fallsBack says whether the channel gets the event after all.
func (g group) fallsBack(policy relay.Fallback) bool {
	if g.unresolved > 0 {
		return false
	}
	switch policy {
	case relay.FallbackNoneMatched:
		return g.found == 0
	case relay.FallbackAnyUnmatched:
		return g.unmatched > 0
	case relay.FallbackAnyFailed:
		return g.failed > 0
	case relay.FallbackNoneDelivered:
		return g.open == 0 && g.done == 0
	}
	return false
}

// decideFallback stores the channel's delivery when the direct messages of an
// event have come to where their policy wants one. There is one at most.
func (t *transaction) decideFallback(row sending) error {
	var g group
	err := t.sql.group.query(func(r []driver.Value) {
		g = group{number(r[0]), number(r[1]), number(r[2]), number(r[3]), number(r[4]), number(r[5]), text(r[6])}
	}, row.event, row.Destination)
	if err != nil {
		return fmt.Errorf("look at the event's other recipients: %w", err)
	}
	if !g.fallsBack(row.fallback) {
		return nil
	}
	return t.fallBack(row.event, row.Destination, g.provider)
}

// fallBack stores the channel's delivery of an event. It takes the event's
// place before those that were accepted later.
func (t *transaction) fallBack(event int64, destination, provider string) error {
	var created int64
	if err := t.sql.accepted.query(func(r []driver.Value) { created = number(r[0]) }, event); err != nil {
		return err
	}
	_, made, err := t.insertDelivery(newRow{
		NewDelivery: relay.NewDelivery{Destination: destination, Provider: provider},
		event:       event, created: created, due: created, fellBack: true,
	})
	if err == nil && made {
		t.fell = append(t.fell, relay.Due{Lane: relay.Channel(destination), At: fromMilli(created)})
	}
	return err
}

// FallBackHeld decides the fallback of events whose direct messages to a
// destination are held, where their policy is none_delivered: at most limit of
// those that were due at or before a time. It returns how many channel
// deliveries it made; the direct ones stay held.
func (s *Store) FallBackHeld(ctx context.Context, destination string, due time.Time, limit int) (made int, err error) {
	err = s.bring(ctx, limit, func(t *transaction) error {
		made = 0
		var events []int64
		if err := t.sql.heldBack.query(func(r []driver.Value) { events = append(events, number(r[0])) }, destination, unixMilli(due), int64(limit)); err != nil {
			return fmt.Errorf("look for held direct messages of %q: %w", destination, err)
		}
		for _, event := range events {
			var provider string
			if err := t.sql.group.query(func(r []driver.Value) { provider = text(r[6]) }, event, destination); err != nil {
				return err
			}
			if err := t.fallBack(event, destination, provider); err != nil {
				return err
			}
			made++
		}
		return nil
	})
	return made, err
}

// Identify keeps what look-ups said of people, in place of what they said before.
func (s *Store) Identify(ctx context.Context, all []relay.Identity) error {
	return s.write(ctx, len(all), func(t *transaction) error {
		for _, i := range all {
			if err := t.sql.identify.run(i.Account, i.By, i.Value, i.User, unixMilli(i.Until)); err != nil {
				return fmt.Errorf("keep an identity: %w", err)
			}
		}
		return nil
	})
}

// Identities is everything that look-ups said and that still holds; the rest is
// forgotten.
func (s *Store) Identities(ctx context.Context) (all []relay.Identity, err error) {
	err = s.write(ctx, 1, func(t *transaction) error { return t.sql.forget.run(t.nowMS) })
	if err != nil {
		return nil, fmt.Errorf("forget identities: %w", err)
	}
	err = s.read(ctx, func(q query) error {
		return q.each(`SELECT account, by, value, user, until FROM identities`, nil, func(scan func(...any) error) error {
			var i relay.Identity
			var until int64
			err := scan(&i.Account, &i.By, &i.Value, &i.User, &until)
			i.Until = fromMilli(until)
			all = append(all, i)
			return err
		})
	})
	return all, err
}
