package render_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/render"
)

func TestMain(m *testing.M) {
	render.LimitRegularExpressions() // as a plugin's process does
	m.Run()
}

// helpers is what the compiler puts in front of a template that imports all of
// module "relay".
func helpers() string {
	var b strings.Builder
	for _, name := range render.Helpers() {
		fmt.Fprintf(&b, "const %s = %s(%q); ", name, render.Hook, name)
	}
	return b.String()
}

// newTemplate makes a template of the body of its default export.
func newTemplate(t testing.TB, body string) *render.Template {
	t.Helper()
	return newScript(t, helpers()+"$relay('default', function (event, ctx) { "+body+" });")
}

func newScript(t testing.TB, code string) *render.Template {
	t.Helper()
	template, err := render.New(relay.Program{Name: "a.ts", Code: []byte(code), Locales: &relay.Locales{Strings: map[string]map[string]string{
		"en":    {"hi": "Hi {name}, {name}!", "en": "English"},
		"zh":    {"hi": "你好 {name}", "zh": "中文"},
		"de-AT": {"hi": "Servus {name}"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return template
}

var berlin = render.Context{
	Destination: "dba-team", Provider: "slack", Language: "de-AT", TimeZone: "Europe/Berlin",
	Now: time.Date(2026, 11, 21, 8, 0, 0, 123e6, time.UTC),
}

const event = `{"title":"add index","level":"warn","link":"https://example.com/1","actor":{"id":7,"name":"Ann","email":"ann@example.com"}}`

// run renders the body with the event above.
func run(t testing.TB, body string) (render.Output, *relay.TemplateError) {
	t.Helper()
	return newTemplate(t, body).Render(context.Background(), render.Input{Event: []byte(event), Context: berlin, Seed: "d1"})
}

func TestResults(t *testing.T) {
	tests := []struct{ name, body, json, fault string }{
		{"Portable", `return message({title: event.title, level: "WARN", text: "x"})`, `{"$relay":1,"title":"add index","text":"x","level":"warn"}`, ""},
		{"Native", `return {blocks: [{type: "section", n: 1.5, big: 1e21, nan: NaN, none: undefined, f() {}, date: new Date(0), nil: null, yes: true}], list: [undefined, () => 1], nested: {"a\"\n": "\u2028\ud800"}}`,
			`{"blocks":[{"type":"section","n":1.5,"big":1e+21,"nan":null,"date":"1970-01-01T00:00:00.000Z","nil":null,"yes":true}],"list":[null,null],"nested":{"a\"\n":"` + "\u2028\ufffd" + `"}}`, ""},
		{"Text", `return "hello"`, `"hello"`, ""},
		{"Skip", `return null`, `null`, ""},
		{"Undefined", ``, "", "the default export returned undefined; return message({…}), an object, a string, or null to skip"},
		{"EmptyText", `return " "`, "", "the default export returned an empty string"},
		{"Number", `return 7`, "", "the default export returned a number"},
		{"Boolean", `return true`, "", "the default export returned a boolean"},
		{"Symbol", `return Symbol()`, "", "the default export returned a symbol"},
		{"BigInt", `return BigInt(1)`, "", "the default export returned a BigInt"},
		{"Array", `return [message({})]`, "", "the default export returned an array"},
		{"Function", `return () => 1`, "", "the default export returned a function"},
		{"Error", `return new TypeError("x")`, "", "the default export returned an error"},
		{"Date", `return new Date()`, "", "the default export returned a Date"},
		{"Circle", `const a = {}; a.a = a; return a`, "", "the default export's object cannot be sent: it is nested deeper than 64 levels, or in a circle"},
		{"SharedBomb", `let a = {x: "x"}; for (let i = 0; i < 60; i++) a = {a, b: a}; return a`, "", "the default export's object cannot be sent: it is longer than 64 KiB"},
		{"LongArray", `const a = []; a.length = 4294967295; return {a}`, "", "the default export's object cannot be sent: it is longer than 64 KiB"},
		{"NativeTooLong", `return {a: "x".repeat(70000)}`, "", "the default export's object cannot be sent: it is longer than 64 KiB"},
		{"NativeBigInt", `return {a: BigInt(1)}`, "", "the default export's object cannot be sent: it holds a BigInt"},
		{"Getter", `return {get a() { throw new Error("mine") }}`, "", "Error: mine"},
		{"ToJSON", `return {toJSON() { return {b: 2} }}`, `{"b":2}`, ""},
		{"ToJSONText", `return {toJSON() { return "x" }}`, "", "the default export's object has a toJSON"},
		{"Pending", `return new Promise(() => {})`, "", "the default export returned a promise that never settles"},
		{"Fulfilled", `return Promise.resolve("now")`, `"now"`, ""},
		{"Rejected", `return Promise.reject({code: 1})`, "", `threw {"code":1}`},
		{"Foreign mark", `return {$relay: 2}`, "", "$relay is 2; this relay knows portable messages of form 1"},
		{"ThrowUndefined", `throw undefined`, "", "threw undefined"},
		{"ThrowThrower", `throw {toJSON() { throw 1 }}`, "", "threw a value that cannot be shown"},
		{"ThrowLong", `throw new Error("x".repeat(5000))`, "", "Error: xxx"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, fault := run(t, test.body)
			switch {
			case test.fault != "" && (fault == nil || !strings.HasPrefix(fault.Message, test.fault)):
				t.Errorf("fault %v, want %s…", fault, test.fault)
			case strings.Contains(test.fault, "64 KiB") && fault.Message != test.fault:
				t.Errorf("fault %q, want nothing behind %q", fault.Message, test.fault)
			case test.fault != "" && len(fault.Message) > 1100:
				t.Errorf("the fault's text has %d bytes", len(fault.Message))
			case test.fault == "" && fault != nil:
				t.Errorf("fault %v", fault)
			case test.fault == "" && string(out.JSON) != test.json:
				t.Errorf("got  %s\nwant %s", out.JSON, test.json)
			case test.json == "null" && !out.Skipped():
				t.Error("null is not skipped")
			}
		})
	}
}

func TestMessageIsCheckedAndCleaned(t *testing.T) {
	tests := []struct{ name, message, json, fault string }{
		{"Lenient", `{title: 7, text: true, level: undefined, link: null, footer: "", fields: null}`, `{"$relay":1,"title":"7","text":"true"}`, ""},
		{"Fields", `{fields: [{name: "a", value: 1, short: true}, {name: "b", value: undefined}, {name: "c", value: ""}, null, false, {name: "d", value: 0}]}`,
			`{"$relay":1,"fields":[{"name":"a","value":"1","short":true},{"name":"d","value":"0"}]}`, ""},
		{"Actions", `{actions: [{text: "Open", url: event.link}, {text: "None", url: undefined}, {url: "https://example.com/2"}]}`,
			`{"$relay":1,"actions":[{"text":"Open","url":"https://example.com/1"},{"text":"https://example.com/2","url":"https://example.com/2"}]}`, ""},
		{"Image", `{image: {url: "https://example.com/i.png", alt: "i"}}`, `{"$relay":1,"image":{"url":"https://example.com/i.png","alt":"i"}}`, ""},
		{"NoImage", `{image: {url: undefined}}`, `{"$relay":1}`, ""},
		{"Mentions", `{text: "x", mentions: [event.actor, null]}`, `{"$relay":1,"text":"x\n\n{0}","mentions":[{"id":7,"name":"Ann","email":"ann@example.com"}]}`, ""},
		{"MentionInText", `{title: mention(event.actor), text: "a " + mention({email: "bob@example.com"}) + mention(event.actor) + mention(null) + mention({})}`,
			`{"$relay":1,"title":"{0}","text":"a {1}{0}","mentions":[{"id":7,"name":"Ann","email":"ann@example.com"},{"email":"bob@example.com"}]}`, ""},
		{"UnusedMention", `{text: (mention({name: "Nobody"}), "a " + mention(event.actor))}`, `{"$relay":1,"text":"a {0}","mentions":[{"id":7,"name":"Ann","email":"ann@example.com"}]}`, ""},
		{"ForeignTokens", `{text: "\ue0005\ue001 \ue000 \ue001 \ue00000\ue001x\ue0000"}`, `{"$relay":1,"text":"   x"}`, ""},
		{"MentionElsewhere", `{actions: [{text: mention(event.actor), url: "https://example.com"}]}`, `{"$relay":1,"actions":[{"text":"Ann","url":"https://example.com"}]}`, ""},
		{"UnknownKey", `{titel: "x"}`, "", `message(): there is no key "titel"; there are title, text,`},
		{"WrongTitle", `{title: {}}`, "", "message(): title is an object; it must be a text"},
		{"WrongLevel", `{level: "fatal"}`, "", `message(): level is "fatal"; it is info, success, warn or error`},
		{"WrongFields", `{fields: {name: "a"}}`, "", "message(): fields is an object; it must be an array"},
		{"WrongField", `{fields: [{name: "a", value: "b"}, {name: "a", value: []}]}`, "", "message(): fields[1].value is an array; it must be a text"},
		{"FieldIsText", `{fields: ["a"]}`, "", "message(): fields[0] is a string; it must be an object"},
		{"UnknownFieldKey", `{fields: [{title: "a"}]}`, "", `message(): fields[0] has no key "title"; it has name, value and short`},
		{"WrongURL", `{actions: [{text: "x", url: "javascript:alert(1)"}]}`, "", `message(): actions[0].url is "javascript:alert(1)"; it must begin with http:// or https://`},
		{"WrongLink", `{link: "ftp://x"}`, "", `message(): link is "ftp://x"`},
		{"TooManyFields", `{fields: new Array(1000).fill({name: "a", value: "b"})}`, "", "message(): fields has 1000 elements; there may be 200"},
		{"TooLongBesideText", `{title: "x".repeat(70000)}`, "", "message(): the strings beside the text are longer than 64 KiB"},
		{"NoObject", `"x"`, "", "TypeError: message: the argument is a string; it must be an object"},
		{"WrongPerson", `{text: mention({name: 7})}`, "", "TypeError: mention: a person is an object with name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, fault := run(t, "return message("+test.message+")")
			if test.fault != "" {
				if fault == nil || !strings.HasPrefix(fault.Message, test.fault) {
					t.Errorf("fault %v, want %s…", fault, test.fault)
				}
				return
			}
			if fault != nil {
				t.Fatal(fault)
			}
			got := strings.NewReplacer("\ue000", "{", "\ue001", "}").Replace(string(out.JSON))
			if got != test.json {
				t.Errorf("got  %s\nwant %s", got, test.json)
			}
			var again relay.Message
			if err := json.Unmarshal(out.JSON, &again); err != nil || again.Mark != relay.MessageMark {
				t.Errorf("the logged JSON is no message: %v", err)
			}
		})
	}
}

func TestLongTextIsCutNotRefused(t *testing.T) {
	out, fault := run(t, `return message({text: "工".repeat(30000)})`)
	if fault != nil {
		t.Fatal(fault)
	}
	if text := out.Portable.Text; len(text) > render.MaxOutput || !strings.HasSuffix(text, "工…") {
		t.Errorf("%d bytes ending in %q", len(text), text[len(text)-9:])
	}
	if out, fault = run(t, `return "x".repeat(70000)`); fault != nil || len(out.Text) != render.MaxOutput {
		t.Errorf("%d bytes, %v", len(out.Text), fault)
	}
}

// TestMentionsOutsideMessages: only the portable message knows mentions.
func TestMentionsOutsideMessages(t *testing.T) {
	if out, fault := run(t, `return "hi " + mention(event.actor)`); fault != nil || out.Text != "hi Ann" {
		t.Errorf("text %q, %v", out.Text, fault)
	}
	if out, fault := run(t, `return {a: "hi " + mention({phone: "+49"}) + mention({id: 12})}`); fault != nil || string(out.Native) != `{"a":"hi +4912"}` {
		t.Errorf("native %s, %v", out.Native, fault)
	}
}

// TestNobodyElseMakesMentions: the characters of tokens do not survive the way
// into a template.
func TestNobodyElseMakesMentions(t *testing.T) {
	in := render.Input{Event: []byte("{\"title\":\"\ue0000\ue001\",\"description\":\"\\ue0000\\ue001\"}"), Context: berlin}
	out, fault := newTemplate(t, `mention("Eve"); return message({title: event.title, text: event.description})`).Render(context.Background(), in)
	if fault != nil || out.Portable.Title != "0" || out.Portable.Text != "0" || out.Portable.Mentions != nil {
		t.Errorf("got %+v, %v", out.Portable, fault)
	}
}

func TestNothingLeaks(t *testing.T) {
	template := newScript(t, `
		globalThis.count = (globalThis.count || 0) + 1;
		let local = 0;
		Array.prototype.leak = (Array.prototype.leak || 0) + 1;
		$relay("default", (event) => { local++; event.seen = (event.seen || 0) + 1; return [count, local, [].leak, event.seen].join(); });`)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				if out, fault := template.Render(context.Background(), render.Input{Event: []byte(event)}); fault != nil || out.Text != "1,1,1,1" {
					t.Errorf("got %q, %v; want 1,1,1,1 every time", out.Text, fault)
				}
			}
		})
	}
	all.Wait()
}

