//go:build !windows

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/watch"
	"github.com/relay-sidecar/relay/plugins"
)

// watch renders again whenever something changes, until ctx ends.
func (p *preview) watch(ctx context.Context) error {
	w := watch.New(watch.Options{})
	var paths []string
	follow := func() {
		next, poll := p.paths()
		w.SetPoll(poll)
		if !slices.Equal(next, paths) {
			paths = next
			w.Set(paths)
		}
	}
	follow()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-w.C(): // also for what is watched from now on
		}
		p.reload(ctx)
		p.clear()
		err := p.show(ctx)
		switch {
		case ctx.Err() != nil:
			continue
		case err != nil:
			p.fail(err)
		}
		words := p.stdout
		if p.json {
			words = p.stderr // whoever reads JSON reads nothing else
		}
		fmt.Fprintf(words, "\n-- %s, waiting for a change; end with ^C\n\n", time.Now().Format(time.TimeOnly))
		follow()
	}
}

// reload has the running relay look at its files now: it would do so by itself,
// but perhaps only after it was asked for the preview. What it refuses it says.
func (p *preview) reload(ctx context.Context) {
	if p.server == nil {
		return
	}
	if err := p.server.do(ctx, "POST", "/v1/reload", nil, nil); err != nil && ctx.Err() == nil {
		p.fail(err)
	}
}

// paths are what to watch, and how often to look where no notice comes.
func (p *preview) paths() ([]string, time.Duration) {
	cfg, _, err := config.Load(p.config, app.ConfigOptions(plugins.All()))
	if err == nil {
		p.templates = cfg.Templates // it stays watched while the configuration is refused
	}
	all := append(slices.Clone(cfg.Files), cmp.Or(p.templates, filepath.Join(filepath.Dir(p.config), "templates")))
	if p.event != "" {
		all = append(all, p.event)
	}
	return all, cfg.Watch.Poll
}

// clear empties the screen, where there is one.
func (p *preview) clear() {
	if f, ok := p.stdout.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprint(f, "\x1b[2J\x1b[H")
		}
	}
}
