package store

import (
	"context"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

// attemptBits is the room for attempt numbers in the key of an attempt.
const attemptBits = 20

// attemptKey is the rowid of an attempt. Numbers beyond the room share the last
// place, which keeps the newest: a million tries are a million log lines of the
// same story.
func attemptKey(delivery int64, attempt int64) int64 {
	return delivery<<attemptBits | min(attempt, 1<<attemptBits-1)
}

// claimBits is the room for claims within a run; the run's number stands above.
const claimBits = 40

// detail is what of an attempt is only ever shown.
type detail struct {
	Lost          bool                 `json:"lost,omitempty"`
	TemplateError *relay.TemplateError `json:"template_error,omitempty"`
	Message       json.RawMessage      `json:"message,omitempty"`
	Steps         []relay.Step         `json:"steps,omitempty"`
	Request       *relay.Request       `json:"request,omitempty"`
	Response      *relay.Response      `json:"response,omitempty"`
	Resent        bool                 `json:"resent,omitempty"`
	Resend        []byte               `json:"resend,omitempty"` // of an ambiguous attempt, while it is the last
}

// Step records outcomes and then claims due deliveries, in one transaction.
//
// An outcome counts only while its claim does; one that comes too late is
// dropped, logged and counted. An outcome with an attempt adds it to the log,
// under the number that its claim had; without one the number is used again. A
// pending outcome without a Due leaves the delivery due as it was, so that one
// that is given back untried keeps its place before those that came later.
//
// An outcome with a match keeps who the recipient is. If another recipient of
// the event is the same user, the delivery is skipped: a person gets one
// message. When the last direct message of an event to a destination is matched
// or over, its fallback is decided, and if it is due, the channel's delivery is
// stored in the same transaction.
//
// For every request Step returns at most Limit deliveries in the order in which
// they are to start, (due, acceptance) with replays after all others, and one Due: when the lane's next
// delivery is due. It may be due already, if more were than Limit. After those
// come the lanes that got a delivery by a fallback. Whether a lane is paused is
// not looked at.
//
// A ctx that is over is refused; after that ctx has no say.
func (s *Store) Step(ctx context.Context, outcomes []relay.Outcome, claims []relay.ClaimRequest) ([]relay.Claimed, []relay.Due, error) {
	details := make([]driver.Value, len(outcomes)) // made here and not in the writer, which all wait for
	matches := make([]driver.Value, len(outcomes))
	rows := len(outcomes)
	for i := range outcomes {
		o := &outcomes[i]
		if o.State != relay.StatePending && !o.State.Final() {
			return nil, nil, fmt.Errorf("record delivery %d: %q is neither pending nor final", o.Seq, o.State)
		}
		var err error
		if o.Match != nil {
			if matches[i], err = encodeMatch(o.Match); err != nil {
				return nil, nil, fmt.Errorf("record delivery %d: %w", o.Seq, err)
			}
		}
		if o.Attempt == nil {
			continue
		}
		if details[i], err = encodeDetail(o.Attempt); err != nil {
			return nil, nil, fmt.Errorf("record delivery %d: %w", o.Seq, err)
		}
		rows++
	}
	for _, c := range claims {
		rows += c.Limit
	}

	var claimed []relay.Claimed
	var due []relay.Due
	var lost []int
	err := s.write(ctx, rows, func(t *transaction) error {
		claimed, due, lost = nil, make([]relay.Due, 0, len(claims)), lost[:0]
		t.fell = nil
		for i := range outcomes {
			held, err := t.record(outcomes[i], details[i], matches[i])
			if err != nil {
				return fmt.Errorf("record delivery %d: %w", outcomes[i].Seq, err)
			}
			if !held {
				lost = append(lost, i)
			}
		}
		t.claims++ // one number does for all rows: none is taken twice in a transaction
		claim := t.run<<claimBits | t.claims
		for _, c := range claims {
			next, err := t.claim(&claimed, c, claim)
			if err != nil {
				return fmt.Errorf("claim deliveries of %q: %w", c.Destination, err)
			}
			due = append(due, next)
		}
		due = append(due, t.fell...)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for _, i := range lost {
		s.lostClaims.Add(1)
		s.log.Warn("outcome dropped: its claim is over", "seq", outcomes[i].Seq, "claim", outcomes[i].Claim, "state", outcomes[i].State)
	}
	return claimed, due, nil
}

func encodeDetail(a *relay.Attempt) (driver.Value, error) {
	d := detail{Lost: a.Lost, TemplateError: a.TemplateError, Steps: a.Steps, Request: a.Request, Response: a.Response, Resent: a.Resent, Resend: a.Resend}
	if !d.Lost && !d.Resent && len(d.Resend) == 0 && d.TemplateError == nil && len(a.Message) == 0 && len(d.Steps) == 0 && d.Request == nil && d.Response == nil {
		return nil, nil
	}
	rest, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the attempt: %w", err)
	}
	if len(a.Message) == 0 {
		return string(rest), nil
	}
	// The message is JSON already: encoding it with the rest would write it anew.
	comma := ","
	if len(rest) == len("{}") {
		comma = ""
	}
	return `{"message":` + string(a.Message) + comma + string(rest[1:]), nil
}

// record writes an outcome and reports whether its claim still held.
func (t *transaction) record(o relay.Outcome, detail, match driver.Value) (held bool, err error) {
	if row, ok := t.sending[o.Seq]; ok && o.Match != nil && !row.late {
		twin, err := t.twin(row, o.Seq, o.Match.User)
		if err != nil {
			return false, err
		}
		if twin != "" {
			o.State, o.Reason, match = relay.StateSkipped, "the same person as delivery "+twin, nil
		}
	}
	var attempts, ambiguous int64
	if o.Attempt != nil {
		attempts = 1
		if o.Attempt.Verdict == relay.Ambiguous && !o.Attempt.Lost {
			ambiguous = 1
		}
	}
	var due, finished driver.Value
	var keeps int64
	switch {
	case o.State != relay.StatePending:
		finished = t.nowMS
	case o.Due.IsZero():
		keeps = 1
	default:
		due = unixMilli(o.Due)
	}
	changed, _, err := t.sql.record.exec(string(o.State), o.Reason, attempts, ambiguous, keeps, t.nowMS, due, finished, o.Seq, o.Claim)
	if err != nil || changed == 0 {
		return false, err
	}
	row, ok := t.sending[o.Seq]
	if !ok {
		return false, errors.New("claimed, but not by this process")
	}
	t.ended = append(t.ended, o.Seq)
	if finished != nil {
		t.count(row.Destination, -1)
		if row.late {
			t.countLate(row.Lane, -1)
		}
		t.over = append(t.over, over{row.Destination, o.State})
	}
	if match != nil {
		if err := t.sql.match.run(o.Match.User, match, o.Seq); err != nil {
			return true, err
		}
	}
	if o.Attempt != nil {
		if err := t.insertAttempt(&o, int64(row.attempt), detail); err != nil {
			return true, err
		}
	}
	if o.Attempt != nil && o.Attempt.Verdict == relay.Unmatched && finished != nil {
		// An id that relay.yaml or the event gave, and that is nobody's.
		if err := t.sql.unmatch.run(o.Seq); err != nil {
			return true, err
		}
	}
	if row.fallback != "" && (finished != nil || match != nil) {
		return true, t.decideFallback(row)
	}
	return true, nil
}

// insertAttempt adds an attempt to the log. Of the attempts between the first
// and the last only the story is kept, not the bodies.
func (t *transaction) insertAttempt(o *relay.Outcome, attempt int64, detail driver.Value) error {
	a := o.Attempt
	var wait driver.Value
	if a.RetryAfterMS != nil {
		wait = *a.RetryAfterMS
	}
	err := t.sql.insertAttempt.run(attemptKey(o.Seq, attempt), unixMilli(a.Started.Time), a.DurationMS, string(a.Verdict),
		a.Template, a.TemplateRevision, wait, a.Receipt, a.Error, detail)
	switch {
	case err != nil || attempt == 1:
		return err
	case attempt == 2:
		return t.sql.forgetResend.run(attemptKey(o.Seq, 1))
	}
	return t.sql.slim.run(attemptKey(o.Seq, attempt-1))
}

// claim takes what is due of one lane: what is live first, and replays where
// that leaves room.
func (t *transaction) claim(claimed *[]relay.Claimed, c relay.ClaimRequest, claim int64) (relay.Due, error) {
	first := len(*claimed)
	next, err := t.claimClass(claimed, c, claim, false)
	if err != nil || t.writer.late[c.Lane]+t.later[c.Lane] == 0 {
		return next, err
	}
	c.Limit -= len(*claimed) - first
	replays, err := t.claimClass(claimed, c, claim, true)
	if next.At.IsZero() || !replays.At.IsZero() && replays.At.Before(next.At) {
		next.At = replays.At
	}
	return next, err
}

// claimClass takes what is due of the live deliveries of a lane, or of its
// replays. The rows that it takes are the first of those pending, so one range
// names them all.
func (t *transaction) claimClass(claimed *[]relay.Claimed, c relay.ClaimRequest, claim int64, late bool) (relay.Due, error) {
	next := relay.Due{Lane: c.Lane}
	direct := flag(c.Part == relay.PartDirect)
	first := len(*claimed)
	var lastDue, lastSeq int64
	// One more than asked for says when to come back.
	err := t.sql.due.query(func(row []driver.Value) {
		seq, due := number(row[0]), number(row[8])
		if due > t.nowMS || len(*claimed)-first == c.Limit {
			if next.At.IsZero() {
				next.At = fromMilli(due)
			}
			return
		}
		lastDue, lastSeq = due, seq
		*claimed = append(*claimed, relay.Claimed{
			Seq:       seq,
			Claim:     claim,
			ID:        text(row[1]),
			EventID:   text(row[9]),
			EventType: text(row[10]),
			Lane:      c.Lane,
			Provider:  text(row[2]),
			Recipient: text(row[3]),
			User:      text(row[12]),
			Attempt:   int(number(row[4])) + 1,
			Ambiguous: int(number(row[5])),
			Created:   fromMilli(number(row[6])),
			Waited:    time.Duration(number(row[7])+t.nowMS-due) * time.Millisecond,
			Event:     []byte(text(row[11])),
			Trace:     text(row[15]),
		})
		held := sending{Lane: c.Lane, attempt: int(number(row[4])) + 1, event: number(row[13]), late: late}
		if !late {
			held.fallback = relay.Fallback(text(row[14]))
		}
		t.began = append(t.began, began{seq, held})
	}, c.Destination, direct, flag(late), int64(c.Limit)+1)
	if err != nil || len(*claimed) == first {
		return next, err
	}
	for i := first; i < len(*claimed); i++ {
		if c := &(*claimed)[i]; c.Ambiguous > 0 {
			if c.Resend, err = t.resend(attemptKey(c.Seq, int64(c.Attempt-1))); err != nil {
				return next, err
			}
		}
	}
	changed, _, err := t.sql.claim.exec(claim, t.nowMS, t.nowMS, flag(c.Paced), c.Destination, direct, flag(late), lastDue, lastSeq)
	if err == nil && int(changed) != len(*claimed)-first {
		err = fmt.Errorf("%d rows were chosen and %d taken", len(*claimed)-first, changed)
	}
	return next, err
}

// resend is what an attempt left behind to send the same again, if its outcome
// is unknown.
func (t *transaction) resend(attempt int64) (kept []byte, err error) {
	encoded := ""
	if err := t.sql.resend.query(func(row []driver.Value) { encoded = text(row[0]) }, attempt); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(encoded)
}