func TestRetriesRenderTheSame(t *testing.T) {
	template := newTemplate(t, `return [Math.random(), Math.random(), Date.now(), new Date().toISOString(), ctx.now].join()`)
	render1 := func(seed string) string {
		out, fault := template.Render(context.Background(), render.Input{Event: []byte(event), Context: berlin, Seed: seed})
		if fault != nil {
			t.Fatal(fault)
		}
		return out.Text
	}
	first := render1("d1")
	if again := render1("d1"); again != first {
		t.Errorf("the same delivery: %s, then %s", first, again)
	}
	if other := render1("d2"); other == first {
		t.Errorf("another delivery has the same numbers: %s", other)
	}
	if want := ",1795248000123,2026-11-21T08:00:00.123Z,2026-11-21T08:00:00.123Z"; !strings.HasSuffix(first, want) {
		t.Errorf("got %s, want …%s", first, want)
	}
}

func TestContext(t *testing.T) {
	in := render.Input{Event: []byte(event), Context: berlin}
	in.Context.Direct = true
	in.Context.Recipient = []byte(`{"name":"Bob"}`)
	template := newTemplate(t, `return {ctx}`)
	out, fault := template.Render(context.Background(), in)
	want := `{"ctx":{"destination":"dba-team","provider":"slack","direct":true,"recipient":{"name":"Bob"},"language":"de-AT","time_zone":"Europe/Berlin","now":"2026-11-21T08:00:00.123Z"}}`
	if fault != nil || string(out.Native) != want {
		t.Errorf("got %s, %v; want %s", out.Native, fault, want)
	}
	if out, fault = template.Render(context.Background(), render.Input{Event: []byte(event)}); fault != nil || !strings.Contains(string(out.Native), `"recipient":null,"language":"en"`) {
		t.Errorf("got %s, %v", out.Native, fault)
	}
}

