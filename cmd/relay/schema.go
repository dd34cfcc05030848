//go:build !windows

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/plugins"
)

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Prints the JSON Schema of the configuration file, for editors", Args: cobra.NoArgs,
		Long: `Prints one JSON Schema of the whole configuration file: relay's own keys, those
of every provider, and the entries of providers that the file at hand has.

  relay schema > relay.schema.json

and this line at the top of relay.yaml make editors complete and check it:

  # yaml-language-server: $schema=relay.schema.json`,
		RunE: func(*cobra.Command, []string) error {
			text, err := config.Schema(c.config, app.ConfigOptions(plugins.All()))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "%s\n", text)
			return err
		},
	}
}
