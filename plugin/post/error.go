package post

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
)

// Error is a request that was not answered, or whose answer broke off. Its
// text never holds the URL.
type Error struct {
	Sent    bool // a byte of the request was written: the vendor may have acted on it
	Invalid bool // the request itself is bad; nothing was tried
	text    string
	cause   error
}

func (e *Error) Error() string { return e.text }

// Unwrap is the cause, without the layer that holds the URL.
func (e *Error) Unwrap() error { return e.cause }

// Report is what the error means for the delivery: temporary when nothing was
// sent, ambiguous when something was.
func (e *Error) Report() relay.Report {
	switch {
	case e.Invalid:
		return relay.Report{Verdict: relay.MessageRefused, Error: e.text}
	case e.Sent:
		return relay.Report{Verdict: relay.Ambiguous, Error: e.text}
	default:
		return relay.Report{Verdict: relay.Temporary, Error: e.text}
	}
}

// failure words err, which ended the attempt after it had taken so long.
func (a *attempt) failure(err error, sent bool, took time.Duration) *Error {
	e := &Error{Sent: sent, cause: withoutURL(err)}
	var timeout net.Error
	switch {
	case errors.Is(a.ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.text = fmt.Sprintf("timeout: no answer within %s", took.Round(time.Millisecond))
		if !e.Sent {
			e.text = fmt.Sprintf("timeout: no connection within %s", took.Round(time.Millisecond))
		}
	case a.ctx.Err() != nil:
		e.text = "cancelled before the answer came"
	case e.Sent:
		e.text = "the connection broke before the answer was complete: " + e.cause.Error()
	default:
		e.text = "nothing could be sent: " + e.cause.Error()
	}
	return e
}

// withoutURL takes off *url.Error, which prints the URL.
func withoutURL(err error) error {
	for {
		var outer *url.Error
		if !errors.As(err, &outer) {
			return err
		}
		err = outer.Err
	}
}
