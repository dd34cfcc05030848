//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
)

func (c *cli) eventsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Lists, shows and replays events, and forgets people", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(c.eventsList(), c.eventsShow(), c.eventsReplay(), c.eventsPurge())
	return c.remote(cmd)
}

func (c *cli) eventsList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Lists events, newest first", Args: cobra.NoArgs}
	set := filters(cmd, append(eventFilters, pages...)...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		chosen, err := set()
		if err != nil {
			return err
		}
		server, err := c.client()
		if err != nil {
			return err
		}
		var answer json.RawMessage
		if err := server.do(cmd.Context(), "GET", query("/v1/events", chosen), nil, &answer); err != nil {
			return err
		}
		if c.json {
			_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
			return err
		}
		if chosen["key"] != "" && chosen["source"] != "" { // that names one, which is answered as a whole
			return c.printEvent(answer)
		}
		var page struct {
			Events     []relay.EventRow
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return fmt.Errorf("read relay's answer: %w", err)
		}
		if len(page.Events) == 0 {
			fmt.Fprintln(c.stdout, "no events")
			return nil
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tCREATED\tSOURCE\tKEY\tTYPE\tLEVEL\tDELIVERIES\tTITLE")
		for _, e := range page.Events {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.ID, e.Created.Local().Format(time.DateTime), e.Source, orDash(shorten(e.Key, 40)), e.Type,
				e.Level, e.Deliveries, shorten(e.Title, 60))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if page.NextCursor != "" {
			fmt.Fprintf(c.stdout, "more: --cursor %s\n", page.NextCursor)
		}
		return nil
	}
	return c.table(cmd)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c *cli) eventsShow() *cobra.Command {
	return c.table(&cobra.Command{
		Use: "show EVENT", Short: "Shows an event as relay keeps it, and its deliveries; by relay's id or the sender's", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.event(cmd.Context(), "GET", args[0], "", &answer); err != nil {
				return err
			}
			if c.json {
				_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
				return err
			}
			return c.printEvent(answer)
		},
	})
}

// event asks for something of an event, which is named by relay's id or by the
// sender's. A sender's id that several sources use names no single one.
func (c *client) event(ctx context.Context, method, name, suffix string, out any) error {
	first := c.do(ctx, method, "/v1/events/"+url.PathEscape(name)+suffix, nil, out)
	var no *refusedAnswer
	if !errors.As(first, &no) || no.status != 404 {
		return first
	}
	var page struct{ Events []relay.EventRow }
	if err := c.do(ctx, "GET", query("/v1/events", map[string]string{"key": name}), nil, &page); err != nil {
		return err
	}
	switch len(page.Events) {
	case 0:
		return first
	case 1:
		return c.do(ctx, method, "/v1/events/"+page.Events[0].ID+suffix, nil, out)
	}
	var ids []string
	for _, e := range page.Events {
		ids = append(ids, fmt.Sprintf("%s of source %s", e.ID, e.Source))
	}
	return fmt.Errorf("several events have the key %q; name one by relay's own id: %s", name, strings.Join(ids, ", "))
}

// printEvent prints an answer of GET /v1/events/{id}.
func (c *cli) printEvent(answer json.RawMessage) error {
	var e struct {
		ID, Key, Source string
		Created         time.Time
		Event           json.RawMessage
		Original        *string
		Deliveries      []relay.Delivery
	}
	if err := json.Unmarshal(answer, &e); err != nil {
		return fmt.Errorf("read relay's answer: %w", err)
	}
	var body bytes.Buffer
	if err := json.Indent(&body, e.Event, "", "  "); err != nil {
		return fmt.Errorf("read relay's answer: %w", err)
	}
	fmt.Fprintf(c.stdout, "event     %s\nkey       %s\nsource    %s\naccepted  %s\n\n%s\n\n", e.ID, orDash(e.Key), e.Source, e.Created.Local().Format(time.RFC3339), body.Bytes())
	if e.Original != nil {
		fmt.Fprintf(c.stdout, "the source's sender sent:\n%s\n\n", strings.TrimSpace(*e.Original))
	}
	return c.printDeliveries(e.Deliveries, "")
}

func (c *cli) eventsReplay() *cobra.Command {
	return c.table(&cobra.Command{
		Use: "replay EVENT", Short: "Routes an event again, by today's configuration, once all its deliveries are over", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.event(cmd.Context(), "POST", args[0], "/replay", &answer); err != nil {
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
			if len(page.Deliveries) == 0 {
				fmt.Fprintf(c.stdout, "no destination wants it; see: relay explain %s\n", args[0])
				return nil
			}
			return c.printDeliveries(page.Deliveries, "")
		},
	})
}

func (c *cli) eventsPurge() *cobra.Command {
	var in struct {
		Recipient string `json:"recipient"`
	}
	yes := false
	cmd := &cobra.Command{
		Use: "purge --recipient EMAIL", Short: "Forgets a person: deliveries to them with all attempts, and what events and look-ups say of them", Args: cobra.NoArgs,
		Long: `Forgets a person, named by an email, a phone or an id: the deliveries to them go
with all attempts, finished or not; events lose them among the recipients, as
the actor and in every text; what a source's sender sent and the bodies that
were sent to others about them are removed, and so is what look-ups said. It
cannot be undone. Backups are files of your own: relay does not reach them.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Recipient == "" {
				return &usageError{errors.New("name the person with --recipient")}
			}
			server, err := c.client()
			if err != nil {
				return err
			}
			if !yes && !c.agree("Forget %s, which cannot be undone? Write yes: ", in.Recipient) {
				return hint(errors.New("nothing was removed"), "say --yes where nobody can answer")
			}
			body, err := json.Marshal(in)
			if err != nil {
				return err
			}
			server.http.Timeout = 0 // as long as it takes
			var answer json.RawMessage
			if err := server.do(cmd.Context(), "POST", "/v1/events/purge", body, &answer); err != nil {
				return err
			}
			if c.json {
				_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
				return err
			}
			var done relay.Purged
			if err := json.Unmarshal(answer, &done); err != nil {
				return fmt.Errorf("read relay's answer: %w", err)
			}
			fmt.Fprintf(c.stdout, "deliveries removed: %d\nevents removed: %d\nevents without the person now: %d, with attempts whose bodies were removed: %d\nanswers of look-ups removed: %d\n",
				done.Deliveries, done.Events, done.Redacted, done.Attempts, done.Identities)
			return nil
		},
	}
	cmd.Flags().StringVar(&in.Recipient, "recipient", "", "the person's email, phone or id")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c.table(cmd)
}

// agree asks a question on standard error.
func (c *cli) agree(format string, args ...any) bool {
	fmt.Fprintf(c.stderr, format, args...)
	answer, _ := bufio.NewReader(c.stdin).ReadString('\n') // no answer is no
	return strings.EqualFold(strings.TrimSpace(answer), "yes")
}
