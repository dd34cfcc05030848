//go:build !windows

package main

import "github.com/spf13/cobra"

func (c *cli) pluginNew() *cobra.Command { return &cobra.Command{Use: "new"} }
