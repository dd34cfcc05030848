//go:build !windows

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/plugin/plugintest/kit"
	"github.com/relay-sidecar/relay/plugins"
)

func (c *cli) pluginCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "Lists, begins and checks plugins of third parties", Args: cobra.NoArgs, RunE: needsCommand}
	cmd.AddCommand(c.pluginList(), c.pluginNew(), c.pluginCheck())
	return cmd
}

func (c *cli) pluginList() *cobra.Command {
	return c.remote(c.table(&cobra.Command{
		Use: "list", Short: "Lists the plugins of the running relay", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := c.client()
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if err := server.do(cmd.Context(), "GET", "/v1/plugins", nil, &answer); err != nil {
				return err
			}
			if c.json {
				_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
				return err
			}
			var list struct {
				Plugins []struct {
					Name, Origin, Version, State, Error string
					PID, Restarts                       int
					Memory                              int64
				}
			}
			if err := json.Unmarshal(answer, &list); err != nil {
				return fmt.Errorf("read relay's answer: %w", err)
			}
			w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tVERSION\tSTATE\tPID\tRESTARTS\tMEMORY\tORIGIN\tERROR")
			for _, p := range list.Plugins {
				pid, memory := "-", "-"
				if p.PID > 0 {
					pid = fmt.Sprint(p.PID)
				}
				if p.Memory > 0 {
					memory = fmt.Sprintf("%.1f MiB", float64(p.Memory)/(1<<20))
				}
				version := p.Version
				if version == "" {
					version = "-"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", p.Name, version, p.State, pid, p.Restarts, memory, p.Origin, p.Error)
			}
			return w.Flush()
		},
	}))
}

func (c *cli) pluginCheck() *cobra.Command {
	settings := ""
	cmd := &cobra.Command{
		Use: "check FILE [-- ARGUMENT…]", Short: "Runs the conformance kit on a plugin's executable",
		Long: `Runs a plugin's executable as relay would, with a stand-in for its vendor, and
reports whether it does what relay relies on.

With which settings, and how the vendor answers, stands in ` + kit.CaseFile + ` in the
directory of the executable or in this one. Without it the settings are made from
the plugin's own schemas, and the vendor answers by HTTP status alone.

Arguments for the plugin itself stand behind --.`,
		Example: `  relay plugin check ./relay-plugin-pager
  relay plugin check ./relay-plugin-pager --settings case.json
  relay plugin check node -- plugin.js --verbose`,
		Args: between(1, 100),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := kit.Plugin{Command: args}
			for _, builtIn := range plugins.All() {
				p.BuiltIn = append(p.BuiltIn, builtIn.Describe().Name)
			}
			if !strings.ContainsRune(args[0], filepath.Separator) {
				if _, err := os.Stat(args[0]); err == nil {
					p.Command[0] = "./" + args[0]
				} else if path, err := exec.LookPath(args[0]); err == nil {
					p.Command[0] = path // an interpreter
				}
			}
			file, err := caseFile(settings, args[0])
			if err != nil {
				return err
			}
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return fmt.Errorf("read the settings to check with: %w", err)
				}
				defer f.Close()
				if p.Case, err = kit.ReadCase(f); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
			results := kit.Check(cmd.Context(), p)
			if c.json {
				return c.printResults(results)
			}
			kit.Print(c.stdout, results)
			if !kit.Good(results) {
				return hint(fmt.Errorf("%s is not a good plugin yet", args[0]), "docs/plugins.md says what a plugin has to do")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&settings, "settings", "", "the file that says with which settings, and how the vendor answers (default: "+kit.CaseFile+")")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return hint(&usageError{err}, "what is for the plugin itself stands behind --")
	})
	return c.table(cmd)
}

// checkedPlugin is what relay plugin check --json prints.
type checkedPlugin struct {
	Good   bool          `json:"good"`
	Checks []pluginCheck `json:"checks"`
}

type pluginCheck struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"` // ok, failed or skipped
	Detail  string `json:"detail"`
	TookMS  int64  `json:"took_ms"`
}

// printResults prints JSON. What failed is in it, and only the exit code says it again.
func (c *cli) printResults(results []kit.Result) error {
	out := checkedPlugin{Good: kit.Good(results), Checks: []pluginCheck{}}
	for _, r := range results {
		out.Checks = append(out.Checks, pluginCheck{r.Name, strings.ToLower(string(r.Outcome)), r.Detail, r.Took.Milliseconds()})
	}
	if err := c.printJSON(out); err != nil {
		return err
	}
	if !out.Good {
		return errSaid
	}
	return nil
}

// caseFile finds what to check with; empty: there is nothing.
func caseFile(named, executable string) (string, error) {
	if named != "" {
		return named, nil
	}
	for _, path := range []string{filepath.Join(filepath.Dir(executable), kit.CaseFile), kit.CaseFile} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}
