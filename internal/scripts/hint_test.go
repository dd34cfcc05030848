package scripts_test

import (
	"context"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
)

// TestExplain: a fault says its place in the source, shows it, and knows the
// remedy where one can be told.
func TestExplain(t *testing.T) {
	const before = "import { message } from \"relay\";\nexport default (event, ctx) => {\n"
	tests := []struct{ name, line, frame, hint string }{
		{"Misspelt", `  return event.actr.name;`, "    2 | export default (event, ctx) => {\n    3 |   return event.actr.name;\n      |                     ^\n    4 | };", "did you mean event.actor.name?"},
		{"Swapped", `  return event.titel.trim();`, "", "did you mean event.title.trim?"},
		{"OtherWord", `  return message({ title: event.user.name });`, "", "did you mean event.actor.name?"},
		{"OfTheContext", `  return ctx.recipent.name;`, "", "did you mean ctx.recipient.name?"},
		{"Missing", `  return event.actor.name;`, "", "this event has no event.actor; write event.actor?.name"},
		{"NoRecipient", `  return ctx.recipient.name;`, "", "ctx.recipient can be missing; write ctx.recipient?.name"},
		{"InData", `  return event.data.user.name;`, "", "this event has no event.data.user; write event.data.user?.name"},
		{"Key", `  return message({ titel: event.title });`, "", "did you mean title?"},
		{"FieldKey", `  return message({ fields: [{ nam: "a" }] });`, "", "did you mean name?"},
		{"Helper", `  return truncate(event.title, 3);`, "", `import { truncate } from "relay"`},
		{"Variable", `  return evnt.title;`, "", "did you mean event?"},
		{"Method", `  return event.title.toUppercase();`, "", "did you mean toUpperCase?"},
		{"NoReturn", `  message({ title: event.title });`, "", "is a return missing?"},
		{"Console", `  console.log(event.title);`, "", "there is no console: put what you want to see into the message, and look at it with relay preview"},
		{"Dates", `  return new Intl.DateTimeFormat().format();`, "", "there is no Intl: formatTime of module \"relay\" writes times, and t translates"},
		{"Network", `  return fetch("https://example.com");`, "", "a template reaches no network: what it needs belongs into the event's data"},
		{"Timer", `  setTimeout(() => {}, 1);`, "", "a template cannot wait: everything is in event and ctx"},
		{"Environment", `  return process.env.HOME;`, "", "a template sees no process and no environment: what it needs belongs into the event's data"},
		{"Eval", `  return eval("1");`, "", "code is not made at run time: write a function"},
		{"EmptyText", `  return "" + (event.titel ?? "");`, "", "there is no event.titel; did you mean event.title?"},
		{"EmptyByTheData", `  return "" + (event.data.titel ?? "");`, "", ""},
		{"Unknown", `  throw new Error("mine");`, "    2 | export default (event, ctx) => {\n    3 |   throw new Error(\"mine\");\n      |         ^\n    4 | };", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := []byte(before + test.line + "\n};\n")
			c := scripts.Compile(map[string][]byte{"a.ts": source}, []string{"a.ts"})[0]
			if len(c.Problems) > 0 {
				t.Fatal(c.Problems)
			}
			p := &relay.Program{Name: "a.ts", Code: c.Code, Sources: map[string]relay.Source{"a.ts": {Path: "a.ts", Text: source}}}
			template, err := render.New(*p)
			if err != nil {
				t.Fatal(err)
			}
			event := []byte(`{"title":"add index","data":{}}`)
			_, fault := template.Render(context.Background(), render.Input{Event: event})
			if fault == nil {
				t.Fatal("it renders")
			}
			scripts.Explain(p, fault, event)
			if fault.Hint != test.hint {
				t.Errorf("%v\nhint %q, want %q", fault, fault.Hint, test.hint)
			}
			if test.frame != "" && fault.Frame != test.frame {
				t.Errorf("frame\n%s\nwant\n%s", fault.Frame, test.frame)
			}
		})
	}
}
