package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/identity"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
	"github.com/relay-sidecar/relay/templates"
)

// Bench is as much of a relay as renders: the configuration, the templates and
// the plugins, read from disk anew for every preview, without a store and
// without listening. It is for one goroutine.
type Bench struct {
	app   *App
	dir   string // of the templates that the library reads
	temp  string // of the plugins
	ready chan string
}

// benchPatience bounds the start of a plugin.
const benchPatience = 15 * time.Second

// NewBench starts nothing but what every preview needs.
func NewBench(o Options) (*Bench, error) {
	render.LimitRegularExpressions() // fixtures are rendered here
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the plugins' sockets: %w", err)
	}
	b := &Bench{temp: dir, app: &App{o: o, masker: &relay.Masker{}, logger: discardLogger()}, ready: make(chan string, 16)}
	b.app.host, err = pluginhost.New(pluginhost.Options{
		Executable: o.Executable, Dir: filepath.Join(dir, "run"), Copies: filepath.Join(dir, "plugins"), Accept: acceptable, Logger: discardLogger(), Mask: b.app.masker.Mask,
		OnReady: func(name string) {
			select {
			case b.ready <- name:
			default:
			}
		},
	})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	b.app.child = b.app.host.Scripts()
	b.app.scripts = scripts.NewClient(b.app.child)
	b.app.trials = newTrials(b.app.host)
	b.app.faults = newTemplateFaults(b.app.logger, b.app.masker.Mask)
	b.app.identities = identity.New(nil, nil, b.app.logger, compared) // nobody is looked up here
	return b, nil
}

// Close ends the plugins.
func (b *Bench) Close() error {
	b.app.child.Close()
	b.app.trials.close()
	return errors.Join(b.app.host.Close(), os.RemoveAll(b.temp))
}

// Templates compiles what is in a directory and what ships.
func (b *Bench) Templates(ctx context.Context, dir string) (*scripts.Set, error) {
	if b.app.library == nil || b.dir != dir {
		b.dir = dir
		b.app.library = scripts.NewLibrary(scripts.Options{
			BuiltIn: templates.FS(), Dir: dir, Compiler: b.app.scripts, Logger: b.app.logger,
		})
	}
	set, err := b.app.library.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	return set, nil
}

// Preview is [App.Preview] by what is on disk now.
func (b *Bench) Preview(ctx context.Context, in api.Preview) (api.Previewed, error) {
	cfg, _, err := b.app.loadConfig(ctx, false)
	if err != nil {
		return api.Previewed{}, err
	}
	set, err := b.Templates(ctx, cfg.Templates)
	if err != nil {
		return api.Previewed{}, err
	}
	// What is wrong with the request is said before a plugin is started.
	d, err := (&snapshot{cfg: cfg}).previewed(in.Destination)
	if err != nil {
		return api.Previewed{}, err
	}
	if _, err := previewOf(in, "", time.Now()); err != nil {
		return api.Previewed{}, err
	}
	now, setups := b.app.build(cfg, set, func(other config.Destination) bool { return other.Name == d.Name })
	b.app.apply(ctx, cfg, setups)
	b.app.host.Refresh() // a plugin's executable may be what has changed
	if dest := now.destinations[d.Name]; dest != nil {
		if err := b.await(ctx, dest.provider); err != nil {
			return api.Previewed{}, fmt.Errorf("the plugin of provider %s does not start: %w", d.Use, err)
		}
	}
	return b.app.preview(ctx, now, in)
}

// await waits until a provider takes deliveries.
func (b *Bench) await(ctx context.Context, p *pluginhost.Provider) error {
	ctx, cancel := context.WithTimeoutCause(ctx, benchPatience, fmt.Errorf("it is not ready after %s", benchPatience))
	defer cancel()
	for !p.Ready() {
		select {
		case <-b.ready:
		case <-ctx.Done():
			if why := p.Status().Error; why != "" {
				return errors.New(why)
			}
			return context.Cause(ctx)
		}
	}
	return nil
}
