package store

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/relay-sidecar/relay"
)

// Replay makes a new delivery of what a finished one was about, and returns its
// id and lane. It fails with [relay.ErrNotFound], or with [relay.ErrUnfinished]
// while the other is not over.
func (s *Store) Replay(ctx context.Context, id string) (made string, lane relay.Lane, err error) {
	err = s.bring(ctx, 1, func(t *transaction) error {
		row, known, finished, err := t.replayed(t.sql.source, id)
		switch {
		case err != nil:
			return fmt.Errorf("read delivery %s: %w", id, err)
		case !known:
			return refusal{relay.ErrNotFound}
		case !finished:
			return refusal{relay.ErrUnfinished}
		}
		lane = row.Lane()
		made, _, err = t.insertDelivery(row)
		return err
	})
	return made, lane, err
}

// replayed is a new row that repeats another one.
func (t *transaction) replayed(source *statement, of driver.Value) (row newRow, known, finished bool, err error) {
	err = source.query(func(r []driver.Value) {
		known, finished = true, number(r[5]) == 1
		row = newRow{
			NewDelivery: relay.NewDelivery{Destination: text(r[1]), Provider: text(r[2]), Recipient: text(r[4])},
			event:       number(r[0]), created: t.nowMS, due: t.nowMS, replayOf: text(r[6]), late: true,
		}
	}, of)
	return row, known, finished, err
}

// maxReplays bounds what one operation of ReplayAll makes.
const maxReplays = 200

// ReplayAll makes new deliveries of finished ones, which it is given by their
// seqs, in that order. It takes the first ones only, in one transaction, and
// says how many it took, how many deliveries that made, and of which lanes; what
// is gone or not over makes none. It fails with [relay.ErrBacklogFull], and makes
// nothing, when the first would have no room.
func (s *Store) ReplayAll(ctx context.Context, seqs []int64) (taken, made int, lanes []relay.Lane, err error) {
	seqs = seqs[:min(len(seqs), maxReplays)]
	err = s.bring(ctx, len(seqs), func(t *transaction) error {
		taken, made, lanes = 0, 0, nil
		for _, seq := range seqs {
			row, known, finished, err := t.replayed(t.sql.sourceBySeq, seq)
			if err != nil {
				return fmt.Errorf("read delivery %d: %w", seq, err)
			}
			if known && finished {
				if !t.room(row.Destination, 1) {
					if taken == 0 {
						return refusal{relay.ErrBacklogFull}
					}
					return nil
				}
				if _, _, err := t.insertDelivery(row); err != nil {
					return err
				}
				made++
				lanes = append(lanes, row.Lane())
			}
			taken++
		}
		return nil
	})
	return taken, made, lanes, err
}

// room reports whether the store takes so many more deliveries of a destination.
func (t *transaction) room(destination string, n int) bool {
	most := t.store.limits.all
	return (most == 0 || t.openTotal()+n <= most) && !t.full(destination, n-1)
}

// Reroute adds deliveries to an event that was dealt with, and returns their
// ids. They yield to live ones and never fall back. Each repeats the newest of
// the event's deliveries to the same destination and recipient, if there is one.
// It fails with [relay.ErrNotFound], with [relay.ErrUnfinished] while a delivery
// of the event is not over, and with [relay.ErrBacklogFull].
func (s *Store) Reroute(ctx context.Context, event string, deliveries []relay.NewDelivery) (made []string, err error) {
	err = s.bring(ctx, len(deliveries), func(t *transaction) error {
		made = nil
		var seq int64
		if err := t.sql.eventSeq.query(func(r []driver.Value) { seq = number(r[0]) }, event); err != nil {
			return err
		}
		if seq == 0 {
			return refusal{relay.ErrNotFound}
		}
		open, earlier := false, map[string]string{}
		err := t.sql.ofEvent.query(func(r []driver.Value) {
			open = open || number(r[3]) == 0
			earlier[text(r[1])+"\n"+text(r[2])] = text(r[0])
		}, seq)
		switch {
		case err != nil:
			return err
		case open:
			return refusal{relay.ErrUnfinished}
		}
		per := map[string]int{}
		for _, d := range deliveries {
			per[d.Destination]++
			if !t.room(d.Destination, per[d.Destination]) {
				return refusal{relay.ErrBacklogFull}
			}
		}
		if most := t.store.limits.all; most > 0 && t.openTotal()+len(deliveries) > most {
			return refusal{relay.ErrBacklogFull}
		}
		for _, d := range deliveries {
			d.Fallback = relay.FallbackNever
			id, _, err := t.insertDelivery(newRow{NewDelivery: d, event: seq, created: t.nowMS, due: t.nowMS,
				replayOf: earlier[d.Destination+"\n"+d.Recipient], late: true})
			if err != nil {
				return err
			}
			made = append(made, id)
		}
		return nil
	})
	return made, err
}
