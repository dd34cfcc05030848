//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/scripts"
)

func (t *templateDir) testCommand() *cobra.Command {
	update := false
	cmd := &cobra.Command{
		Use:   "test [NAME…]",
		Short: "Renders the fixtures in testdata and compares with their golden files",
		Long: `Renders each fixture, a file testdata/NAME.json below the templates directory,
with the templates that it reaches, and compares what they make with the golden
files beside it, NAME--TEMPLATE.golden. The clock stands at 2026-01-02 15:04:05
UTC, and random numbers are the same every time.

A fixture is an event as relay send takes it: every template of the directory
that the event can reach is tested. Or it is an object with

  event        the event, or
  sample       the type of the catalogue whose sample it is
  destination  a destination of the configuration, whose template is rendered, or
  provider     such as slack: the template that it finds, built-in ones included
  template     a template, by its path below the directory
  language     default: the destination's, or en
  time_zone    default: the destination's, or UTC
  recipient    a person, or an email, a phone or an id: it is a direct message`,
		Example: `  relay template test
  relay template test --update
  relay template test created approval-zh`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.find(); err != nil {
				return err
			}
			bench, set, err := t.load(cmd.Context())
			if err != nil {
				return err
			}
			defer bench.Close()
			if err := asError(set.Problems()); err != nil {
				return err
			}
			fixtures, err := t.fixtures(args)
			if err != nil {
				return err
			}
			r := &goldenRun{templateDir: t, bench: bench, set: set, update: update}
			for _, file := range fixtures {
				r.run(cmd.Context(), file)
			}
			return r.finish(len(fixtures))
		},
	}
	cmd.Flags().BoolVar(&update, "update", false, "write the golden files as the templates are now")
	return cmd
}

// fixtures are the files that are named, or all.
func (t *templateDir) fixtures(names []string) ([]string, error) {
	dir := filepath.Join(t.path, "testdata")
	all, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, hint(fmt.Errorf("there are no fixtures in %s", dir), `write one, such as created.json: {"sample": "issue.created"}`)
	}
	if len(names) == 0 {
		return all, nil
	}
	var short, wanted []string
	for _, file := range all {
		short = append(short, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	for _, name := range names {
		i := slices.Index(short, strings.TrimSuffix(filepath.Base(name), ".json"))
		if i < 0 {
			return nil, fmt.Errorf("there is no fixture %q in %s%s", name, dir, config.Suggest(name, short))
		}
		wanted = append(wanted, all[i])
	}
	return wanted, nil
}

// goldenRun is one run of the tests.
type goldenRun struct {
	*templateDir
	bench    *app.Bench
	set      *scripts.Set
	update   bool
	rendered int
	written  int
	failed   int
	differs  bool // a golden file does
}

// run tests a fixture, and tells what is wrong with it.
func (r *goldenRun) run(ctx context.Context, file string) {
	all, err := r.bench.Render(ctx, r.set, r.cfg, file)
	if err != nil {
		r.failed++
		for line := range strings.Lines(err.Error()) {
			r.fail(fmt.Errorf("%s: %s", file, strings.TrimRight(line, "\n")))
		}
		return
	}
	leftOver, _ := filepath.Glob(app.GoldenPrefix(file) + "*.golden") // the pattern is good: the fixture was found by one like it
	for _, one := range all {
		r.rendered++
		leftOver = slices.DeleteFunc(leftOver, func(name string) bool { return name == one.Golden })
		if err := r.compare(file, one); err != nil {
			r.failed++
			r.fail(err)
		}
	}
	for _, name := range leftOver {
		if err := r.drop(name); err != nil {
			r.failed++
			r.fail(err)
		}
	}
}

// compare holds a rendering against its golden file, or writes it.
func (r *goldenRun) compare(fixture string, one app.Rendering) error {
	if one.Err != nil {
		return fmt.Errorf("%s: the template fails: %w", fixture, one.Err)
	}
	want, err := os.ReadFile(one.Golden)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !missing:
		return err
	case !missing && string(want) == string(one.Text):
		return nil
	case r.update:
		r.written++
		fmt.Fprintf(r.stdout, "wrote %s\n", one.Golden)
		return os.WriteFile(one.Golden, one.Text, 0o644)
	}
	r.differs = true
	if missing {
		return fmt.Errorf("%s: %s has no golden file yet", fixture, one.Template)
	}
	fmt.Fprintf(r.stdout, "%s\n", diff.Diff(one.Golden, want, "what "+one.Template+" makes now", one.Text))
	return fmt.Errorf("%s: %s makes something else than %s says", fixture, one.Template, filepath.Base(one.Golden))
}

// drop is about a golden file that no template makes any more.
func (r *goldenRun) drop(name string) error {
	if r.update {
		r.written++
		fmt.Fprintf(r.stdout, "removed %s\n", name)
		return os.Remove(name)
	}
	r.differs = true
	return fmt.Errorf("%s: its fixture reaches no such template any more", name)
}

func (r *goldenRun) finish(fixtures int) error {
	switch {
	case r.failed > 0 && r.differs:
		return hint(fmt.Errorf("faults: %d", r.failed), "what is as you want it can be written down: relay template test --update")
	case r.failed > 0:
		return fmt.Errorf("faults: %d", r.failed)
	case r.written > 0:
		fmt.Fprintf(r.stdout, "fixtures: %d, renderings: %d; golden files that changed: %d, look at them before you commit them\n", fixtures, r.rendered, r.written)
	default:
		fmt.Fprintf(r.stdout, "fixtures: %d, renderings: %d; all as they were\n", fixtures, r.rendered)
	}
	return nil
}
