package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/relay-sidecar/relay"
)

// reasonBacklogFull is the reason of deliveries that were dead when they came.
const reasonBacklogFull = "backlog full"

// Append stores events with their deliveries, all or none. When it returns
// without an error they are on disk.
//
// An event whose source and key are stored already is a Duplicate if its digest
// is the same: nothing is created for it, and the others are stored. With
// another digest it is a Conflict, and then nothing of events is stored; the
// answer marks every conflict and duplicate and is empty for the others. The
// same holds for two events within one call.
//
// Append answers [relay.ErrBacklogFull] when the store would hold more
// unfinished deliveries than Options.MaxPending, unless events brings no new
// ones or all of it is relay's own. A ctx that is over is refused; after that ctx has no say.
func (s *Store) Append(ctx context.Context, events []relay.Accepted) ([]relay.Appended, error) {
	if len(events) == 0 {
		return nil, nil
	}
	rows := len(events)
	for i := range events {
		rows += len(events[i].Deliveries)
	}
	var answer []relay.Appended
	err := s.bring(ctx, rows, func(t *transaction) (err error) {
		answer, err = t.append(events, rows-len(events))
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (t *transaction) append(events []relay.Accepted, deliveries int) ([]relay.Appended, error) {
	own := !slices.ContainsFunc(events, func(e relay.Accepted) bool { return !e.Own })
	if most := t.store.limits.all; most > 0 && !own && deliveries > 0 && t.openTotal()+deliveries > most {
		answer, err := t.look(events)
		if err != nil {
			return nil, err
		}
		if t.openTotal()+t.wouldOpen(events, answer) > most {
			return nil, refusal{relay.ErrBacklogFull}
		}
	}
	if len(events) == 1 { // its conflict shows before anything is written
		answer, err := t.appendOne(&events[0])
		return []relay.Appended{answer}, err
	}
	return t.appendSlice(events)
}

// appendSlice stores several events behind a savepoint: a conflict that shows
// late takes the earlier ones back, and not what others wrote before.
func (t *transaction) appendSlice(events []relay.Accepted) ([]relay.Appended, error) {
	change, added, ended := t.change, t.added, len(t.over)
	t.change = maps.Clone(change)
	if err := t.sql.savepoint.run(); err != nil {
		return nil, err
	}
	answer := make([]relay.Appended, len(events))
	for i := range events {
		var err error
		if answer[i], err = t.appendOne(&events[i]); err != nil {
			return nil, err
		}
		if !answer[i].Conflict {
			continue
		}
		t.change, t.added, t.over = change, added, t.over[:ended]
		if err := t.sql.undo.run(); err != nil {
			return nil, err
		}
		if answer, err = t.look(events); err != nil {
			return nil, err
		}
		answer[i].Conflict = true // the one that it conflicts with may have come with it
		break
	}
	return answer, t.sql.release.run()
}

// appendOne stores one event, unless its key is known.
func (t *transaction) appendOne(e *relay.Accepted) (relay.Appended, error) {
	var original driver.Value // a nil slice would be stored as an empty one
	if e.Original != nil {
		original = e.Original
	}
	var trace driver.Value
	if e.Trace != "" {
		trace = e.Trace
	}
	created := unixMilli(e.At)
	changed, seq, err := t.sql.insertEvent.exec(e.ID, e.Key, e.Source, e.Type, string(e.Level), e.Title,
		string(e.Body), original, e.Digest[:], created, int64(len(e.Deliveries)), trace)
	if err != nil {
		return relay.Appended{}, fmt.Errorf("store event %s: %w", e.ID, err)
	}
	if changed == 0 {
		answer, err := t.known(e)
		if err == nil && answer.ID == "" {
			err = fmt.Errorf("store event %s: neither new nor known", e.ID)
		}
		return answer, err
	}
	t.created++
	for i := range e.Deliveries {
		row := newRow{NewDelivery: e.Deliveries[i], event: seq, created: created, due: t.nowMS, own: e.Own}
		if _, _, err := t.insertDelivery(row); err != nil {
			return relay.Appended{}, err
		}
	}
	return relay.Appended{ID: e.ID, Deliveries: len(e.Deliveries)}, nil
}

// newRow is a delivery that is about to be stored.
type newRow struct {
	relay.NewDelivery
	event    int64
	created  int64
	due      int64
	fellBack bool   // direct messages fell back to it
	replayOf string // the id of another delivery, or empty
	late     bool   // a replay: everything else of its lane starts first
	own      bool   // relay's own: stored also where the backlog is full
}

// insertDelivery stores a row, at once dead where its destination has too many
// already. Without ok there is one that direct messages fell back to.
func (t *transaction) insertDelivery(r newRow) (id string, ok bool, err error) {
	made, err := uuid.NewV7()
	if err != nil {
		return "", false, fmt.Errorf("make a delivery's id: %w", err)
	}
	state, reason, finished := relay.StatePending, "", driver.Value(nil)
	full := !r.own && t.full(r.Destination, 0)
	if full {
		state, reason, finished = relay.StateDead, reasonBacklogFull, t.nowMS
	}
	var replayOf driver.Value
	if r.replayOf != "" {
		replayOf = r.replayOf
	}
	changed, _, err := t.sql.insertDelivery.exec(made.String(), r.event, r.Destination, r.Provider, flag(r.Recipient != ""), r.Recipient,
		policy(r.Fallback), flag(r.fellBack), string(state), reason, r.due, r.created, t.nowMS, finished, replayOf, flag(r.late))
	if err != nil {
		return "", false, fmt.Errorf("store a delivery for %q: %w", r.Destination, err)
	}
	if changed > 0 {
		t.created++
	}
	switch {
	case changed == 0:
	case full:
		t.over = append(t.over, over{r.Destination, state})
	default:
		t.count(r.Destination, 1)
		if r.late {
			t.countLate(r.Lane(), 1)
		}
	}
	return made.String(), changed > 0, nil
}

// policy is what a row keeps of a fallback: empty where there never is one.
func policy(f relay.Fallback) string {
	if f == relay.FallbackNever {
		return ""
	}
	return string(f)
}

// full reports whether a destination with more deliveries than it has now takes
// no further one.
func (t *transaction) full(destination string, more int) bool {
	most := t.store.limits.perDestination
	return most > 0 && t.openOf(destination)+more >= most
}

// look finds out, without writing, which events are known. Others have an
// answer without an id.
func (t *transaction) look(events []relay.Accepted) ([]relay.Appended, error) {
	answer := make([]relay.Appended, len(events))
	for i := range events {
		if events[i].Key == "" {
			continue
		}
		var err error
		if answer[i], err = t.known(&events[i]); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// known compares an event with the stored one of its source and key.
func (t *transaction) known(e *relay.Accepted) (answer relay.Appended, err error) {
	err = t.sql.findEvent.query(func(row []driver.Value) {
		digest, _ := row[1].([]byte)
		if bytes.Equal(digest, e.Digest[:]) {
			answer = relay.Appended{ID: text(row[0]), Deliveries: int(number(row[2])), Duplicate: true}
		} else {
			answer = relay.Appended{ID: text(row[0]), Conflict: true}
		}
	}, e.Source, e.Key)
	if err != nil {
		return answer, fmt.Errorf("look for an earlier event with key %q: %w", e.Key, err)
	}
	return answer, nil
}

// wouldOpen counts the deliveries that events would leave unfinished: none for
// those that are known, and none for a destination that is full.
func (t *transaction) wouldOpen(events []relay.Accepted, known []relay.Appended) int {
	type key struct{ source, key string }
	seen := map[key]bool{}
	per, n := map[string]int{}, 0
	for i := range events {
		k := key{events[i].Source, events[i].Key}
		if known[i].ID != "" || seen[k] {
			continue
		}
		seen[k] = k.key != ""
		for _, d := range events[i].Deliveries {
			if !t.full(d.Destination, per[d.Destination]) {
				per[d.Destination]++
				n++
			}
		}
	}
	return n
}
