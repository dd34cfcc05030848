//go:build !windows

package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	node "github.com/relay-sidecar/relay/examples/plugin-node"
	"github.com/relay-sidecar/relay/internal/pluginhost"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/plugintest/kit"
	"github.com/relay-sidecar/relay/plugins"
)

//go:embed scaffold
var scaffold embed.FS

const (
	sdkModule = "github.com/relay-sidecar/relay"
	// replaceSDK names a copy of the SDK while its module is not published.
	replaceSDK = "go mod edit -replace " + sdkModule + "=/path/to/relay"
)

func (c *cli) pluginNew() *cobra.Command {
	language, sdk := "", ""
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Writes the project of a new plugin to ./relay-plugin-NAME", Args: between(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if err := newPluginName(name); err != nil {
				return &usageError{err}
			}
			var files map[string]string
			var err error
			switch language {
			case "go":
				files, err = goProject(name, sdk)
			case "node":
				files = nodeProject(name)
			default:
				return &usageError{fmt.Errorf("there is no language %q; there are go and node", language)}
			}
			if err != nil {
				return err
			}
			dir := "relay-plugin-" + name
			if err := writeProject(dir, files); err != nil {
				return err
			}
			for _, file := range slices.Sorted(maps.Keys(files)) {
				fmt.Fprintln(c.stdout, filepath.Join(dir, file))
			}
			build, note := "go build -o "+dir+" .", ""
			switch {
			case language == "node":
				build = "npm install\n  npm run build"
				if sdk != "" {
					note = "--sdk is not used: a plugin in JavaScript has all that it needs in relay.js"
				}
			case sdk == "":
				build = replaceSDK + "\n  go mod tidy\n  " + build
				note = "the module " + sdkModule + " is not published yet, so /path/to/relay is your copy of its repository; with --sdk PATH the project builds at once"
			}
			fmt.Fprintf(c.stdout, "\nNext:\n  cd %s\n  %s\n  relay plugin check ./%s\n", dir, build, dir)
			if note != "" {
				fmt.Fprintf(c.stderr, "relay: hint: %s\n", note)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&language, "lang", "go", "the language: go or node")
	cmd.Flags().StringVar(&sdk, "sdk", "", "a local copy of relay's repository to build with, until its module is published (for Go; JavaScript needs none)")
	return cmd
}

// newPluginName reports why no new plugin can have a name.
func newPluginName(name string) error {
	if name == pluginhost.ScriptsName {
		return fmt.Errorf("%s is a name of relay's own; choose another one", name)
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`).MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a provider; take lower case letters, digits and -, at most 40", name)
	}
	for _, p := range plugins.All() {
		if p.Describe().Name == name {
			return fmt.Errorf("%s is a provider that relay has itself, built in; choose another name", name)
		}
	}
	return nil
}

// fromScaffold is a file of the scaffold, about this plugin.
func fromScaffold(file, name, sdk string) string {
	text, err := scaffold.ReadFile("scaffold/" + file)
	if err != nil {
		panic("scaffold: " + err.Error()) // the program itself is wrong
	}
	env := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if env[0] >= '0' && env[0] <= '9' {
		env = "_" + env
	}
	return strings.NewReplacer("__NAME__", name, "__ENV__", env, "__SDK__", sdk).Replace(string(text))
}

func goProject(name, sdk string) (map[string]string, error) {
	words := "The SDK is the copy that `replace` in go.mod names. Once the module is published: `go mod edit -dropreplace " + sdkModule + " && go get " + sdkModule + "@latest`."
	before := "The SDK is the module " + sdkModule + ", which is not published yet: let go.mod name your copy of its repository\nfirst (`relay plugin new NAME --sdk PATH` does that by itself).\n\n"
	prepare := "$ " + replaceSDK + "\n$ go mod tidy\n"
	files := map[string]string{
		"go.mod": "module relay-plugin-" + name + "\n\ngo 1.26.0\n",
	}
	if sdk != "" {
		path, err := filepath.Abs(sdk)
		if err != nil {
			return nil, err
		}
		mod, err := os.ReadFile(filepath.Join(path, "go.mod"))
		if err != nil || !strings.HasPrefix(string(mod), "module "+sdkModule+"\n") {
			return nil, hint(fmt.Errorf("%s is no copy of relay's repository", sdk), "git clone it, and name its directory")
		}
		sums, err := os.ReadFile(filepath.Join(path, "go.sum"))
		if err != nil {
			return nil, fmt.Errorf("read the SDK's checksums: %w", err)
		}
		// What the SDK needs is what the plugin needs, so that it builds at once.
		files["go.mod"] = fmt.Sprintf("module relay-plugin-%s\n\ngo 1.26.0\n\nrequire %s v0.0.0\n\n// Until the module is published; then: go mod edit -dropreplace %[2]s && go get %[2]s@latest\nreplace %[2]s => %s\n%s",
			name, sdkModule, path, indirect(string(mod)))
		files["go.sum"] = string(sums)
		before, prepare = "", ""
		words = "The SDK is the copy that `replace` in go.mod names, until the module " + sdkModule + " is published; go.mod says what to do then.\n`go mod tidy` takes out what is not needed."
	}
	files["main.go"] = fromScaffold("go/main.go.tmpl", name, "")
	files["provider.go"] = fromScaffold("go/provider.go.tmpl", name, "")
	files["provider_test.go"] = fromScaffold("go/provider_test.go.tmpl", name, "")
	files["README.md"] = strings.NewReplacer("__BEFORE__", before, "__PREPARE__", prepare).Replace(fromScaffold("go/README.md", name, words))
	files[".gitignore"] = "/relay-plugin-" + name + "\n"
	common(files, name)
	return files, nil
}

// indirect are the requirements of a go.mod, as those of who requires it.
func indirect(mod string) string {
	var out strings.Builder
	for _, block := range regexp.MustCompile(`(?s)require \((.*?)\n\)`).FindAllStringSubmatch(mod, -1) {
		out.WriteString("\nrequire (\n")
		for _, line := range strings.Split(strings.Trim(block[1], "\n"), "\n") {
			if !strings.HasSuffix(line, "// indirect") {
				line += " // indirect"
			}
			out.WriteString(line + "\n")
		}
		out.WriteString(")\n")
	}
	return out.String()
}

func nodeProject(name string) map[string]string {
	files := map[string]string{
		"package.json":      fromScaffold("node/package.json", name, ""),
		"package-lock.json": strings.ReplaceAll(node.Lock, "relay-plugin-mattermost", "relay-plugin-"+name),
		"plugin.js":         fromScaffold("node/plugin.js", name, ""),
		"relay.js":          node.Relay,
		"build.js":          node.Build,
		"provider.proto":    pluginpb.Source,
		"README.md":         fromScaffold("node/README.md", name, ""),
		".gitignore":        "/node_modules/\n/relay-plugin-" + name + "\n",
	}
	common(files, name)
	return files
}

// common is what a plugin has in every language.
func common(files map[string]string, name string) {
	files[kit.CaseFile] = fromScaffold("plugincheck.json", name, "")
	files[filepath.Join("templates", name, "default.ts")] = fromScaffold("default.ts", name, "")
}

// writeProject writes files below a directory that must not exist yet.
func writeProject(dir string, files map[string]string) error {
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return hint(fmt.Errorf("%s exists already", dir), "choose another name, or move it away")
	} else if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