// TestLimits: whatever a script does, it ends in time, with a place where there
// is one, and the process lives.
func TestLimits(t *testing.T) {
	tests := []struct{ name, body, fault string }{
		{"Loop", `for (;;) {}`, "took longer than 250 ms"},
		{"LoopThatCatches", `for (;;) { try { for (;;) {} } catch (e) {} finally { for (;;) {} } }`, "took longer than 250 ms"},
		{"LoopInACallback", `[1].forEach(() => { for (;;) {} })`, "took longer than 250 ms"},
		{"Recursion", `(function f() { f() })()`, "calls nest deeper than 512 levels"},
		{"RecursionThroughTheEngine", `(function f() { [1].map(f) })()`, "calls nest deeper than 512 levels"},
		{"RecursionInJSON", `const o = {toJSON() { return JSON.stringify(o) }}; return o`, "calls nest deeper than 512 levels"},
		{"Backtracking", `/^(a+)+\1$/.test("a".repeat(40) + "b"); return "x"`, "took longer than 250 ms"},
		{"Eval", `return eval("1")`, "ReferenceError: eval is not defined"},
		{"EndlessPromises", `(function f() { Promise.resolve().then(f) })(); return "x"`, "took longer than 250 ms"},
		{"LoopInAGetter", `return {get a() { for (;;) {} }}`, "took longer than 250 ms"},
		{"Function", `return Function("return 1")()`, "ReferenceError: Function is not defined"},
		{"FunctionOfAFunction", `return (() => 1).constructor("return 1")()`, "TypeError: Not a function"},
		{"FunctionOfAGenerator", `return Object.getPrototypeOf(function* () {}).constructor("yield 1")()`, "TypeError: Not a function"},
		{"FunctionOfAnAsync", `return Object.getPrototypeOf(async () => {}).constructor("1")()`, "TypeError: Not a function"},
		{"Repeat", `return "x".repeat(2 ** 28)`, "RangeError: repeat would make a text of 268435456 characters; at most 4194304 are taken"},
		{"RepeatEndlessly", `return "x".repeat(2 ** 40)`, "RangeError: repeat would make"},
		{"Pad", `return "x".padStart(2 ** 36)`, "RangeError: padStart would make"},
		{"ReplaceAll", `return "a".repeat(1e4).replaceAll("a", "b".repeat(1e4))`, "RangeError: replaceAll would make"},
		{"LongArray", `return new Array(4294967295).fill(0).join()`, "RangeError: an array of 4294967295 elements; at most 1048576 are taken"},
		{"LongArrayFrom", `return Array.from({length: 4e9}).join()`, "RangeError: an array of 4000000000 elements"},
		{"Replace", `return "x".repeat(1e4).replace(/x/g, "xx".repeat(1000))`, "RangeError: replace would make a text of 419"},
		{"ReplaceByWhatWasFound", `return "x".repeat(1e6).replace(/(x+)/g, "$1$1$1$1$1")`, "RangeError: replace would make a text of 6000010 characters"},
		{"ReplaceByWhatStandsBefore", "return 'x'.repeat(1e4).replace(/x/g, '$`')", "RangeError: replace would make a text of "},
		{"Join", `return Array(1e5).join("x".repeat(1e5))`, "RangeError: join would make a text of 10000000000 characters"},
		{"JoinOfLongOnes", `return Array(1e3).fill("x".repeat(1e5)).join("")`, "RangeError: join would make a text of 42"},
		{"Bytes", `return "n" + new Uint8Array(2 ** 30).length`, "RangeError: a Uint8Array of 1073741824 bytes; at most 8388608 are taken"},
		{"BytesOfAnother", `return "n" + new Float64Array({length: 2 ** 24}).length`, "RangeError: a Float64Array of 134217728 bytes"},
		{"BytesFrom", `return "n" + Uint8Array.from({length: 2 ** 30}).length`, "RangeError: a Uint8Array of 1073741824 bytes"},
		{"BytesOfAConstructor", `return "n" + new (new Uint16Array(1).constructor)(2 ** 30).length`, "RangeError: a Uint16Array of 2147483648 bytes"},
		{"Buffer", `return "n" + new ArrayBuffer(2 ** 30).byteLength`, "RangeError: an ArrayBuffer of 1073741824 bytes"},
		{"DeepJSON", `return JSON.parse("[".repeat(3e4))`, "RangeError: JSON.parse: brackets are nested deeper than 1000 levels"},
		{"NoProcess", `return typeof process + typeof require + typeof fetch + typeof setTimeout`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, fault := run(t, test.body)
			if test.fault == "" {
				if fault != nil || out.Text != strings.Repeat("undefined", 4) {
					t.Errorf("got %q, %v", out.Text, fault)
				}
				return
			}
			if fault == nil || !strings.HasPrefix(fault.Message, test.fault) {
				t.Errorf("got %s, %v; want %s…", out.JSON, fault, test.fault)
			}
		})
	}
}

