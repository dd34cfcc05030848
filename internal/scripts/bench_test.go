package scripts_test

import (
	"context"
	"testing"
	"time"

	"github.com/dop251/goja"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/render"
)

// benchEvent has about 600 bytes, as in the project's benchmark.
const benchEvent = `{"id":"7f0c2b1e-77aa-4a0e-9d43-5a2f6f0b8f10","type":"issue.approval_requested","source":"bytebase","time":"2026-11-21T08:00:00Z","level":"warn","title":"Approval required: add index to orders","description":"Alice asks for approval of the change **add index** on the table orders of prod-shop.","link":"https://bytebase.example.com/projects/demo/issues/101","actor":{"id":1,"name":"Alice","email":"alice@example.com"},"project":{"id":1,"name":"demo"},"issue":{"id":101,"name":"add index to orders","status":"OPEN","type":"bb.issue.database.schema.update"},"data":{"environment":"prod"}}`

var benchTemplates = map[string][]byte{
	"floor.ts": []byte(`export default function (event) { return event; }`),
	"native.ts": []byte(`import { truncate, type Event, type Context } from "relay";

export default function (event: Event, ctx: Context) {
  const fields = [
    ["Project", event.project?.name],
    ["Issue", event.issue?.name],
    ["Actor", event.actor?.name],
  ].filter(([, value]) => value).map(([name, value]) => ({ name, value }));
  return {
    title: truncate(event.title, 100),
    text: event.description ?? "",
    level: event.level.toUpperCase(),
    fields,
    link: event.link,
  };
}
`),
	"portable.ts": []byte(`import { message, mention, t } from "relay";
export default function (event) {
  return message({
    title: event.title, level: event.level, link: event.link,
    text: mention(event.actor) + " asks for your approval",
    fields: [{ name: "Issue", value: event.issue?.name, short: true }],
    actions: [{ text: "Review", url: event.link }],
  });
}
`),
}

// BenchmarkRender: floor.ts reads the event and writes it again, the next two
// are templates of an author, and the last one is what runs without any.
func BenchmarkRender(b *testing.B) {
	b.Run("built-in", func(b *testing.B) {
		bench(b, *builtIn(b).Find("slack", "issue.approval_requested"))
	})
	for _, c := range scripts.Compile(benchTemplates, []string{"floor.ts", "native.ts", "portable.ts"}) {
		b.Run(c.Name, func(b *testing.B) {
			if len(c.Problems) > 0 {
				b.Fatal(c.Problems)
			}
			bench(b, relay.Program{Name: c.Name, Code: c.Code})
		})
	}
}

func bench(b *testing.B, p relay.Program) {
	template, err := render.New(p)
	if err != nil {
		b.Fatal(err)
	}
	in := benchInput("custom")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Render(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func benchInput(provider string) render.Input {
	return render.Input{
		Event:   []byte(benchEvent),
		Seed:    "0199a5b0-0000-7000-8000-000000000001",
		Context: render.Context{Destination: "bench", Provider: provider, Language: "en", TimeZone: "UTC", Now: time.Unix(1795248000, 0)},
	}
}

// BenchmarkDefaultSlack compares the default Slack template with the least that
// any template costs: the engine reads the event, calls an empty function and
// writes the result. Both run in turn, so that a busy machine slows both; the
// template may cost three times the floor. floor is measured in a runtime that
// is used again, without the fresh one that every render gets.
func BenchmarkDefaultSlack(b *testing.B) {
	rt := goja.New()
	floor, err := rt.RunProgram(goja.MustCompile("floor.js",
		`(function (text) { return JSON.stringify((function (event) { return event; })(JSON.parse(text))); })`, true))
	if err != nil {
		b.Fatal(err)
	}
	f, _ := goja.AssertFunction(floor)
	template, err := render.New(*builtIn(b).Find("slack", "issue.approval_requested"))
	if err != nil {
		b.Fatal(err)
	}
	in := benchInput("slack")
	in.Watch = render.NewWatch()
	var least, made time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := f(goja.Undefined(), rt.ToValue(benchEvent)); err != nil {
			b.Fatal(err)
		}
		half := time.Now()
		if _, err := template.Render(context.Background(), in); err != nil {
			b.Fatal(err)
		}
		least += half.Sub(begun)
		made += time.Since(half)
	}
	b.ReportMetric(0, "ns/op") // the two together mean nothing
	b.ReportMetric(float64(least.Nanoseconds())/float64(b.N), "floor-ns/op")
	b.ReportMetric(float64(made.Nanoseconds())/float64(b.N), "render-ns/op")
	b.ReportMetric(float64(made)/float64(least), "x-floor")
}
