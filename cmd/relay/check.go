//go:build !windows

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
)

func (c *cli) checkCommand() *cobra.Command {
	var online, diff bool
	cmd := &cobra.Command{
		Use: "check", Short: "Checks the configuration and the templates, and prints every fault", Args: cobra.NoArgs,
		Long: `Checks the configuration and the templates, and prints every fault.

With --diff it asks the running relay, too, and says what a reload would add,
drop or change there: destinations, entries of providers, sources and the other
sections, with the keys that differ. No value leaves this process: the two are
compared by keyed hashes. What a reload would refuse is a fault.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := c.options(c.config)
			if err != nil {
				return err
			}
			out := checkAnswer{}
			var asked func(app.Asked)
			if online {
				out.Asked = []app.Asked{}
				asked = func(a app.Asked) {
					out.Asked = append(out.Asked, a)
					if !c.json {
						printAsked(c.stdout, a)
					}
				}
			}
			checked, warnings, err := app.Check(cmd.Context(), o, asked)
			out.Good, out.Warnings = err == nil, warnings
			if err == nil && diff {
				if out.Diff, err = c.diff(cmd.Context(), checked); err != nil {
					return err
				}
				if refused := checked.Refused(out.Diff.Restart); len(refused) > 0 {
					out.Good, err = false, config.Problems(refused)
				}
			}
			if c.json {
				return c.printCheck(out, err)
			}
			for _, w := range warnings {
				fmt.Fprintf(c.stderr, "relay: warning: %s\n", w.Error())
			}
			if err == nil && online && len(out.Asked) == 0 {
				fmt.Fprintln(c.stdout, "no destination has credentials for direct messages, so nobody was asked")
			}
			if out.Diff != nil {
				out.Diff.print(c.stdout, c.config)
			}
			if err != nil {
				return c.explainMissing(err)
			}
			if !diff {
				fmt.Fprintf(c.stdout, "%s is good\n", c.config)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&online, "online", false, "ask the vendors, too, whether the credentials for direct messages work; nothing is sent to anybody")
	cmd.Flags().BoolVar(&diff, "diff", false, "say what a reload would add, drop or change in the running relay")
	return c.remote(c.table(cmd))
}

// checkAnswer is what relay check --json prints.
type checkAnswer struct {
	Good     bool            `json:"good"`
	Problems []relay.Problem `json:"problems"`
	Warnings []relay.Problem `json:"warnings"`
	Asked    []app.Asked     `json:"asked,omitzero"` // what --online asked
	Diff     *difference     `json:"diff,omitempty"`
}

// printAsked says what a vendor said about credentials.
func printAsked(w io.Writer, a app.Asked) {
	said := a.Outcome
	if a.Detail != "" {
		said += ": " + a.Detail
	}
	fmt.Fprintf(w, "%s (%s): %s\n", a.Entry, a.Provider, said)
}

// printCheck prints JSON. Faults are in it, and only the exit code says them again.
func (c *cli) printCheck(out checkAnswer, err error) error {
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	out.Problems = append([]relay.Problem{}, problems...)
	out.Warnings = append([]relay.Problem{}, out.Warnings...)
	if e := c.printJSON(out); e != nil {
		return e
	}
	if err != nil {
		return errSaid
	}
	return nil
}

// printJSON prints a value on a line.
func (c *cli) printJSON(value any) error {
	encoder := json.NewEncoder(c.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// difference is the answer of POST /v1/config/diff.
type difference struct {
	Revision     string          `json:"revision"`
	Changes      []config.Change `json:"changes"`
	Restart      []string        `json:"restart"`
	RemovedGrace string          `json:"removed_grace"`
}

// diff asks the running relay what would change in it.
func (c *cli) diff(ctx context.Context, checked *app.Checked) (*difference, error) {
	server, err := c.client()
	if err != nil {
		return nil, err
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	question, err := checked.Question(salt)
	if err != nil {
		return nil, err
	}
	out := &difference{}
	return out, server.do(ctx, "POST", "/v1/config/diff", question, out)
}

func (d *difference) print(w io.Writer, file string) {
	if len(d.Changes) == 0 {
		fmt.Fprintf(w, "%s is good; a reload changes nothing (revision %s runs)\n", file, d.Revision)
		return
	}
	fmt.Fprintf(w, "compared with revision %s, which runs, a reload of %s would\n", d.Revision, file)
	for _, change := range d.Changes {
		kind, name, named := strings.Cut(change.Part, ".")
		words := kind
		if named {
			words = strings.TrimSuffix(kind, "s") + " " + name
		}
		switch {
		case change.Action == config.ActionDrop && kind == "destinations":
			words += ": what waits for it is held for " + d.RemovedGrace + ", then dead"
		case len(change.Keys) > 0:
			words += ": " + strings.Join(change.Keys, ", ")
		}
		fmt.Fprintf(w, "  %-7s %s\n", change.Action, words)
	}
}
