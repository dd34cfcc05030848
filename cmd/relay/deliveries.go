//go:build !windows

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
)

func (c *cli) deliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deliveries", Short: "Reads the sent log, and sends again", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(c.deliveriesList(), c.deliveriesShow(), c.deliveriesReplay())
	return c.remote(cmd)
}

// needsCommand is what a command of commands does on its own.
func needsCommand(cmd *cobra.Command, _ []string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return &usageError{fmt.Errorf("relay %s needs one of: %s", cmd.Name(), strings.Join(names, ", "))}
}

// filterHelp is what can be filtered by, in the words of --help.
var filterHelp = map[string]string{
	"destination": "only of this destination",
	"state":       "only in this state: pending, sending, held, delivered, skipped, dead or expired",
	"type":        "only of this event type",
	"event":       "only of the event with this id",
	"recipient":   "only to a recipient with this in their name, email, phone or id",
	"q":           "only with this text in the title, the sender's id, the recipient or the reason",
	"key":         "only with this id of the sender's",
	"source":      "only of this source",
	"level":       "only of this level: info, success, warn or error",
	"since":       "only accepted at or after this time: RFC 3339, or so long ago, such as 1h or 2d",
	"until":       "only accepted before this time: RFC 3339, or so long ago, such as 1h or 2d",
	"limit":       "at most so many (default 50)",
	"cursor":      "go on where the page before ended",
}

// deliveryFilters and eventFilters are flags of commands that list, pages those
// of a list that has some.
var (
	deliveryFilters = []string{"destination", "state", "type", "event", "recipient", "q", "since", "until"}
	eventFilters    = []string{"key", "source", "type", "level", "since", "until"}
	pages           = []string{"limit", "cursor"}
)

// filters adds flags to a command. What is called returns those that are set, as
// the API takes them.
func filters(cmd *cobra.Command, names ...string) func() (map[string]string, error) {
	flags := map[string]*string{}
	for _, name := range names {
		flags[name] = cmd.Flags().String(name, "", filterHelp[name])
	}
	return func() (map[string]string, error) {
		set := map[string]string{}
		var faults []error
		for _, name := range names {
			value := *flags[name]
			if value == "" {
				continue
			}
			more := ""
			if name == "since" || name == "until" {
				if ago, err := config.ParseDuration(value); err == nil {
					value = time.Now().Add(-ago).UTC().Format(time.RFC3339)
				}
				more = ", nor how long ago, such as 1h or 2d"
			}
			if err := api.CheckFilter(name, value); err != nil {
				faults = append(faults, fmt.Errorf("--%s %w%s", name, err, more))
			}
			set[name] = value
		}
		if err := errors.Join(faults...); err != nil {
			return nil, &usageError{err}
		}
		return set, nil
	}
}

