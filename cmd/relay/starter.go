//go:build !windows

package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/templates"
)

// starter is what relay init writes, but for the types, which ship with the templates.
//
//go:embed starter
var starter embed.FS

// typesFile stands in the templates directory, where editors find it.
const typesFile = "relay.d.ts"

func (c *cli) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Writes a commented relay.yaml and a templates directory; overwrites nothing",
		Long: `Writes a commented relay.yaml and a templates directory; overwrites nothing.

With --config the configuration has that name, and the templates stand beside
it. A relative one begins in DIR.`,
		Args: between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			switch {
			case dir == "":
				return &usageError{errors.New("the name of the directory is empty; leave it out for the one at hand")}
			case c.config == "" || strings.HasSuffix(c.config, "/"):
				return &usageError{fmt.Errorf("%q is not the name of a file", c.config)}
			case filepath.IsAbs(c.config) && len(args) == 1:
				return &usageError{fmt.Errorf("%s says where to write already; leave %s out", c.config, dir)}
			case filepath.IsAbs(c.config):
				return c.initDir(filepath.Split(c.config))
			}
			directory, file := filepath.Split(filepath.Join(dir, c.config))
			return c.initDir(directory, file)
		},
	}
}

// initDir writes a configuration and what belongs beside it. The directory is
// empty, or ends in a slash.
func (c *cli) initDir(dir, config string) error {
	wrote := 0
	write := func(name string, text []byte) error {
		file := filepath.Join(dir, filepath.FromSlash(name))
		written, err := writeNew(file, text, false)
		switch {
		case err != nil:
			return err
		case written:
			wrote++
			fmt.Fprintf(c.stdout, "wrote %s\n", file)
		default:
			fmt.Fprintf(c.stdout, "kept %s, which was there already\n", file)
		}
		return nil
	}
	err := fs.WalkDir(starter, "starter", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := starter.ReadFile(name)
		if err != nil {
			return err
		}
		if name = strings.TrimPrefix(name, "starter/"); name == "relay.yaml" {
			name = config
		}
		return write(name, text)
	})
	if err != nil {
		return err
	}
	types, err := fs.ReadFile(templates.FS(), typesFile)
	if err != nil {
		return err
	}
	if err := write("templates/"+typesFile, types); err != nil {
		return err
	}
	if wrote == 0 {
		fmt.Fprintln(c.stdout, "nothing was written: everything is there already")
		return nil
	}
	fmt.Fprintln(c.stdout, "\nNext:")
	if dir := filepath.Clean(dir); dir != "." {
		fmt.Fprintf(c.stdout, "  cd %s\n", dir)
	}
	named := ""
	if config != "relay.yaml" {
		named = " -c " + config
	}
	next := func(command, does string) { fmt.Fprintf(c.stdout, "  %-48s  %s\n", "relay "+command, does) }
	next("check"+named, "says whether all is good")
	next("preview"+named+" --type issue.approval_requested", "shows what the template makes")
	fmt.Fprintln(c.stdout, "  export SLACK_WEBHOOK_URL=https://hooks.slack.com/services/T…/B…/…")
	next("run"+named, "and, in another terminal:")
	next("destinations test team"+named, "really sends a message")
	return nil
}
