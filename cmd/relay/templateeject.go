//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/templates"
)

func (t *templateDir) ejectCommand() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "eject NAME",
		Short: "Copies a built-in template, and what it imports, into the templates directory",
		Example: `  relay template eject issue.created
  relay template eject custom/default`,
		Args: between(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			names := ejectable()
			name, err := builtIn(args[0], names)
			if err != nil {
				return err
			}
			if err := t.find(); err != nil {
				return err
			}
			return t.eject(name, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite files that are there already")
	return cmd
}

// ejectable are the built-in files, but for what only relay itself reads.
func ejectable() []string {
	var names []string
	err := fs.WalkDir(templates.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && name != "samples.json" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		panic("templates: " + err.Error()) // the program itself is wrong
	}
	return names
}

// builtIn is the file that a name means, with or without its extension.
func builtIn(name string, files []string) (string, error) {
	var short []string
	for _, file := range files {
		if file == name || strings.TrimSuffix(file, path.Ext(file)) == name {
			return file, nil
		}
		short = append(short, strings.TrimSuffix(file, path.Ext(file)))
	}
	return "", hint(fmt.Errorf("there is no built-in template %q%s", name, config.Suggest(name, short)), "there are %s", strings.Join(short, ", "))
}

// eject copies a file with what it imports. What is imported and there already
// stays as it is: the copy imports that, as it is meant to.
func (t *templateDir) eject(name string, force bool) error {
	files := map[string][]byte{}
	for _, file := range ejectable() {
		raw, err := fs.ReadFile(templates.FS(), file)
		if err != nil {
			return err
		}
		files[file] = raw
	}
	wanted := []string{name}
	if strings.HasSuffix(name, ".ts") && !strings.HasSuffix(name, ".d.ts") {
		for _, input := range scripts.Compile(files, []string{name})[0].Inputs {
			if files[input] != nil && input != name {
				wanted = append(wanted, input)
			}
		}
	}
	for _, file := range wanted {
		target := filepath.Join(t.path, filepath.FromSlash(file))
		written, err := writeNew(target, files[file], force)
		switch {
		case err != nil:
			return err
		case written:
			fmt.Fprintf(t.stdout, "wrote %s\n", target)
		case file == name:
			return hint(fmt.Errorf("%s is there already; nothing was written", target), "overwrite it with --force")
		default:
			fmt.Fprintf(t.stdout, "kept %s, which was there already\n", target)
		}
	}
	return nil
}

// writeNew writes a file and the directories that lead to it; false means that
// there was one, which stays as it is unless overwrite.
func writeNew(file string, text []byte, overwrite bool) (bool, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if overwrite {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, flags, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		return false, err
	}
	_, err = f.Write(text)
	return true, errors.Join(err, f.Close())
}