// query is a path with filters.
func query(path string, filters map[string]string) string {
	q := url.Values{}
	for name, value := range filters {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// deliveryPage is an answer of GET /v1/deliveries.
type deliveryPage struct {
	Deliveries []relay.Delivery
	NextCursor string `json:"next_cursor"`
}

func (c *cli) deliveriesList() *cobra.Command {
	follow := false
	cmd := &cobra.Command{
		Use: "list", Short: "Lists deliveries, newest first", Args: cobra.NoArgs,
		Example: `  relay deliveries list --state dead --since 2h
  relay deliveries list --destination dba-team --follow`,
	}
	set := filters(cmd, append(deliveryFilters, pages...)...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		chosen, err := set()
		if err != nil {
			return err
		}
		server, err := c.client()
		if err != nil {
			return err
		}
		if follow {
			return c.follow(cmd.Context(), server, chosen)
		}
		var answer json.RawMessage
		if err := server.do(cmd.Context(), "GET", query("/v1/deliveries", chosen), nil, &answer); err != nil {
			return err
		}
		if c.json {
			_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
			return err
		}
		var page deliveryPage
		if err := json.Unmarshal(answer, &page); err != nil {
			return fmt.Errorf("read relay's answer: %w", err)
		}
		if name := chosen["destination"]; len(page.Deliveries) == 0 && name != "" {
			c.hintDestination(cmd.Context(), server, name)
		}
		return c.printDeliveries(page.Deliveries, page.NextCursor)
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with what comes and changes, the newest last, until interrupted")
	return c.table(cmd)
}

// hintDestination says that nothing is listed since a name is of no destination.
func (c *cli) hintDestination(ctx context.Context, server *client, name string) {
	var list struct{ Destinations []destination }
	if server.do(ctx, "GET", "/v1/destinations", nil, &list) == nil &&
		!slices.ContainsFunc(list.Destinations, func(d destination) bool { return d.Name == name }) {
		fmt.Fprintf(c.stderr, "relay: hint: there is no destination %s\n", name)
	}
}

func (c *cli) printDeliveries(rows []relay.Delivery, next string) error {
	if len(rows) == 0 {
		fmt.Fprintln(c.stdout, "no deliveries")
		return nil
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tTYPE\tDESTINATION\tTO\tSTATE\tATTEMPTS\tREASON")
	for _, d := range rows {
		fmt.Fprintln(w, strings.Join(columns(&d), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if next != "" {
		fmt.Fprintf(c.stdout, "more: --cursor %s\n", next)
	}
	return nil
}

// columns are a delivery's in a table.
func columns(d *relay.Delivery) []string {
	return []string{d.ID, d.Created.Local().Format(time.DateTime), d.EventType, d.Destination,
		shorten(addressee(d), 50), string(d.State), strconv.Itoa(d.Attempts), shorten(d.Reason, 60)}
}

// addressee is who a delivery is for.
func addressee(d *relay.Delivery) string {
	if d.Part != relay.PartDirect {
		return "channel"
	}
	return personWords(d.Recipient, d.User)
}

// personWords is a recipient as people write one: a name, and in brackets the
// email, the phone or the provider's id, of which any may be missing.
func personWords(recipient json.RawMessage, user string) string {
	var p relay.Person
	_ = json.Unmarshal(recipient, &p) // a recipient that is purged is none
	id := user
	for _, entry := range slices.Sorted(maps.Keys(p.IDs)) {
		id = cmp.Or(id, p.IDs[entry])
	}
	name, reach := printable(p.Name), printable(cmp.Or(p.Email, p.Phone, id))
	switch {
	case name != "" && reach != "":
		return name + " <" + reach + ">"
	case name != "" || reach != "":
		return name + reach
	}
	return "a person"
}

// printable is a text of a sender's without what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// shorten keeps a table's line on one line.
func shorten(s string, limit int) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= limit {
		return string(runes)
	}
	return string(runes[:limit-1]) + "…"
}

func (c *cli) deliveriesShow() *cobra.Command {
	return c.table(&cobra.Command{
		Use: "show ID", Short: "Tells one delivery's story: every attempt, what was sent and what was answered", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.do(cmd.Context(), "GET", "/v1/deliveries/"+url.PathEscape(args[0]), nil, &answer); err != nil {
				return err
			}
			if c.json {
				_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
				return err
			}
			var d relay.Delivery
			if err := json.Unmarshal(answer, &d); err != nil {
				return fmt.Errorf("read relay's answer: %w", err)
			}
			printDelivery(c.stdout, &d)
			return nil
		},
	})
}

func printDelivery(w io.Writer, d *relay.Delivery) {
	fmt.Fprintf(w, "delivery     %s\n", d.ID)
	fmt.Fprintf(w, "event        %s (%s)\n", d.EventID, d.EventType)
	fmt.Fprintf(w, "destination  %s (%s)\n", d.Destination, d.Provider)
	switch {
	case d.Part == relay.PartDirect:
		fmt.Fprintf(w, "to           %s\n", addressee(d))
	case d.Fallback:
		fmt.Fprintf(w, "to           the channel, since direct messages failed\n")
	}
	if d.ReplayOf != nil {
		fmt.Fprintf(w, "repeats      %s\n", *d.ReplayOf)
	}
	state := string(d.State)
	if d.Reason != "" {
		state += ": " + d.Reason
	}
	fmt.Fprintf(w, "state        %s\n", state)
	fmt.Fprintf(w, "accepted     %s\n", d.Created.Local().Format(time.RFC3339))
	if d.NextAttempt != nil {
		fmt.Fprintf(w, "next         %s\n", d.NextAttempt.Local().Format(time.RFC3339))
	}
	if d.Interrupted != nil {
		fmt.Fprintf(w, "interrupted  %s, when relay ended; whether it was sent then is not known\n", d.Interrupted.Local().Format(time.RFC3339))
	}
	if d.WaitedMS > 0 {
		fmt.Fprintf(w, "waited       %s until it could start\n", time.Duration(d.WaitedMS)*time.Millisecond)
	}
	printLog(w, d)
}

// printLog prints how a recipient was matched, and every attempt.
func printLog(w io.Writer, d *relay.Delivery) {
	if m := d.Match; m != nil {
		how := "by " + m.By
		if m.Cached {
			how += ", looked up before"
		}
		fmt.Fprintf(w, "\nmatched at %s: user %s, %s\n", m.At.Local().Format("15:04:05.000"), m.User, how)
		printSteps(w, m.Steps)
	}
	for _, a := range d.Log {
		fmt.Fprintf(w, "\nattempt %d at %s: %s in %d ms\n", a.Attempt, a.Started.Local().Format("15:04:05.000"), a.Verdict, a.DurationMS)
		if a.Template != "" {
			fmt.Fprintf(w, "  template  %s (revision %s)\n", a.Template, a.TemplateRevision)
		}
		if a.TemplateError != nil {
			fmt.Fprintf(w, "  template error  %s\n", a.TemplateError.Error())
			printFrame(w, a.TemplateError.Frame, a.TemplateError.Hint)
		}
		if a.Resent {
			fmt.Fprintln(w, "  resent    the same bytes as the attempt before, whose outcome is unknown")
		}
		printSteps(w, a.Steps)
		printCall(w, a.Request, a.Response)
		if a.RetryAfterMS != nil {
			fmt.Fprintf(w, "  wait      %s, the answer says\n", time.Duration(*a.RetryAfterMS)*time.Millisecond)
		}
		if a.Error != "" {
			fmt.Fprintf(w, "  error     %s\n", a.Error)
		}
	}
}

// printFrame shows the place of a template's fault and its remedy.
func printFrame(w io.Writer, frame, hint string) {
	for line := range strings.Lines(frame) {
		fmt.Fprintf(w, "  %s\n", strings.TrimRight(line, "\n"))
	}
	if hint != "" {
		fmt.Fprintf(w, "    hint: %s\n", hint)
	}
}

// printSteps prints the calls to a vendor that came before the last one.
func printSteps(w io.Writer, steps []relay.Step) {
	for _, s := range steps {
		fmt.Fprintf(w, "  step      %s in %d ms\n", s.Name, s.DurationMS)
		printCall(w, s.Request, s.Response)
		if s.Error != "" {
			fmt.Fprintf(w, "  error     %s\n", s.Error)
		}
	}
}

func printCall(w io.Writer, q *relay.Request, r *relay.Response) {
	if q != nil {
		fmt.Fprintf(w, "  request   %s %s\n", q.Method, q.URL)
		if q.Body != "" {
			fmt.Fprintf(w, "            %s\n", q.Body)
		}
	}
	if r != nil {
		fmt.Fprintf(w, "  answer    %d\n", r.Status)
		if r.Body != "" {
			fmt.Fprintf(w, "            %s\n", strings.TrimSpace(r.Body))
		}
	}
}
