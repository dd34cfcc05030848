//go:build !windows

package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
)

// destination is a row of GET /v1/destinations.
type destination struct {
	Name          string
	Provider      string
	State         string
	Reason        string
	Pending       int
	OldestPending *time.Time `json:"oldest_pending"`
}

func (c *cli) destinationsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "destinations", Short: "Lists, pauses and resumes destinations", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(c.destinationsList(),
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
			fmt.Fprintln(w, "NAME\tPROVIDER\tSTATE\tPENDING\tOLDEST\tREASON")
			for _, d := range list.Destinations {
				oldest := "-"
				if d.OldestPending != nil {
					oldest = time.Since(*d.OldestPending).Round(time.Second).String()
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", d.Name, d.Provider, d.State, d.Pending, oldest, shorten(d.Reason, 60))
			}
			return w.Flush()
		},
	})
}

func (c *cli) destinationsChange(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var d destination
			if err := server.do(cmd.Context(), "POST", "/v1/destinations/"+url.PathEscape(args[0])+"/"+verb, nil, &d); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s is %s, pending: %d\n", d.Name, d.State, d.Pending)
			return nil
		},
	}
}

func (c *cli) reloadCommand() *cobra.Command {
	return c.remote(&cobra.Command{
		Use: "reload", Short: "Asks the running relay to reload, and says what came of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var status struct {
				Config    struct{ Revision string }
				Templates struct {
					Revision string
					Problems []relay.Problem
				}
			}
			if err := server.do(cmd.Context(), "POST", "/v1/reload", nil, &status); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "running: configuration %s, templates %s\n", status.Config.Revision, status.Templates.Revision)
			for _, p := range status.Templates.Problems {
				fmt.Fprintf(c.stdout, "bad template: %s\n", p.Error())
			}
			return nil
		},
	})
}
