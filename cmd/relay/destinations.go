//go:build !windows

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
)

// destination is a row of GET /v1/destinations.
type destination struct {
	Name          string
	Provider      string
	State         string
	Reason        string
	Channel       *part
	Direct        *part
	Pending       int
	OldestPending *time.Time `json:"oldest_pending"`
	Until         *time.Time
}

// part is how a part of a destination stands.
type part struct{ State, Reason string }

func (c *cli) destinationsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "destinations", Short: "Lists, tests, pauses and resumes destinations", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(c.destinationsList(), c.destinationsTest(),
		c.destinationsChange("pause", "Holds a destination's deliveries until it is resumed"),
		c.destinationsChange("resume", "Lets a paused destination go on"))
	return c.remote(cmd)
}

func (c *cli) destinationsList() *cobra.Command {
	return c.table(&cobra.Command{
		Use: "list", Short: "Lists destinations and what waits for them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.do(cmd.Context(), "GET", "/v1/destinations", nil, &answer); err != nil {
				return err
			}
			if c.json {
				_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
				return err
			}
			var list struct{ Destinations []destination }
			if err := json.Unmarshal(answer, &list); err != nil {
				return fmt.Errorf("read relay's answer: %w", err)
			}
			w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tPROVIDER\tCHANNEL\tDIRECT\tPENDING\tOLDEST\tREASON")
			for _, d := range list.Destinations {
				oldest := "-"
				if d.OldestPending != nil {
					oldest = time.Since(*d.OldestPending).Round(time.Second).String()
				}
				reason := d.Reason
				if reason == "" && d.Direct != nil {
					reason = d.Direct.Reason
				}
				if d.Until != nil {
					reason += ", dead after " + d.Until.Local().Format(time.DateTime)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.Name, cmp.Or(d.Provider, "-"), d.Channel, d.Direct, d.Pending, oldest, shorten(reason, 60))
			}
			return w.Flush()
		},
	})
}

// String is a part's state in a table; a destination may lack the part.
func (p *part) String() string {
	if p == nil {
		return "-"
	}
	return p.State
}

func (c *cli) destinationsChange(verb, short string) *cobra.Command {
	var in struct {
		Part relay.Part `json:"part,omitempty"`
	}
	named := ""
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Part, err = api.ParsePart(named); err != nil {
				return &usageError{fmt.Errorf("--part %w", err)}
			}
			server, err := c.client()
			if err != nil {
				return err
			}
			body, err := json.Marshal(in)
			if err != nil {
				return err
			}
			var d destination
			if err := server.do(cmd.Context(), "POST", "/v1/destinations/"+url.PathEscape(args[0])+"/"+verb, body, &d); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s: channel %s, direct messages %s, pending: %d\n", d.Name, d.Channel, d.Direct, d.Pending)
			return nil
		},
	}
	cmd.Flags().StringVar(&named, "part", "", "channel or direct; direct messages of all destinations with the same credentials go together (default: the channel, where there is one)")
	return cmd
}

// testTimeout is longer than the longest attempt with its look-ups.
const testTimeout = 2 * time.Minute

func (c *cli) destinationsTest() *cobra.Command {
	var in struct {
		Type string `json:"type,omitempty"`
		To   string `json:"to,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Really sends a test message, and shows each step's answer", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			server.http.Timeout = testTimeout
			body, err := json.Marshal(in)
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.do(cmd.Context(), "POST", "/v1/destinations/"+url.PathEscape(args[0])+"/test", body, &answer); err != nil {
				return err
			}
			var d relay.Delivery
			if err := json.Unmarshal(answer, &d); err != nil {
				return fmt.Errorf("read relay's answer: %w", err)
			}
			if c.json {
				fmt.Fprintf(c.stdout, "%s\n", answer)
			} else {
				printDelivery(c.stdout, &d)
			}
			if d.State == relay.StateDelivered {
				return nil
			}
			return undelivered(&d)
		},
	}
	cmd.Flags().StringVar(&in.Type, "type", "", "the event type whose sample is sent (default relay.test)")
	cmd.Flags().StringVar(&in.To, "to", "", "write to this person instead of the channel: an email, a phone (+8613800000000) or the provider's id")
	return c.table(cmd)
}

// undelivered says how a test ended that did not arrive.
func undelivered(d *relay.Delivery) error {
	why := d.Reason
	if n := len(d.Log); n > 0 && d.Log[n-1].Error != "" {
		why = d.Log[n-1].Error
	}
	err := fmt.Errorf("not delivered, the delivery is %s: %s", d.State, why)
	switch {
	case why == "":
		err = fmt.Errorf("not delivered in time, the delivery is %s; see: relay deliveries show %s", d.State, d.ID)
	case d.State == relay.StateHeld && d.Reason == relay.ErrUnavailable.Error():
		return hint(err, "what is wrong with its plugin says: relay plugin list; the delivery goes out when it runs")
	case d.State == relay.StateHeld:
		return hint(err, "mend the settings, or let it go on with: relay destinations resume %s --part %s", d.Destination, d.Part)
	case d.State == relay.StatePending:
		return hint(err, "relay goes on trying; see: relay deliveries show %s", d.ID)
	}
	return err
}