// TestGuardsLetTheRestThrough: what is guarded works as ever.
func TestGuardsLetTheRestThrough(t *testing.T) {
	out, fault := run(t, `
		class List extends Array {}
		return [
			"ab".repeat(3), "x".padStart(3, "-"), "x".padEnd(3, "-"), "aXbX".replaceAll("X", "yy"), "a1b2".replaceAll(/\d/g, (d) => d * 2),
			JSON.stringify(JSON.parse('{"a":[1,{"b":null}]}', (k, v) => v === 1 ? 2 : v)), Array.isArray([]) && Array.isArray(Array(3)),
			[] instanceof Array, new List(1, 2).length, Array.from("abc").join("+"), Array.of(1, 2).concat(Array(2).fill(0)).join(""), new Array(1, 2, 3).length,
			[..."ab"].map((x) => x + x).join(), [1, , null, "a", [2, 3]].join(), "aXbX".replace("X", "[$&]"), "a1b2".replace(/(\d)/g, "<$1>"),
			(() => { const text = "x1".repeat(3000), digit = /1/y; digit.lastIndex = 1; return text.replace(digit, "$&".repeat(3)).slice(0, 5) + digit.lastIndex })(),
			"x1".repeat(3000).replace(/\d/g, "<$&>").length, new Uint8Array([1, 300]).join("+"), Uint16Array.from([1, 2], (n) => n * 2).join("+"),
			Int8Array.BYTES_PER_ELEMENT, new Uint8Array(new ArrayBuffer(8), 2, 3).length, ArrayBuffer.isView(new Float32Array(2)),
			new Uint8Array(2) instanceof Uint8Array, Uint8Array.of(7)[0], new (class extends Uint8Array {})(3).length,
		].join(" ")`)
	want := `ababab --x x-- ayybyy a2b4 {"a":[2,{"b":null}]} true true 2 a+b+c 1200 3 aa,bb 1,,,a,2,3 a[X]bX a<1>b<2> x111x2 12000 1+44 2+4 1 3 true true 7 3`
	if fault != nil || out.Text != want {
		t.Errorf("got %s, %v; want %s", out.Text, fault, want)
	}
}

