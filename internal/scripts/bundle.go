package scripts

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/render"
)

// bundle is the file system of one run of the bundler, which calls it from
// several goroutines.
type bundle struct {
	files   map[string][]byte
	scanned map[string][]relay.TemplateError
	used    usedFiles
}

func (b *bundle) inputs() []string { return b.used.sorted() }

func (b *bundle) setup(build api.PluginBuild) {
	build.OnResolve(api.OnResolveOptions{Filter: ".*"}, b.resolve)
	build.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: filesSpace}, b.load)
	build.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: relaySpace}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
		source := relayModule()
		return api.OnLoadResult{Contents: &source, Loader: api.LoaderJS}, nil
	})
}

// resolve finds what an import names.
func (b *bundle) resolve(args api.OnResolveArgs) (api.OnResolveResult, error) {
	if args.Kind == api.ResolveEntryPoint {
		return api.OnResolveResult{}, nil
	}
	if args.Path == "relay" {
		return api.OnResolveResult{Path: "relay", Namespace: relaySpace, SideEffects: api.SideEffectsFalse}, nil
	}
	if !strings.HasPrefix(args.Path, "./") && !strings.HasPrefix(args.Path, "../") {
		return refuse("templates import module \"relay\" and files of the templates directory (\"./…\"), not %q", args.Path)
	}
	directory := "."
	if args.Namespace == filesSpace {
		directory = path.Dir(args.Importer)
	}
	name := path.Join(directory, args.Path)
	if name == ".." || strings.HasPrefix(name, "../") {
		return refuse("%q is outside of the templates directory", args.Path)
	}
	for _, candidate := range candidates(name) {
		if _, ok := b.files[candidate]; ok {
			return api.OnResolveResult{Path: candidate, Namespace: filesSpace}, nil
		}
	}
	return refuse("there is no file %q", name)
}

func refuse(format string, args ...any) (api.OnResolveResult, error) {
	return api.OnResolveResult{Errors: []api.Message{{Text: fmt.Sprintf(format, args...)}}}, nil
}

// candidates are the files that an import may mean, the likeliest first.
func candidates(name string) []string {
	list := []string{name, name + ".ts", name + ".js", path.Join(name, "index.ts"), path.Join(name, "index.js")}
	if base, ok := strings.CutSuffix(name, ".js"); ok {
		list = append(list, base+".ts") // how TypeScript wants its imports to be written
	}
	return list
}

func (b *bundle) load(args api.OnLoadArgs) (api.OnLoadResult, error) {
	b.used.add(args.Path)
	if problems := b.scanned[args.Path]; len(problems) > 0 {
		// A place that is attached as it is survives the way through the bundler.
		messages := make([]api.Message, len(problems))
		for i, p := range problems {
			messages[i] = api.Message{Text: p.Message, Detail: p}
		}
		return api.OnLoadResult{Errors: messages}, nil
	}
	contents := string(b.files[args.Path])
	result := api.OnLoadResult{Contents: &contents}
	switch path.Ext(args.Path) {
	case ".ts":
		result.Loader = api.LoaderTS
	case ".js":
		result.Loader = api.LoaderJS
	case ".json":
		result.Loader = api.LoaderJSON
	default:
		return api.OnLoadResult{Errors: []api.Message{{Text: "templates import .ts, .js and .json files"}}}, nil
	}
	return result, nil
}

// relayModule is module "relay": each helper is asked for by a call that the
// bundler may drop where nothing uses it.
func relayModule() string {
	var b strings.Builder
	for _, name := range slices.Sorted(slices.Values(render.Helpers())) {
		fmt.Fprintf(&b, "export const %s = /* @__PURE__ */ %s(%q);\n", name, render.Hook, name)
	}
	return b.String()
}
