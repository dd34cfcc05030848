//go:build !windows

package main

import (
	"embed"
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
		Args:  between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return c.initDir(dir)
		},
	}
}

func (c *cli) initDir(dir string) error {
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
		return write(strings.TrimPrefix(name, "starter/"), text)
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
	if dir != "." {
		fmt.Fprintf(c.stdout, "  cd %s\n", dir)
	}
	fmt.Fprint(c.stdout, `  relay check                                       says whether all is good
  relay preview --type issue.approval_requested     shows what the template makes
  export SLACK_WEBHOOK_URL=https://hooks.slack.com/services/T…/B…/…
  relay run                                         and, in another terminal:
  relay destinations test team                      really sends a message
`)
	return nil
}
