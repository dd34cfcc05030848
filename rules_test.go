package relay_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/relay-sidecar/relay"

// goFile is one file of the project and what it imports.
type goFile struct {
	path    string // slash-separated, from the root
	imports []string
	doc     string
}

// sources reads every Go file that is not a test. It parses them itself: asking
// the go command would be fooled by the test cache.
func sources(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		f := goFile{path: filepath.ToSlash(name), doc: docOf(parsed)}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found only %d files: the walk is broken", len(files))
	}
	return files
}

func docOf(f *ast.File) string {
	if f.Doc == nil {
		return ""
	}
	return f.Doc.Text()
}

// TestImportDirection keeps the house in order: everything may speak of the
// vocabulary, a job never of a sibling, a provider never of relay's inside.
func TestImportDirection(t *testing.T) {
	for _, f := range sources(t) {
		dir := path.Dir(f.path)
		for _, imported := range f.imports {
			own, isOurs := strings.CutPrefix(imported, module)
			own = strings.TrimPrefix(own, "/")
			if why := forbidden(dir, own, isOurs, imported); why != "" {
				t.Errorf("%s imports %s: %s", f.path, imported, why)
			}
		}
	}
}

func forbidden(dir, own string, isOurs bool, imported string) string {
	under := func(parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }
	switch {
	case !isOurs:
		first, _, _ := strings.Cut(imported, "/")
		switch {
		case dir == "." && strings.Contains(first, "."):
			return "the root package imports only the standard library"
		case strings.HasPrefix(imported, "github.com/dop251/goja") && dir != "plugin/render":
			return "only plugin/render knows the JavaScript engine"
		case strings.HasPrefix(imported, "github.com/evanw/esbuild") && dir != "internal/scripts":
			return "only internal/scripts knows the compiler"
		case strings.HasPrefix(imported, "github.com/cloudevents/"):
			return "the CloudEvents SDK is a sender in tests, no part of relay"
		case dir == "client" && strings.Contains(first, "."):
			return "client imports only the standard library"
		case strings.HasPrefix(imported, "modernc.org/") && dir != "internal/store":
			return "only internal/store knows the database"
		case strings.HasPrefix(imported, "github.com/prometheus/") && dir != "internal/metrics":
			return "only internal/metrics knows Prometheus"
		case strings.HasPrefix(imported, "go.opentelemetry.io/") && dir != "internal/tracing":
			return "only internal/tracing knows OpenTelemetry"
		}
	case dir == ".":
		return "the root package imports nothing of ours"
	case dir == "client":
		return "client imports only the standard library"
	case own == "":
	case under("plugin"):
		if own != "plugin" && !strings.HasPrefix(own, "plugin/") {
			return "plugin imports only the vocabulary and its own"
		}
	case strings.HasPrefix(dir, "plugins/"):
		if own != "plugin" && !strings.HasPrefix(own, "plugin/") && !strings.HasPrefix(own, dir) {
			return "a provider imports relay and plugin, never another provider, never internal"
		}
	case dir == "internal/app", under("cmd"), dir == "bench", dir == "plugins":
		if own == "internal/app" && !under("cmd") {
			return "only cmd/relay knows the app"
		}
	case under("internal"):
		job := strings.Join(strings.Split(dir, "/")[:2], "/")
		switch {
		case own == job || strings.HasPrefix(own, job+"/"):
		case own == "internal/problem": // the one leaf that the doors share
		case strings.HasPrefix(own, "internal/"):
			return "a job imports no sibling: it declares what it calls, and app passes the value in"
		case (own == "plugin" || strings.HasPrefix(own, "plugin/")) && job != "internal/pluginhost" && job != "internal/scripts":
			return "only pluginhost and scripts speak the plugin protocol"
		case strings.HasPrefix(own, "plugins"):
			return "no vendor stands in internal"
		}
	}
	return ""
}

// TestPackagesSayWhatTheyAreFor wants one package comment in every package.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		dir := path.Dir(f.path)
		documented[dir] = documented[dir] || f.doc != ""
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestNoVendorInside keeps vendors' names out of relay's inside: a provider can
// be deleted with its directory and one line.
func TestNoVendorInside(t *testing.T) {
	vendors := []string{"slack", "discord", "teams", "dingtalk", "feishu", "wecom"}
	for _, f := range sources(t) {
		if !strings.HasPrefix(f.path, "internal/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, nil, 0) // without comments: they may give examples
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			var word string
			switch n := n.(type) {
			case *ast.Ident:
				word = n.Name
			case *ast.BasicLit:
				word = n.Value
			}
			if slices.ContainsFunc(vendors, func(v string) bool { return strings.Contains(strings.ToLower(word), v) }) {
				t.Errorf("%s names a vendor: %s", f.path, word)
			}
			return true
		})
	}
}

// TestStandsAlone keeps documents and code from naming what only their writers had.
func TestStandsAlone(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "relay.yaml", "docs/sources.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		for _, word := range []string{"../" + "shared", "/wo" + "rk/"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s names %s", name, word)
			}
		}
	}
}
