package scripts_test

import (
	"context"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugin/render"
)

// TestLanguage runs what template authors write today through the compiler and
// the engine: each row is an expression whose text must come out as wanted.
func TestLanguage(t *testing.T) {
	tests := []struct{ name, expression, want string }{
		{"Optional chaining", "String(event.nope?.a.b.c?.())", "undefined"},
		{"Nullish", "event.nope ?? 'none'", "none"},
		{"Logical assignment", "(() => { let a: any = null; a ??= 'x'; a &&= a + 'y'; a ||= 'z'; return a })()", "xy"},
		{"Spread", "JSON.stringify({...{a: 1, b: 2}, b: 3, ...null})", `{"a":1,"b":3}`},
		{"Rest", "(({a, ...rest}) => JSON.stringify(rest))({a: 1, b: 2})", `{"b":2}`},
		{"Class", "new (class A { static s = 'S'; #p = 'p'; f = 'f'; #m() { return 'm' } get g() { return this.#p + this.f + this.#m() + A.s } })().g", "pfmS"},
		{"Optional catch", "(() => { try { throw 1 } catch { return 'caught' } })()", "caught"},
		{"Generator", "[...(function* () { yield 1; yield* [2, 3] })()].join()", "1,2,3"},
		{"Tagged template", "((s: any, ...v: any[]) => s.raw.join('|') + v)`a${1}b`", "a|b1"},
		{"Exponent", "String(2 ** 10)", "1024"},
		{"BigInt", "String(BigInt(2) ** BigInt(64))", "18446744073709551616"},
		{"Enum", "(() => { enum E { A = 'a' } return E.A })()", "a"},
		{"As const", "(['a'] as const)[0] satisfies string", "a"},
		{"Named group", "/(?<y>\\d{4})-(?<m>\\d\\d)/.exec('2026-11')!.groups!.m", "11"},
		{"Lookbehind", "'a1b2'.replace(/(?<=b)\\d/, 'x')", "a1bx"},
		{"Dot all", "String(/a.b/s.test('a\\nb'))", "true"},
		{"Sticky", "String(/a/y.test('ba'))", "false"},
		{"replaceAll", "'a.b.c'.replaceAll('.', '-')", "a-b-c"},
		{"matchAll", "[...'a1b2'.matchAll(/\\d/g)].map((m) => m[0]).join()", "1,2"},
		{"at", "String([1, 2, 3].at(-1))", "3"},
		{"flatMap", "[[1], [2]].flatMap((x) => x).join()", "1,2"},
		{"fromEntries", "JSON.stringify(Object.fromEntries(Object.entries({a: 1})))", `{"a":1}`},
		{"toSorted", "[3, 1, 2].toSorted().join()", "1,2,3"},
		{"Map and Set", "String(new Map([[1, new Set([1, 1, 2])]]).get(1)!.size)", "2"},
		{"Symbol.iterator", "[...new (class { *[Symbol.iterator]() { yield 'x' } })()].join()", "x"},
		{"Numeric separator", "String(1_000_000)", "1000000"},
		{"Emoji", "[...'👍🏽'].length + '👍'", "2👍"},
		{"Label", "(() => { a: for (const x of [1, 2]) { for (;;) { continue a } } return 'ok' })()", "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			template := newTemplate(t, "a.ts", "export default (event: any) => "+test.expression+";\n")
			out, fault := template.Render(context.Background(), render.Input{Event: []byte(`{}`)})
			if fault != nil {
				t.Fatal(fault)
			}
			if out.Text != test.want {
				t.Errorf("%s = %q, want %q", test.expression, out.Text, test.want)
			}
		})
	}
}

// TestAsync: a promise is taken as long as nothing has to be waited for.
func TestAsync(t *testing.T) {
	for source, want := range map[string]string{
		"export default async (event) => { await null; const x = await Promise.all([1, 2]); return 'made ' + x; }":                                            "made 1,2",
		"async function* g() { yield 1; yield 2 }\nexport default async () => { const all = []; for await (const x of g()) all.push(x); return all.join(); }": "1,2",
		"export default async () => null": "",
	} {
		out, fault := newTemplate(t, "a.ts", source).Render(context.Background(), render.Input{Event: []byte(`{}`)})
		if fault != nil || out.Text != want {
			t.Errorf("%s: %q, %v; want %q", source, out.Text, fault, want)
		}
	}
}

// TestPlaces: a fault names the place in the TypeScript that the author wrote.
func TestPlaces(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"Throw", "interface X {}\nexport default (event: X) => {\n  throw new Error('no');\n}", "slack/a.ts:3:9: Error: no"},
		{"Undefined", "type X = any;\nexport default (event: X) => {\n  const a: X = event;\n  return a.nope.deep;\n}", "slack/a.ts:4:17: TypeError: Cannot read property 'deep' of undefined"},
		{"ThrowObject", "type X = any;\nexport default () => {\n  throw { code: 7, why: ['x'] };\n}", `slack/a.ts:3:3: threw {"code":7,"why":["x"]}`},
		{"ThrowString", "\nexport default () => {\n  throw 'up';\n}", `slack/a.ts:3:3: threw "up"`},
		{"Async", "\nexport default async () => {\n  await null;\n  throw new RangeError('late');\n}", "slack/a.ts:4:9: RangeError: late"},
		{"Loop", "\nexport default () => {\n  let i = 0;\n  for (;;) {\n    i++;\n  }\n}", "slack/a.ts:5:"},
		{"Recursion", "\nconst f = (n: number): number => f(n + 1) + 1;\nexport default () => f(0);", "slack/a.ts:2:"},
		{"Helper", "import { color } from 'relay';\nexport default () => {\n  return color('pink');\n}", `slack/a.ts:3:16: TypeError: color: "pink" is no level`},
		{"Message", "import { message } from 'relay';\nexport default (event) => {\n  return message({ titel: 'x' });\n}", `slack/a.ts:3:`},
		{"Callback", "import { t } from 'relay';\nexport default (event) => {\n  return [1].map((x) => {\n    return x.nope.deep;\n  });\n}", "slack/a.ts:4:19: TypeError"},
		{"Undefined result", "export default (event) => {}", "slack/a.ts: the default export returned undefined; return message({…}), an object, a string, or null to skip"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, fault := newTemplate(t, "slack/a.ts", test.source).Render(context.Background(), render.Input{Event: []byte(`{}`)})
			if fault == nil {
				t.Fatal("no fault")
			}
			if got := fault.Error(); !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s…", got, test.want)
			}
		})
	}
}