// TestMemory: a script is ended by what it takes, before its time is over. (The
// longer time of a source script leaves a busy machine enough of it.)
func TestMemory(t *testing.T) {
	template := newScript(t, `$relay("default", () => { const a = []; for (let i = 0; i < 40; i++) a.push(new ArrayBuffer(5e6)); for (;;) a.length })`)
	_, _, fault := template.Convert(context.Background(), []byte(`{}`), time.Now())
	if fault == nil || fault.Message != "used more than 128 MiB of memory" {
		t.Errorf("fault %v", fault)
	}
}

// TestMemoryOfAnother: who runs beside a script that takes the memory is not
// blamed for it, whatever it does meanwhile.
func TestMemoryOfAnother(t *testing.T) {
	watch := render.NewWatch()
	scripts := map[string]string{
		`const a = []; for (let i = 0; i < 40; i++) a.push(new ArrayBuffer(5e6)); for (;;) a.length`: "used more than 128 MiB of memory",
		`for (;;) ;`: "took longer than 250 ms",
		`const until = 20000; let n = 0; while (n < until) n++; return "n" + n`: "",
	}
	var all sync.WaitGroup
	for source, want := range scripts {
		template := newTemplate(t, source)
		for range 2 {
			all.Go(func() {
				out, err := template.Render(context.Background(), render.Input{Event: []byte(event), Watch: watch})
				switch {
				case want == "" && (err != nil || out.Text != "n20000"):
					t.Errorf("an innocent one: %q, %v", out.Text, err)
				case want != "" && (err == nil || err.Message != want && err.Message != "took longer than 250 ms"): // which comes first is open
					t.Errorf("%s: %v, want %s", source, err, want)
				}
			})
		}
	}
	all.Wait()
}

