package app

import (
	"context"
	"fmt"
	"os"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/templates"
)

// Check judges a configuration and its templates as New would, without opening
// the store or listening. An error that is a config.Problems names every fault.
func Check(ctx context.Context, o Options) (warnings []relay.Problem, err error) {
	a := &App{o: o, masker: &relay.Masker{}}
	cfg, warnings, err := a.loadConfig()
	if err != nil {
		return warnings, err
	}
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return warnings, fmt.Errorf("make a directory for the script child: %w", err)
	}
	host, err := pluginhost.New(pluginhost.Options{Executable: o.Executable, Dir: dir, Logger: discardLogger()})
	if err != nil {
		return warnings, err
	}
	defer host.Close()
	child := host.Scripts()
	defer child.Close()
	library := scripts.NewLibrary(scripts.Options{
		BuiltIn: templates.FS(), Dir: cfg.Templates, Compiler: scripts.NewClient(child), Logger: discardLogger(),
	})
	set, err := library.Load(ctx)
	if err != nil {
		return warnings, fmt.Errorf("load templates: %w", err)
	}
	faults := config.Problems(append(set.Problems(), missingTemplates(cfg.Config, set)...))
	if len(faults) > 0 {
		return warnings, faults
	}
	return warnings, nil
}
