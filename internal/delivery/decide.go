package delivery

import (
	"fmt"
	"time"

	"github.com/relay-sidecar/relay"
)

const (
	// firstBackoff and lastBackoff bound the waits between attempts.
	firstBackoff = time.Second
	lastBackoff  = time.Hour
	// longestHint bounds what a vendor may ask to wait.
	longestHint = 24 * time.Hour
	// maxStrikes is how often a plugin may die over one delivery alone.
	maxStrikes = 3
)

// decide says what follows from a report. random yields numbers in [0, 1).
func decide(d Destination, r reported, strikes int, now time.Time, random func() float64) relay.Outcome {
	o := relay.Outcome{Seq: r.Seq, Claim: r.Claim, Attempt: attempt(r)}
	final := func(s relay.State, reason string) relay.Outcome {
		o.State, o.Reason = s, reason
		return o
	}
	retry := func(at time.Time) relay.Outcome {
		o.State, o.Reason, o.Due = relay.StatePending, r.Error, at
		return o
	}
	switch r.Verdict {
	case relay.Delivered:
		return final(relay.StateDelivered, "")
	case relay.Skipped:
		return final(relay.StateSkipped, "the template said no")
	case relay.MessageRefused, relay.RecipientRefused:
		return final(relay.StateDead, r.Error)
	case relay.Unmatched:
		return final(relay.StateDead, "unmatched")
	case relay.DestinationRefused:
		return retry(now) // held by the pause
	}
	if strikes >= maxStrikes {
		return final(relay.StateDead, fmt.Sprintf("its plugin died %d times while it held this delivery alone", strikes))
	}
	// While the vendor knows a message again, sending it once more doubles nothing.
	doubles := r.Verdict == relay.Ambiguous && !r.Lost && now.Sub(r.Created) >= r.DedupFor
	if doubles && r.Ambiguous+1 >= d.MaxAmbiguous && d.MaxAmbiguous > 0 {
		return final(relay.StateDead, fmt.Sprintf("outcome unknown after %d ambiguous attempts: %s", r.Ambiguous+1, r.Error))
	}
	if d.RetryFor == 0 {
		return final(relay.StateDead, r.Error)
	}
	wait := min(r.RetryAfter, longestHint)
	switch {
	case r.Lost: // it says nothing of the vendor
		wait = 0
	case wait <= 0:
		wait = backoff(r.Attempt, random)
	}
	// Only time in which relay could try counts: not how long the delivery was
	// due and had to wait for a rate, a pause or a free slot.
	left := d.RetryFor - (now.Sub(r.Created) - r.Waited)
	switch {
	case left <= 0:
		return final(relay.StateExpired, fmt.Sprintf("gave up after %s: %s", d.RetryFor, r.Error))
	case r.RetryAfter > 0 && wait > left:
		return final(relay.StateExpired, fmt.Sprintf("the vendor asks to wait %s, beyond retry.for %s: %s", wait, d.RetryFor, r.Error))
	}
	return retry(now.Add(min(wait, left)))
}

// backoff is full jitter below an exponential bound: the bound after the first
// attempt is 1 s, then 2 s, 4 s and so on up to an hour.
func backoff(attempt int, random func() float64) time.Duration {
	bound := lastBackoff
	if attempt < 13 { // 1 s << 12 is more than an hour
		bound = min(lastBackoff, firstBackoff<<(attempt-1))
	}
	return time.Duration(random() * float64(bound))
}

// attempt is the log's account of a report.
func attempt(r reported) *relay.Attempt {
	a := &relay.Attempt{
		Attempt: r.Claimed.Attempt, Started: relay.Time{Time: r.started}, DurationMS: r.ended.Sub(r.started).Milliseconds(),
		Template: r.Template, TemplateRevision: r.TemplateRevision, TemplateError: r.TemplateError,
		Message: r.Message, Steps: r.Steps, Request: r.Request, Response: r.Response,
		Verdict: r.Verdict, Lost: r.Lost, Resent: r.Resent, Resend: r.Report.Resend, Receipt: r.Receipt, Error: r.Error,
	}
	if r.Lost {
		a.Resend = r.Claimed.Resend // what the attempt before left is still in doubt
	}
	if r.RetryAfter > 0 {
		ms := r.RetryAfter.Milliseconds()
		a.RetryAfterMS = &ms
	}
	return a
}