// TestRenderIsGivenUp: a render that is deaf to its interrupt holds nobody up.
func TestRenderIsGivenUp(t *testing.T) {
	template := newTemplate(t, `const a = []; a.length = 1e8; return a.indexOf(1)`)
	given := make(chan *relay.TemplateError, 1)
	watch := render.NewWatch()
	go template.Render(context.Background(), render.Input{Event: []byte(event), Watch: watch, GiveUp: func(e *relay.TemplateError) { given <- e }})
	fault := <-given
	if !fault.Fatal || !strings.HasPrefix(fault.Message, "took longer than 250 ms and could not be interrupted") {
		t.Errorf("given up with %+v", fault)
	}
	out, err := newTemplate(t, `return "next"`).Render(context.Background(), render.Input{Event: []byte(event), Watch: watch})
	if err != nil || out.Text != "next" {
		t.Errorf("the next render: %q, %v", out.Text, err)
	}
}

func TestEventJSON(t *testing.T) {
	tests := []struct{ name, json, want string }{ // want: what JSON.stringify makes of it, or the fault
		{"Everything", ` { "a" : [ 1 , -2.5 , 1e3 , "\u00e9\n\"\\\/\ud83d\ude00" , true , false , null , {} , [] ] } `, `{"a":[1,-2.5,1000,"é\n\"\\/😀",true,false,null,{},[]]}`},
		{"BigNumbers", `{"a":9007199254740991,"b":9007199254740993,"c":-9007199254740993,"d":123456789012345678901234567890,"e":1e999}`,
			`{"a":9007199254740991,"b":"9007199254740993","c":"-9007199254740993","d":"123456789012345678901234567890","e":"1e999"}`},
		{"Proto", `{"__proto__":{"a":1},"constructor":2}`, `{"__proto__":{"a":1},"constructor":2}`},
		{"LoneSurrogate", `{"a":"\ud800","b":"\ud800\u0041"}`, "{\"a\":\"\ufffd\",\"b\":\"\ufffdA\"}"},
		{"NotUTF8", "{\"a\":\"\xff\"}", "{\"a\":\"\ufffd\"}"},
		{"Deep", strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 64) + strings.Repeat("]", 64)},
		{"TooDeep", strings.Repeat("[", 65) + strings.Repeat("]", 65), "the event is not usable JSON: it is nested deeper than 64 levels"},
		{"Cut", `{"a":`, "the event is not usable JSON: it ends too early"},
		{"Rest", `{} {}`, "the event is not usable JSON: unexpected '{' at byte 4"},
		{"LeadingZero", `01`, "the event is not usable JSON: unexpected '0' at byte 1"},
		{"Minus", `[-]`, "the event is not usable JSON: unexpected '-'"},
		{"BadEscape", `"\x"`, "the event is not usable JSON: unexpected 'x'"},
		{"RawControl", "\"\n\"", "the event is not usable JSON: unexpected '\\n'"},
		{"Word", `nul`, "the event is not usable JSON: unexpected 'n'"},
		{"Nothing", ``, "the event is not usable JSON: it ends too early"},
	}
	template := newTemplate(t, `return JSON.stringify(event)`)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, fault := template.Render(context.Background(), render.Input{Event: []byte(test.json)})
			if fault != nil {
				if !strings.HasPrefix(fault.Message, test.want) {
					t.Errorf("fault %v, want %s", fault, test.want)
				}
			} else if out.Text != test.want {
				t.Errorf("got %s, want %s", out.Text, test.want)
			}
		})
	}
}

