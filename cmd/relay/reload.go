//go:build !windows

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
)

// running is what relay reload reads of GET /v1/status.
type running struct {
	Config    struct{ Revision string }
	Templates struct {
		Revision string
		Problems []relay.Problem
	}
	Plugins []runningPlugin
}

type runningPlugin struct{ Name, State, Error string }

func (c *cli) reloadCommand() *cobra.Command {
	return c.remote(&cobra.Command{
		Use: "reload", Short: "Asks the running relay to reload, and says what came of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var status running
			if err := server.do(cmd.Context(), "POST", "/v1/reload", nil, &status); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "running: configuration %s, templates %s\n", status.Config.Revision, status.Templates.Revision)
			for _, p := range status.Templates.Problems {
				fmt.Fprintf(c.stdout, "bad template: %s\n", p.Error())
				printFrame(c.stdout, p.Frame, p.Hint)
			}
			for _, p := range started(cmd.Context(), server, status.Plugins) {
				if words := p.trouble(); words != "" {
					fmt.Fprintf(c.stderr, "relay: warning: %s\n", words)
				}
			}
			return nil
		},
	})
}

// startPatience is how long relay reload waits for plugins to start, after the
// reload itself: longer than a good one takes, and not for one that never does.
const startPatience = 1500 * time.Millisecond

// started are the plugins once none is at its start any more, or as they stand
// when that takes long.
func started(ctx context.Context, server *client, plugins []runningPlugin) []runningPlugin {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for slices.ContainsFunc(plugins, func(p runningPlugin) bool { return p.State == "starting" && p.Error == "" }) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return plugins
		}
		var status running
		if server.do(ctx, "GET", "/v1/status", nil, &status) != nil {
			return plugins // the token may not open it
		}
		plugins = status.Plugins
	}
	return plugins
}

// trouble says what is wrong with a plugin; empty: nothing.
func (p *runningPlugin) trouble() string {
	why := ""
	if p.Error != "" {
		why = ": " + p.Error
	}
	switch {
	case p.State == "ready" && p.Error != "":
		return fmt.Sprintf("plugin %s is not replaced, the one that ran goes on%s", p.Name, why)
	case p.State == "ready" || p.State == "unused":
		return ""
	}
	return fmt.Sprintf("plugin %s does not run (%s), and what it would deliver waits%s", p.Name, p.State, why)
}
