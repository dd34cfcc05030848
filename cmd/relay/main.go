//go:build !windows

// Command relay is a sidecar that delivers an app's events to the chat tools
// that people already use.
//
// What it prints follows a few rules. Results go to standard output; errors,
// hints and the log go to standard error. An error reads "relay: error: …", in
// lower case and without a full stop, and where a remedy is known it is
// followed by "relay: hint: …". The exit code is 0, 1 when the thing failed, or
// 2 when the command was used wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	_ "time/tzdata" // destinations name time zones, and a container may have none

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins"
)

func main() {
	// Plugins start often and want nothing of what follows.
	if len(os.Args) == 4 && os.Args[1] == "plugin" && os.Args[2] == "serve" {
		servePlugin(os.Args[3])
		return
	}
	if os.Getpid() == 1 {
		os.Exit(runAsInit())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// servePlugin is a built-in provider's process, or the script child's.
func servePlugin(name string) {
	if name == pluginhost.ScriptsName {
		plugin.ServeProcess(nil, &scripts.Server{})
		return
	}
	for _, p := range plugins.All() {
		if p.Describe().Name == name {
			plugin.Serve(p)
			return
		}
	}
	fmt.Fprintf(os.Stderr, "relay: error: there is no built-in plugin %q\n", name)
	os.Exit(2)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var usage *usageError
	if !c.began && !errors.As(err, &usage) {
		err = &usageError{err} // cobra refused the words before anything ran
	}
	if !errors.Is(err, errSaid) {
		c.fail(err)
	}
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// cli is one run of the command line.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	began          bool // a command ran; before that, errors are about usage
	config         string
	log            config.Log // what flags say of it
	server, token  string
	json           bool
}

// usageError is about the words of the command itself.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// errSaid is a failure of which everything is said.
var errSaid = errors.New("it failed")

// hinted is an error with a remedy.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// fail prints an error, every line of it, and its hint. A fault of a template
// is followed by the lines around its place.
func (c *cli) fail(err error) {
	var faults config.Problems
	if errors.As(err, &faults) && err.Error() == faults.Error() {
		for _, p := range faults {
			fmt.Fprintf(c.stderr, "relay: error: %s\n", p.Error())
			printFrame(c.stderr, p.Frame, p.Hint)
		}
	} else {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(c.stderr, "relay: error: %s\n", strings.TrimRight(line, "\n"))
		}
	}
	var h *hinted
	var usage *usageError
	switch {
	case errors.As(err, &h):
		fmt.Fprintf(c.stderr, "relay: hint: %s\n", h.hint)
	case errors.As(err, &usage):
		fmt.Fprintln(c.stderr, "relay: hint: see relay --help")
	}
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "relay",
		Short: "Delivers an app's events to the chat tools that people already use",
		Long: `relay is a sidecar: it accepts an app's events over localhost HTTP, keeps each on
disk until it is dealt with, and delivers it to chat channels through provider
plugins that render messages with JavaScript templates.

Start with: relay demo`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			c.began = true
		},
		RunE: c.runRelay,
	}
	root.PersistentFlags().StringVarP(&c.config, "config", "c", "relay.yaml", "the configuration file")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(c.runCommand(), c.demoCommand(), c.initCommand(), c.checkCommand(), c.previewCommand(), c.templateCommand(), c.sendCommand(),
		c.eventsCommand(), c.deliveriesCommand(), c.explainCommand(), c.destinationsCommand(), c.storeCommand(), c.pluginCommand(), c.reloadCommand(), c.schemaCommand(), c.versionCommand())
	return c.logging(root)
}

// remote adds the flags of commands that talk to a running relay.
func (c *cli) remote(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVar(&c.server, "server", "", "the running relay: http://host:port or unix:///path (default: RELAY_SERVER, else the configuration file)")
	cmd.PersistentFlags().StringVar(&c.token, "token", "", "a bearer token (default: RELAY_TOKEN, else the configuration file)")
	return cmd
}

// table adds --json to a command that prints a table.
func (c *cli) table(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON instead of a table")
	return cmd
}

// between takes so many arguments, and says otherwise how the command is written.
func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return &usageError{fmt.Errorf("%d arguments were given; write: %s", len(args), cmd.UseLine())}
		}
		return nil
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Prints relay's version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(c.stdout, "relay %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
