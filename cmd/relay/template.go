//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugins"
)

func (c *cli) templateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Lists, copies and tests templates", Args: cobra.NoArgs, RunE: needsCommand}
	t := &templateDir{cli: c}
	cmd.PersistentFlags().StringVar(&t.flag, "dir", "", "the templates directory (default: the configuration's, or ./templates where there is none)")
	cmd.AddCommand(t.listCommand(), t.ejectCommand(), t.testCommand())
	return cmd
}

// templateDir is an operator's templates directory.
type templateDir struct {
	*cli
	flag string
	cfg  *config.Config // nil: there is none, or --dir says that none is needed
	path string
}

// find finds the directory. A configuration is not needed; one that is there
// and refused is an error only where nothing else names the directory.
func (t *templateDir) find() error {
	cfg, err := t.loadConfig()
	_, missing := os.Stat(t.config)
	switch {
	case err == nil:
		t.cfg, t.path = cfg, cfg.Templates
	case missing != nil:
		t.path = filepath.Join(filepath.Dir(t.config), "templates")
	case t.flag == "":
		return hint(err, "mend the configuration, or name the templates directory with --dir")
	}
	if t.flag != "" {
		t.path = t.flag
	}
	t.path = short(t.path)
	return nil
}

// short is a path as somebody in the working directory would write it.
func short(file string) string {
	dir, err := os.Getwd()
	if err != nil {
		return file
	}
	if relative, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(relative) {
		return relative
	}
	return file
}

// load compiles the directory. The caller closes the bench.
func (t *templateDir) load(ctx context.Context) (*app.Bench, *scripts.Set, error) {
	o, err := t.options(t.config)
	if err != nil {
		return nil, nil, err
	}
	bench, err := app.NewBench(o)
	if err != nil {
		return nil, nil, err
	}
	set, err := bench.Templates(ctx, t.path)
	if err != nil {
		bench.Close()
		return nil, nil, err
	}
	return bench, set, nil
}

// found is a row of relay template list.
type found struct {
	Type      string   `json:"type"`
	Providers []string `json:"providers"`
	Template  string   `json:"template"`
	BuiltIn   bool     `json:"built_in"`
}

func (t *templateDir) listCommand() *cobra.Command {
	destination := ""
	cmd := &cobra.Command{
		Use: "list", Short: "Shows which template each event type gets, and whose it is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := t.find(); err != nil {
				return err
			}
			bench, set, err := t.load(cmd.Context())
			if err != nil {
				return err
			}
			defer bench.Close()
			rows, err := t.rows(set, destination)
			if err != nil {
				return err
			}
			if t.json {
				raw, err := json.Marshal(map[string]any{"templates": rows})
				if err == nil {
					_, err = fmt.Fprintf(t.stdout, "%s\n", raw)
				}
				return errors.Join(err, asError(app.TemplateProblems(t.cfg, set)))
			}
			w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "TYPE\tPROVIDER\tTEMPLATE\tFROM")
			for _, r := range rows {
				from := t.path
				if r.BuiltIn {
					from = "built in"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Type, strings.Join(r.Providers, ", "), r.Template, from)
			}
			return errors.Join(w.Flush(), asError(app.TemplateProblems(t.cfg, set)))
		},
	}
	cmd.Flags().StringVar(&destination, "destination", "", "only what this destination gets, with the template that it names")
	return t.table(cmd)
}

func asError(problems []relay.Problem) error {
	var all []error
	for _, p := range problems {
		all = append(all, p)
	}
	return errors.Join(all...)
}

// rows has a row for each type and template: providers that share one share it.
func (t *templateDir) rows(set *scripts.Set, destination string) ([]found, error) {
	var providers []string
	named := ""
	switch {
	case destination != "":
		d, err := t.destination(destination)
		if err != nil {
			return nil, err
		}
		providers, named = []string{d.Use}, d.Template
	case t.cfg != nil && len(t.cfg.Destinations) > 0:
		for _, d := range t.cfg.Destinations {
			providers = append(providers, d.Use)
		}
	default:
		for _, p := range plugins.All() {
			providers = append(providers, p.Describe().Name)
		}
	}
	slices.Sort(providers)
	providers = slices.Compact(providers)
	var rows []found
	for _, eventType := range relay.Catalogue() {
		first := len(rows)
		for _, provider := range providers {
			program := set.Find(provider, eventType)
			if p := set.Named(named); named != "" && p != nil {
				program = p
			}
			i := slices.IndexFunc(rows[first:], func(r found) bool { return r.Template == program.Name && r.BuiltIn == !set.Own(program) })
			if i >= 0 {
				rows[first+i].Providers = append(rows[first+i].Providers, provider)
				continue
			}
			rows = append(rows, found{eventType, []string{provider}, program.Name, !set.Own(program)})
		}
	}
	return rows, nil
}

func (t *templateDir) destination(name string) (config.Destination, error) {
	if t.cfg == nil {
		return config.Destination{}, fmt.Errorf("there is no configuration %s that could have a destination %q", t.config, name)
	}
	var names []string
	for _, d := range t.cfg.Destinations {
		if names = append(names, d.Name); d.Name == name {
			return d, nil
		}
	}
	return config.Destination{}, fmt.Errorf("there is no destination %q%s", name, config.Suggest(name, names))
}
