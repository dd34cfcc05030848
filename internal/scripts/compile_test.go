package scripts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/scripts"
)

func TestCompileProblems(t *testing.T) {
	const good = "export default () => null;\n"
	tests := []struct {
		name  string
		files map[string]string // the entry is slack/a.ts
		want  string            // file:line:column: and the beginning of the text
	}{
		{"Syntax", map[string]string{"slack/a.ts": "export default function () {\n  const = 1;\n}\n"}, "slack/a.ts:2:9: Expected identifier"},
		{"ColumnCountsCharacters", map[string]string{"slack/a.ts": "const 标题 = '标题'; const = 1;\nexport default 1;"}, "slack/a.ts:1:24: Expected identifier"},
		{"NoDefaultExport", map[string]string{"slack/a.ts": "export const a = 1;\n"}, "slack/a.ts:1:1: there is no default export"},
		{"Empty", map[string]string{"slack/a.ts": ""}, "slack/a.ts:1:1: there is no default export"},
		{"CommonJS", map[string]string{"slack/a.ts": "module.exports = () => null;\n"}, "slack/a.ts:1:1: there is no default export"},
		{"NoSuchImport", map[string]string{"slack/a.ts": "import { x } from '../lib/nope';\nexport default () => x;\n"}, `slack/a.ts:1:19: there is no file "lib/nope"`},
		{"ImportFromOutside", map[string]string{"slack/a.ts": "import { x } from '../../etc/passwd';\nexport default () => x;\n"}, `slack/a.ts:1:19: "../../etc/passwd" is outside of the templates directory`},
		{"ImportOfAPackage", map[string]string{"slack/a.ts": "import fs from 'fs';\nexport default () => fs;\n"}, `slack/a.ts:1:16: templates import module "relay" and files`},
		{"ImportOfAnAbsolutePath", map[string]string{"slack/a.ts": "import x from '/etc/passwd';\nexport default () => x;\n"}, `slack/a.ts:1:15: templates import module "relay" and files`},
		{"ImportOfAURL", map[string]string{"slack/a.ts": "import x from 'https://example.com/x.js';\nexport default () => x;\n"}, `slack/a.ts:1:15: templates import module "relay" and files`},
		{"NoSuchHelper", map[string]string{"slack/a.ts": "import { nope } from 'relay';\nexport default () => nope;\n"}, `slack/a.ts:1:10: No matching export in "relay" for import "nope"`},
		{"FaultInAnImport", map[string]string{"slack/a.ts": "import { x } from '../lib/b';\nexport default () => x;\n", "lib/b.ts": "export const x = ;\n"}, "lib/b.ts:1:18: Unexpected"},
		{"TopLevelAwait", map[string]string{"slack/a.ts": "await null;\n" + good}, "slack/a.ts:1:1: a template cannot wait: leave await out"},
		{"Await", map[string]string{"slack/a.ts": "export default (event) => {\n  const r = await fetch('x');\n};\n"}, "slack/a.ts:2:13: a template cannot wait: leave await out"},
		{"NoFunction", map[string]string{"slack/a.ts": "const a = 1;\n  export default 42;\n"}, "slack/a.ts:2:3: the default export is a number; it must be a function (event, ctx)"},
		{"NoFunctionByAnotherName", map[string]string{"slack/a.ts": "const a = 1;\nexport { a as default };\n"}, "slack/a.ts:2:12: the default export is a number"},
		{"NoFunctionFromElsewhere", map[string]string{"slack/a.ts": "export { default } from '../lib/b';\n", "lib/b.ts": "export default {};\n"}, "slack/a.ts: the default export is an object"},
		{"TopLevelFault", map[string]string{"slack/a.ts": "type X = any;\n\nnope();\n" + good}, "slack/a.ts:3:6: ReferenceError: nope is not defined"},
		{"TopLevelLoop", map[string]string{"slack/a.ts": "let n = 0;\nfor (;;) {\n  n++;\n}\n" + good}, "slack/a.ts:3:3: took longer than 1000 ms"},
		{"TopLevelLoopWithoutABody", map[string]string{"slack/a.ts": "import { message } from 'relay';\nconst f = () => message({});\nwhile (true) {}\nexport default f;\n"}, "slack/a.ts:3:14: took longer than 1000 ms"},
		{"TopLevelLoopWithNothing", map[string]string{"slack/a.ts": "for (;;);\n" + good}, "slack/a.ts:1:9: took longer than 1000 ms"},
		{"DeepBrackets", map[string]string{"slack/a.ts": "\n " + strings.Repeat("[", 2000)}, "slack/a.ts:2:1002: brackets are nested deeper than 1000 levels"},
		{"DeepBracketsInAnImport", map[string]string{"slack/a.ts": "import '../lib/b';" + good, "lib/b.ts": strings.Repeat("(", 2000)}, "lib/b.ts:1:1001: brackets are nested"},
		{"LongChain", map[string]string{"slack/a.ts": "export default () => " + strings.Repeat("!", 200_000) + "1"}, "slack/a.ts:1:20015: there are more than 20000 operators"},
		{"LongChainOfWords", map[string]string{"slack/a.ts": "export default () => " + strings.Repeat("new ", 60_000) + "A"}, "slack/a.ts:1:"},
		{"LongList", map[string]string{"slack/a.ts": "export default () => a" + strings.Repeat(",a", 100_000)}, "slack/a.ts:1:10023: there are more than 5000 commas in one list"},
		{"DeepJSON", map[string]string{"slack/a.ts": "import a from './a.json';\nexport default () => a;", "slack/a.json": strings.Repeat("[", 200_000)}, "slack/a.json:1:1001: brackets are nested"},
		{"TooLong", map[string]string{"slack/a.ts": good + "/*" + strings.Repeat("x", 256<<10)}, "slack/a.ts: it is longer than 256 KiB"},
		{"BundleTooLong", map[string]string{
			"slack/a.ts": "import a from '../lib/a.json'; import b from '../lib/b.json'; import c from '../lib/c.json'; import d from '../lib/d.json'; import e from '../lib/e.json';\nexport default () => [a, b, c, d, e];\n",
			"lib/a.json": long(), "lib/b.json": long(), "lib/c.json": long(), "lib/d.json": long(), "lib/e.json": long(),
		}, "slack/a.ts: it is 1"},
		{"Circle", map[string]string{
			"slack/a.ts": "import { b } from '../lib/b';\nexport default () => b;\n",
			"lib/b.ts":   "\nimport { c } from './c.js';\nexport const b = c;\n", "lib/c.ts": "import { b } from './b';\nexport const c = () => b;\n",
		}, "lib/b.ts:2:19: imports go in a circle: lib/b.ts → lib/c.ts → lib/b.ts; move what they share"},
		{"CircleWithItself", map[string]string{"slack/a.ts": "import * as me from './a';\nexport default () => me;\n"}, "slack/a.ts:1:21: imports go in a circle"},
		{"NotUTF8", map[string]string{"slack/a.ts": good + "// \xff"}, "slack/a.ts: it is not UTF-8"},
		{"NoSuchEntry", nil, "slack/a.ts: there is no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := compileOne(t, "slack/a.ts", test.files)
			if len(c.Problems) == 0 {
				t.Fatalf("no problem, want %q", test.want)
			}
			if got := c.Problems[0].Error(); !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s…", got, test.want)
			}
			if c.Code != nil {
				t.Error("there is code beside the problem")
			}
		})
	}
}

