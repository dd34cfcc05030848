//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/plugin/post"
	"github.com/relay-sidecar/relay/plugins"
)

// atPoint is set by tests that end the process in the middle of something.
var atPoint func(app.Point)

func version() string { return post.Version() }

func (c *cli) runCommand() *cobra.Command {
	return c.logging(&cobra.Command{
		Use: "run", Short: "Runs the sidecar (what relay without a command does)", Args: cobra.NoArgs, RunE: c.runRelay,
	})
}

// logging adds the flags that win over relay.yaml's log.
func (c *cli) logging(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Var(&choice{&c.log.Format, []string{"text", "json"}}, "log-format", "how the log is written: text or json (default: log.format of the configuration)")
	cmd.Flags().Var(&choice{&c.log.Level, []string{"debug", "info", "warn", "error"}}, "log-level", "what is logged: debug, info, warn or error (default: log.level of the configuration)")
	return cmd
}

// choice is a flag that takes one of a few words.
type choice struct {
	to    *string
	words []string
}

func (f *choice) String() string { return "" }
func (f *choice) Type() string   { return "string" }

func (f *choice) Set(word string) error {
	if !slices.Contains(f.words, word) {
		return fmt.Errorf("write one of %s", strings.Join(f.words, ", "))
	}
	*f.to = word
	return nil
}

// options are those of a relay with this configuration file.
func (c *cli) options(file string) (app.Options, error) {
	executable, err := os.Executable()
	if err != nil {
		return app.Options{}, fmt.Errorf("find relay's own executable, which plugins run from: %w", err)
	}
	return app.Options{Config: file, Executable: executable, Providers: plugins.All(), Version: version(), Stderr: c.stderr, Log: c.log, At: atPoint}, nil
}

func (c *cli) runRelay(cmd *cobra.Command, _ []string) error {
	// Requests make much short-lived garbage over a small live heap: less
	// collecting for a few MiB more. GOGC in the environment wins.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	o, err := c.options(c.config)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	// From the start on: by default the signal would end relay.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	a, err := app.New(ctx, o)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop before it had begun
	case err != nil:
		return c.explainConfig(err)
	}
	return runWithReload(ctx, a, hangups)
}

// runWithReload runs until ctx ends and reloads on SIGHUP.
func runWithReload(ctx context.Context, a *app.App, hangups <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	for {
		select {
		case <-hangups:
			a.Kick()
		case err := <-ended:
			return err
		}
	}
}

// explainConfig adds the remedy to what New refuses.
func (c *cli) explainConfig(err error) error {
	if _, missing := os.Stat(c.config); missing == nil && errors.As(err, new(config.Problems)) {
		return hint(err, "mend the file and try again; relay check does the same without starting")
	}
	return c.explainMissing(err)
}

// explainMissing adds the remedy where there is no configuration at all.
func (c *cli) explainMissing(err error) error {
	if _, missing := os.Stat(c.config); missing != nil {
		return hint(err, "write one with: relay init; or start with: relay demo")
	}
	return err
}
