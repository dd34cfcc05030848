//go:build !windows

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
)

// explanation is an answer of GET /v1/events/{id}/explain.
type explanation struct {
	ID, Key, Source, Type, Level, Title string
	Created                             time.Time
	Own                                 string
	Config                              struct {
		Revision string
		Loaded   time.Time
		Newer    bool
	}
	Destinations []considered
}

type considered struct {
	Name, Provider    string
	Configured, Takes bool
	Reason            string
	Deliveries        []relay.Delivery
}

func (c *cli) explainCommand() *cobra.Command {
	return c.remote(c.table(&cobra.Command{
		Use: "explain EVENT", Short: "Tells an event's story: which destinations took it or not and why, matches, waits, attempts; by relay's id or the sender's", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.event(cmd.Context(), "GET", args[0], "/explain", &answer); err != nil {
				return err
			}
			if c.json {
				_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
				return err
			}
			var e explanation
			if err := json.Unmarshal(answer, &e); err != nil {
				return fmt.Errorf("read relay's answer: %w", err)
			}
			printExplanation(c.stdout, &e)
			return nil
		},
	}))
}

func printExplanation(w io.Writer, e *explanation) {
	fmt.Fprintf(w, "%s (%s): %s\n", e.Type, e.Level, shorten(e.Title, 100))
	fmt.Fprintf(w, "event %s", e.ID)
	if e.Key != "" {
		fmt.Fprintf(w, ", the sender's id %s", e.Key)
	}
	fmt.Fprintf(w, ", from %s, accepted %s\n", e.Source, e.Created.Local().Format(stamp))
	if e.Config.Newer && e.Own == "" {
		fmt.Fprintf(w, "Reasons are those of the configuration that runs now (%s, loaded %s), after the event came.\n", e.Config.Revision, e.Config.Loaded.Local().Format(stamp))
	}
	switch {
	case len(e.Destinations) > 0:
	case e.Own != "":
		fmt.Fprintln(w, "\nrelay sent it itself, and its delivery is not kept any more")
	default:
		fmt.Fprintln(w, "\nno destination is configured")
	}
	for _, d := range e.Destinations {
		took := "does not take it"
		switch {
		case len(d.Deliveries) > 0 && d.Takes:
			took = "took it"
		case len(d.Deliveries) > 0:
			took = "took it, and would not now"
		case d.Takes:
			took = "did not take it, and would now"
		}
		fmt.Fprintf(w, "\n%s (%s) %s: %s\n", d.Name, d.Provider, took, d.Reason)
		for i := range d.Deliveries {
			printStory(w, &d.Deliveries[i])
		}
	}
}

// stamp is a time in a story.
const stamp = "2006-01-02 15:04:05.000"

// printStory tells what became of one delivery, a line for each thing that
// happened.
func printStory(w io.Writer, d *relay.Delivery) {
	what := "to the channel"
	switch {
	case d.Part == relay.PartDirect:
		what = "to " + addressee(d)
	case d.Fallback:
		what = "to the channel, since direct messages did not reach whom they should"
	}
	if d.ReplayOf != nil {
		what += ", a replay of " + *d.ReplayOf
	}
	fmt.Fprintf(w, "  %s (delivery %s)\n", what, d.ID)
	line := func(at time.Time, format string, args ...any) {
		fmt.Fprintf(w, "    %s  %s\n", at.Local().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
	line(d.Created.Time, "accepted")
	since, wait := d.Created.Time, "" // when the last thing ended, and what it asked for
	for _, h := range happenings(d) {
		if gap := h.began.Sub(since); gap >= noticed {
			line(since, "waited %s%s", gap.Round(time.Millisecond), wait)
		}
		line(h.at, "%s", h.what)
		for _, call := range h.calls {
			fmt.Fprintf(w, "                  %s\n", call)
		}
		since, wait = h.ended, h.wait
	}
	if d.WaitedMS >= noticed.Milliseconds() {
		fmt.Fprintf(w, "                  of all this it was due and could not start for %s, by limits, pauses, full slots or relay's absence\n", time.Duration(d.WaitedMS)*time.Millisecond)
	}
	end := string(d.State)
	if d.Reason != "" {
		end += ": " + d.Reason
	}
	if d.NextAttempt != nil {
		end += ", next attempt " + d.NextAttempt.Local().Format(stamp)
	}
	line(d.Updated.Time, "%s", end)
}

// happening is a match, an attempt or an interruption of a delivery.
type happening struct {
	at, began, ended time.Time // at is what is told
	what             string
	calls            []string // a line each
	wait             string   // what the vendor asked for
}

// happenings are what happened to a delivery, in order. A person is matched
// before the first attempt, or after attempts that were look-ups and failed.
func happenings(d *relay.Delivery) []happening {
	var all []happening
	calls := func(steps []relay.Step) (lines []string, took time.Duration) {
		for _, s := range steps {
			lines = append(lines, oneCall(s.Name, s.Request, s.Response, s.Error))
			took += time.Duration(s.DurationMS) * time.Millisecond
		}
		return lines, took
	}
	if m := d.Match; m != nil {
		how := "by " + m.By
		if m.Cached {
			how += ", looked up before"
		}
		lines, took := calls(m.Steps)
		all = append(all, happening{at: m.At.Time, began: m.At.Add(-took), ended: m.At.Time, what: fmt.Sprintf("matched: user %s, %s", m.User, how), calls: lines})
	}
	for _, a := range d.Log {
		h := happening{at: a.Started.Time, began: a.Started.Time, ended: a.Started.Add(time.Duration(a.DurationMS) * time.Millisecond)}
		h.what = fmt.Sprintf("attempt %d: %s in %d ms%s", a.Attempt, a.Verdict, a.DurationMS, template(&a))
		h.calls, _ = calls(a.Steps)
		if text := oneCall("", a.Request, a.Response, a.Error); text != "" {
			h.calls = append(h.calls, text)
		}
		if a.RetryAfterMS != nil {
			h.wait = fmt.Sprintf(": the answer asked for %s", time.Duration(*a.RetryAfterMS)*time.Millisecond)
		}
		all = append(all, h)
	}
	if at := d.Interrupted; at != nil {
		all = append(all, happening{at: at.Time, began: at.Time, ended: at.Time,
			what: "taken up, and relay ended before it was recorded what came of it; it may have been sent", wait: ", relay's absence included"})
	}
	// Attempts are kept to the millisecond; the match is before one that began in it.
	slices.SortStableFunc(all, func(x, y happening) int {
		return x.at.Truncate(time.Millisecond).Compare(y.at.Truncate(time.Millisecond))
	})
	return all
}

// noticed is how long a wait is that a story tells of.
const noticed = 100 * time.Millisecond

// template is which one an attempt was rendered with.
func template(a *relay.Attempt) string {
	out := ""
	if a.Template != "" {
		out = ", template " + a.Template
	}
	if a.TemplateError != nil {
		out += ", after a template error: " + a.TemplateError.Error()
	}
	return out
}

// oneCall is a question to a vendor with its answer, on one line.
func oneCall(name string, q *relay.Request, r *relay.Response, fault string) string {
	var parts []string
	if name != "" {
		parts = append(parts, name+":")
	}
	if q != nil {
		parts = append(parts, q.Method, q.URL)
	}
	if r != nil {
		parts = append(parts, fmt.Sprintf("→ %d %s", r.Status, shorten(r.Body, 120)))
	}
	if fault != "" {
		parts = append(parts, "("+shorten(fault, 200)+")")
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}