func long() string { return `"` + strings.Repeat("x", 250<<10) + `"` }

func TestCompileReportsEveryProblem(t *testing.T) {
	c := compileOne(t, "a.ts", map[string]string{"a.ts": "import a from './a1';\nimport b from './b1';\nexport default () => [a, b];\n"})
	if len(c.Problems) != 2 {
		t.Errorf("got %v, want two problems", c.Problems)
	}
}

func TestCompileInputs(t *testing.T) {
	c := compileOne(t, "slack/a.ts", map[string]string{
		"slack/a.ts":     "import type { T } from '../lib/types'; import { x } from '../lib/b.js'; import { y } from '../lib/c'; import z from '../lib/z.json';\nexport default () => x + y + z.z as T;\n",
		"lib/b.ts":       "export const x = 1;",
		"lib/c/index.js": "export { y } from '../d';",
		"lib/d.js":       "export const y = 1;",
		"lib/z.json":     `{"z": 1}`,
		"lib/unused.ts":  "export const y = 1;",
	})
	want := []string{"lib/b.ts", "lib/c/index.js", "lib/d.js", "lib/z.json", "slack/a.ts"}
	if len(c.Problems) > 0 || !slices.Equal(c.Inputs, want) {
		t.Errorf("inputs %v, problems %v; want %v", c.Inputs, c.Problems, want)
	}
}

// TestOneBadEntryDoesNotTouchTheOthers, and results come in the order of entries.
func TestOneBadEntryDoesNotTouchTheOthers(t *testing.T) {
	files := map[string][]byte{"a.ts": []byte("export default"), "b.ts": []byte("export default () => null")}
	compiled := scripts.Compile(files, []string{"a.ts", "b.ts"})
	if len(compiled[0].Problems) == 0 || len(compiled[1].Problems) > 0 || compiled[1].Code == nil {
		t.Errorf("got %+v", compiled)
	}
}

// TestUnusedHelpersCostNothing: module "relay" is asked for what is used.
func TestUnusedHelpersCostNothing(t *testing.T) {
	c := compileOne(t, "a.ts", map[string]string{"a.ts": "import { t } from 'relay'; export default () => t('x');"})
	if code := string(c.Code); !strings.Contains(code, `$relay("t")`) || strings.Contains(code, `$relay("message")`) {
		t.Errorf("got %s", code)
	}
}
