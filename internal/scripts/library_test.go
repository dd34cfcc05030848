package scripts_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
)

// shop is a library over a small built-in set and a directory on disk.
type shop struct {
	t        *testing.T
	dir      string
	compiler *inProcess
	library  *scripts.Library
}

func newShop(t *testing.T) *shop {
	s := &shop{t: t, dir: filepath.Join(t.TempDir(), "templates"), compiler: &inProcess{}}
	s.library = scripts.NewLibrary(scripts.Options{
		BuiltIn: fstest.MapFS{
			"default.ts":         file("import { say } from './lib/say';\nexport default () => say('built-in default');\n"),
			"issue.created.ts":   file("import { t } from 'relay';\nexport default () => t('created');\n"),
			"slack/default.ts":   file("export default () => 'built-in slack/default';\n"),
			"lib/say.ts":         file("export const say = (s: string) => s + ' (built-in lib)';\n"),
			"sources/app.ts":     file("export default () => null;\n"),
			"locales/en.json":    file(`{"created": "created", "other": "other"}`),
			"locales/zh-CN.json": file(`{"created": "创建"}`),
			"relay.d.ts":         file("declare module 'relay' {}\n"),
			"README.md":          file("# Templates"),
		},
		Dir: s.dir, Compiler: s.compiler, Logger: slog.New(slog.DiscardHandler),
	})
	return s
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func (s *shop) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) load() *scripts.Set {
	s.t.Helper()
	set, err := s.library.Load(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return set
}

// says is the text that a program renders.
func (s *shop) says(p *relay.Program) string {
	s.t.Helper()
	if p == nil {
		return "no program"
	}
	template, err := render.New(*p)
	if err != nil {
		s.t.Fatal(err)
	}
	out, fault := template.Render(context.Background(), render.Input{Event: []byte(`{}`), Context: render.Context{Language: "zh-CN"}})
	if fault != nil {
		s.t.Fatal(fault)
	}
	return out.Text
}

func (s *shop) wantProblems(set *scripts.Set, want ...string) {
	s.t.Helper()
	var got []string
	for _, p := range set.Problems() {
		got = append(got, strings.TrimPrefix(p.Error(), s.dir+string(filepath.Separator)))
	}
	if len(got) != len(want) {
		s.t.Fatalf("problems %q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			s.t.Errorf("problem %q, want %q…", got[i], want[i])
		}
	}
}

func TestLookUp(t *testing.T) {
	s := newShop(t)
	s.write("slack/issue.created.ts", "export default () => 'own slack/issue.created';")
	s.write("discord/default.js", "export default () => 'own discord/default';")
	s.write("deep/er/named.ts", "export default () => 'own named';")
	s.write("both.js", "export default () => 'both.js';")
	s.write("both.ts", "export default () => 'both.ts';")
	s.write("billing.a.b.ts", "export default () => 'own billing.a.b';")
	set := s.load()
	s.wantProblems(set)
	for _, test := range []struct{ provider, eventType, want string }{
		{"slack", "issue.created", "own slack/issue.created"},
		{"slack", "other", "built-in slack/default"},
		{"discord", "issue.created", "own discord/default"},
		{"teams", "issue.created", "创建"},
		{"teams", "other", "built-in default (built-in lib)"},
		{"teams", "billing/a/b", "own billing.a.b"},
		{"sources", "app", "built-in default (built-in lib)"},
		{"teams", "both", "both.ts"},
		{"slack", "er/named", "built-in slack/default"},
	} {
		if got := s.says(set.Find(test.provider, test.eventType)); got != test.want {
			t.Errorf("Find(%q, %q) says %q, want %q", test.provider, test.eventType, got, test.want)
		}
	}
	for name, want := range map[string]string{
		"deep/er/named": "own named", "deep/er/named.ts": "own named", "./deep/er/named.ts": "own named",
		"slack/default": "built-in slack/default", "both.js": "both.js", "sources/app.ts": "no program", "nope": "no program", "lib/say": "no program",
	} {
		if got := s.says(set.Named(name)); got != want {
			t.Errorf("Named(%q) says %q, want %q", name, got, want)
		}
	}
	if got := s.says(set.BuiltIn("slack", "issue.created")); got != "built-in slack/default" {
		t.Errorf("BuiltIn(slack, issue.created) says %q", got)
	}
	for _, name := range []string{"app", "sources/app", "sources/app.ts"} {
		if p := set.Source(name); p == nil || p.Name != "sources/app.ts" {
			t.Errorf("Source(%q) = %v", name, p)
		}
	}
	if slices.ContainsFunc(set.Programs(), func(p *relay.Program) bool { return p.Name == "sources/app.ts" }) {
		t.Error("Programs holds a source script")
	}

	// The operator's default beats a built-in template for the very type.
	s.write("default.ts", "export default () => 'own default';")
	if got := s.says(s.load().Find("teams", "issue.created")); got != "own default" {
		t.Errorf("with an own default, Find(teams, issue.created) says %q", got)
	}
}

func TestEditBreakRepair(t *testing.T) {
	s := newShop(t)
	s.write("a.ts", "export default () => 'one';")
	s.write("b.ts", "export default () => 'b';")
	first := s.load()

	s.write("a.ts", "export default () => 'two';")
	second := s.load()
	if got := s.says(second.Find("x", "a")); got != "two" {
		t.Errorf("after the edit: %q", got)
	}
	if first.Revision == second.Revision || first.Named("a").Revision == second.Named("a").Revision {
		t.Error("an edit did not change the revisions")
	}
	if first.Named("b") != second.Named("b") {
		t.Error("an edit of a made another program of b")
	}
	if got := s.says(first.Find("x", "a")); got != "one" {
		t.Errorf("the first set changed: %q", got)
	}

	s.write("a.ts", "export default () => {\n  const = 1;\n}")
	s.write("b.ts", "export default () => 'b2';")
	broken := s.load()
	s.wantProblems(broken, "a.ts:2:9: Expected identifier")
	if p := broken.Problems()[0]; !strings.HasSuffix(p.Message, "(the last good version goes on)") {
		t.Errorf("problem %q does not say what runs instead", p.Message)
	}
	if a, b := s.says(broken.Find("x", "a")), s.says(broken.Find("x", "b")); a != "two" || b != "b2" {
		t.Errorf("with a broken: a says %q, b says %q", a, b)
	}
	if again := s.load(); again.Revision != broken.Revision || len(again.Problems()) != 1 {
		t.Errorf("a load without a change: revision %s → %s, problems %v", broken.Revision, again.Revision, again.Problems())
	}

	s.write("a.ts", "export default () => 'three';")
	repaired := s.load()
	s.wantProblems(repaired)
	if got := s.says(repaired.Find("x", "a")); got != "three" {
		t.Errorf("after the repair: %q", got)
	}

	s.remove("a.ts")
	if got := s.says(s.load().Find("x", "a")); got != "built-in default (built-in lib)" {
		t.Errorf("after the removal: %q", got)
	}
}

func TestBadFromTheStartFallsBack(t *testing.T) {
	s := newShop(t)
	s.write("issue.created.ts", "nonsense(")
	set := s.load()
	s.wantProblems(set, "issue.created.ts:1:10: Unexpected end of file (left out until it is repaired)")
	if got := s.says(set.Find("teams", "issue.created")); got != "创建" {
		t.Errorf("Find says %q, want the built-in one", got)
	}
}

func TestOnlyWhatChangedIsCompiled(t *testing.T) {
	s := newShop(t)
	s.write("a.ts", "import { x } from './lib/x';\nexport default () => x;")
	s.write("b.ts", "export default () => 'b';")
	s.write("lib/x.ts", "export const x = 'x1';")
	s.load()
	s.compiler.asked = nil
	s.load()
	if len(s.compiler.asked) > 0 {
		t.Errorf("a load without a change compiled %q", s.compiler.asked)
	}
	s.write("lib/x.ts", "export const x = 'x2';")
	set := s.load()
	if !slices.Equal(s.compiler.asked, []string{"a.ts"}) {
		t.Errorf("a change of an import compiled %q, want a.ts", s.compiler.asked)
	}
	if got := s.says(set.Named("a")); got != "x2" {
		t.Errorf("a says %q, want x2", got)
	}
}

func TestImports(t *testing.T) {
	s := newShop(t)
	s.write("a.ts", "import { say } from './lib/say';\nexport default () => say('a');")
	s.write("b.ts", "import { x } from './_x';\nexport default () => x;")
	set := s.load()
	s.wantProblems(set, `b.ts:1:19: there is no file "_x"`)
	if got := s.says(set.Named("a")); got != "a (built-in lib)" {
		t.Errorf("a says %q, want the built-in library's", got)
	}

	// A file that appears repairs who waits for it, and one of the operator's
	// takes the place of a built-in one, but only for the operator's templates.
	s.write("_x.ts", "export const x = 'x';")
	s.write("lib/say.ts", "export const say = (s) => s + ' (own lib)';")
	set = s.load()
	s.wantProblems(set)
	for name, want := range map[string]string{"a": "a (own lib)", "b": "x", "default": "built-in default (built-in lib)", "_x": "no program", "lib/say": "no program"} {
		if got := s.says(set.Named(name)); got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}

	// One fault that several templates share is one problem.
	s.write("lib/say.ts", "export const say = ;")
	s.write("c.ts", "import { say } from './lib/say';\nexport default () => say('c');")
	s.write("d.ts", "import { say } from './lib/say';\nexport default () => say('d');")
	s.wantProblems(s.load(), "lib/say.ts:1:20: Unexpected", "lib/say.ts:1:20: Unexpected")
}

func TestLocales(t *testing.T) {
	s := newShop(t)
	first := s.load()
	s.write("locales/zh-CN.json", `{"created": "新建", "own": "自己"}`)
	second := s.load()
	if got := s.says(second.Find("teams", "issue.created")); got != "新建" {
		t.Errorf("with the operator's translation: %q", got)
	}
	if first.Revision == second.Revision || first.Find("teams", "issue.created").Revision == second.Find("teams", "issue.created").Revision {
		t.Error("a translation did not change the revisions")
	}
	if got := second.Programs()[0].Locales.Strings["en"]["other"]; got != "other" {
		t.Errorf("the built-in translations are gone: %q", got)
	}
	for text, want := range map[string]string{
		"{\"created\": \"x\",\n  oops}":      "locales/zh-CN.json:2:3: translations are one JSON object of texts: invalid character 'o'",
		"{\"created\": \"x\",\n  \"a\": {}}": "locales/zh-CN.json:2:",
		"null":                               "locales/zh-CN.json: translations are one JSON object of texts: it is null",
		"":                                   "locales/zh-CN.json:1:1: translations are one JSON object of texts: unexpected end",
	} {
		s.write("locales/zh-CN.json", text)
		set := s.load()
		s.wantProblems(set, want)
		if got := s.says(set.Find("teams", "issue.created")); got != "新建" {
			t.Errorf("with %q: %q, want the last good translation", text, got)
		}
	}
	s.remove("locales/zh-CN.json")
	if set := s.load(); s.says(set.Find("teams", "issue.created")) != "创建" || set.Revision != first.Revision {
		t.Error("without the operator's file, the built-in translation is not back")
	}
}

func TestFilesThatAreNone(t *testing.T) {
	s := newShop(t)
	s.write(".hidden.ts", "nonsense(")
	s.write("..data/x.ts", "nonsense(")
	s.write("_draft/x.ts", "nonsense(")
	s.write("types.d.ts", "declare const x: number;")
	s.write("notes.md", "nonsense(")
	s.write("100%.ts", "export default () => 'x';")
	if err := os.Symlink("nowhere", filepath.Join(s.dir, "dangling.ts")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(s.dir, "circle")); err != nil {
		t.Fatal(err)
	}
	s.wantProblems(s.load(), "100%.ts: a name may not hold any of", "circle: it is a link to a directory that it is in")
}

// TestKubernetesMount: a mounted ConfigMap is links to files behind ..data.
func TestKubernetesMount(t *testing.T) {
	s := newShop(t)
	s.write("..v1/a.ts", "export default () => 'v1';")
	s.write("..v2/a.ts", "export default () => 'v2';")
	for name, target := range map[string]string{"..data": "..v1", "a.ts": "..data/a.ts"} {
		if err := os.Symlink(target, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.says(s.load().Named("a")); got != "v1" {
		t.Errorf("a says %q, want v1", got)
	}
	s.remove("..data")
	if err := os.Symlink("..v2", filepath.Join(s.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if got := s.says(s.load().Named("a")); got != "v2" {
		t.Errorf("after the swap a says %q, want v2", got)
	}
}

// TestCompilerCrash: an entry that ends the compiler's process is a problem of
// its own, and nobody else's.
func TestCompilerCrash(t *testing.T) {
	s := newShop(t)
	s.write("a.ts", "export default () => 'a1';")
	s.write("b.ts", "export default () => 'b1';")
	s.load()
	s.write("a.ts", "export default () => 'a2';")
	s.write("b.ts", "export default () => 'b2';")
	s.compiler.crashes = "a.ts"
	set := s.load()
	s.wantProblems(set, "a.ts: the compiler failed on it: the script process ended (the last good version goes on)")
	if a, b := s.says(set.Named("a")), s.says(set.Named("b")); a != "a1" || b != "b2" {
		t.Errorf("a says %q and b %q, want a1 and b2", a, b)
	}
	s.compiler.crashes = ""
	set = s.load()
	s.wantProblems(set)
	if got := s.says(set.Named("a")); got != "a2" {
		t.Errorf("a says %q, want a2: it is tried again", got)
	}

	// It is left alone in the end, until somebody edits a file.
	s.write("a.ts", "export default () => 'a3';")
	s.compiler.crashes = "a.ts"
	for range 4 {
		s.load()
	}
	s.compiler.crashes = ""
	if got := s.says(s.load().Named("a")); got != "a2" {
		t.Errorf("a says %q, want a2: it was tried too often", got)
	}
	s.write("a.ts", "export default () => 'a4';")
	if got := s.says(s.load().Named("a")); got != "a4" {
		t.Errorf("a says %q, want a4", got)
	}
}

// noCompiler is a script child that cannot be started.
type noCompiler struct{}

func (noCompiler) Compile(context.Context, map[string][]byte, []string) ([]scripts.Compiled, error) {
	return nil, relay.ErrUnavailable
}

func TestNoCompiler(t *testing.T) {
	library := scripts.NewLibrary(scripts.Options{
		BuiltIn:  fstest.MapFS{"a.ts": file("export default 1"), "b.ts": file("export default 1")},
		Compiler: noCompiler{}, Logger: slog.New(slog.DiscardHandler),
	})
	if set, err := library.Load(context.Background()); err == nil {
		t.Errorf("Load = %v, want an error", set)
	}
}

func TestUnreadableDirectory(t *testing.T) {
	s := newShop(t)
	s.write("a.ts", "export default () => 'a';")
	s.load()
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.dir, nil, 0o644); err != nil { // a file in its place
		t.Fatal(err)
	}
	set := s.load()
	if len(set.Problems()) != 1 || !strings.Contains(set.Problems()[0].Message, "cannot be read") {
		t.Errorf("problems %v", set.Problems())
	}
	if got := s.says(set.Named("a")); got != "a" {
		t.Errorf("a says %q, want what ran before", got)
	}
}