func TestNewRefusesWhatDoesNotParse(t *testing.T) {
	_, err := render.New(relay.Program{Name: "a.ts", Code: []byte("let x = ;")})
	if fault, ok := err.(*relay.TemplateError); !ok || fault.File != "a.ts" || fault.Message == "" {
		t.Errorf("got %v, want a *relay.TemplateError of a.ts", err)
	}
}

// TestSourceMapsAreNotReadFromDisk: code may not make the process read a file.
func TestSourceMapsAreNotReadFromDisk(t *testing.T) {
	for _, path := range []string{"/dev/zero", "file:///dev/zero"} { // reading either would never end
		template, err := render.New(relay.Program{Name: "a.ts", Code: []byte("$relay('default', () => { throw new Error('x') });\n//# sourceMappingURL=" + path)})
		if err != nil {
			t.Fatal(err)
		}
		if _, fault := template.Render(context.Background(), render.Input{Event: []byte(event)}); fault == nil || fault.File != "a.ts" {
			t.Errorf("fault %v, want one of a.ts", fault)
		}
	}
}

func TestNoDefaultExport(t *testing.T) {
	for code, want := range map[string]string{"": "the default export is undefined; it must be a function", "$relay('default', {});": "the default export is an object"} {
		if _, fault := newScript(t, code).Render(context.Background(), render.Input{Event: []byte(event)}); fault == nil || !strings.HasPrefix(fault.Message, want) {
			t.Errorf("%q: %v, want %s…", code, fault, want)
		}
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, fault := newTemplate(t, `return "x"`).Render(ctx, render.Input{Event: []byte(event)}); fault == nil {
		t.Error("rendered with a context that is over")
	}
}

func FuzzEventJSON(f *testing.F) {
	f.Add([]byte(event))
	f.Add([]byte(`[0.]`))
	f.Add([]byte(`{"a":[1,-0,1.5e-3,"\ud83d\ude00"],"__proto__":null}`))
	template := newTemplate(f, `return {event}`)
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, fault := template.Render(context.Background(), render.Input{Event: raw})
		if fault != nil {
			if strings.Contains(fault.Message, "engine failed") {
				t.Fatal(fault)
			}
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("took %q, which is no JSON", raw)
		}
		if !json.Valid(out.Native) {
			t.Fatalf("made %q of %q, which is no JSON", out.Native, raw)
		}
	})
}
