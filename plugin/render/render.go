// Package render runs compiled templates and source scripts.
//
// It is relay's only door to a JavaScript engine. A [Template] is compiled once
// and may be rendered by many goroutines at a time; every render gets a runtime
// of its own that is thrown away afterwards, so nothing leaks from one render
// to the next, and the same event renders the same way at every retry: the
// clock is the event's, and random numbers are seeded by the delivery.
//
// A script sees the language and module "relay", nothing else: no file, no
// network, no process, no timer. It is bounded in time, in stack, in memory and in output.
// What the engine cannot interrupt is refused beforehand as far as it is known
// (a text or an array of millions, deep JSON, source made at run time); a render
// that outgrows time or memory all the same, deaf to its interrupt, is given up
// (see [Watch]), and whoever owns the process ends it. What a template made is checked here for its shape only; whether a
// vendor takes it is the provider's to say, and mention tokens stay in portable
// messages until a provider knows its people.
//
// Programs come from relay's compiler. They hand their exports over by calling
// the global function [Hook], from which module "relay" takes its helpers too:
// a helper that a template does not use costs nothing.
package render

import (
	"context"
	"encoding/json"
	"runtime"
	"time"

	"github.com/dlclark/regexp2/v2"
	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"

	"github.com/relay-sidecar/relay"
)

// Limits of one render.
const (
	// MaxTime ends a render: a template needs well under a millisecond, and
	// others wait for the processor.
	MaxTime = 250 * time.Millisecond

	// maxSourceTime ends a source script: bodies are up to 1 MiB, and only
	// their own sender waits.
	maxSourceTime = time.Second

	// maxStack is the deepest nesting of calls. It ends an endless recursion in
	// under a millisecond, and the engine's own recursion stays far below what
	// a goroutine may use.
	maxStack = 512

	// MaxOutput is the longest text that a template may make, in bytes. No
	// vendor takes more in one message.
	MaxOutput = 64 << 10

	// maxEvents is the longest JSON that a source script may make of one
	// request, which is at most 1 MiB itself.
	maxEvents = 4 << 20

	// maxDepth is how deep JSON may nest on its way in and out, as at relay's
	// door. It keeps the recursion of both codecs small.
	maxDepth = 64

	// maxErrorText bounds the message of an error that a script throws, in
	// bytes; it goes into every attempt's log.
	maxErrorText = 1000
)

// LimitRegularExpressions makes regular expressions that backtrack (those with
// back-references or look-around) give up shortly after a render's time is
// over. Without it they run for as long as they like, deaf to the interrupt.
// The engine reports a match that was given up as no match; since the time is
// over by then, the interrupt that is pending turns it into an error.
//
// The limit is a variable of the process: call it once where the process
// starts, before anything is rendered.
func LimitRegularExpressions() {
	regexp2.DefaultMatchTimeout = MaxTime + 50*time.Millisecond
}

// Template is a compiled script. It is safe for concurrent use.
type Template struct {
	name    string
	program *goja.Program
	guards  []func(*scope)
	locales *relay.Locales
	zones   zones
	idle    file.Position // of a loop that does nothing, outside of functions
}

// New compiles a program. An error is a *relay.TemplateError.
func New(p relay.Program) (*Template, error) {
	// A source map comes inline with the code or not at all: left alone, the
	// engine would read any path that the code names.
	parsed, err := goja.Parse("", string(p.Code), inlineSourceMaps)
	if err == nil {
		var program *goja.Program
		if program, err = goja.CompileAST(parsed, true); err == nil {
			return &Template{name: p.Name, program: program, guards: guardsOf(string(p.Code)), locales: p.Locales, idle: idleLoop(parsed)}, nil
		}
	}
	return nil, compileFault(p.Name, err)
}

// Check loads the program as a render does, without calling its default export,
// and says what keeps it from ever being rendered. A fault that is Fatal runs on
// in this process.
func (t *Template) Check() *relay.TemplateError {
	answer := make(chan *relay.TemplateError, 2)
	s := t.open(Context{Now: time.Now()}, "")
	go func() {
		fault := s.run(NewWatch(), checkTime, func(e *relay.TemplateError) { answer <- e }, func() { s.function() })
		if fault != ErrGivenUp {
			answer <- fault
		}
	}()
	return <-answer
}

// checkTime is longer than a render may take: what is a little late on a busy
// machine is no fault.
const checkTime = time.Second

var inlineSourceMaps = parser.WithSourceMapLoader(func(string) ([]byte, error) { return nil, nil })

// Context is what a template sees as ctx.
type Context struct {
	Destination string
	Provider    string
	Direct      bool
	Recipient   json.RawMessage // JSON of a relay.Person; empty for the channel
	Language    string          // such as "zh-CN"; empty: en
	TimeZone    string          // such as "Asia/Shanghai"; empty or unknown: the process's own
	Now         time.Time       // when the event was accepted; Date.now() says the same
}

// Input is what one render is about.
type Input struct {
	Event   json.RawMessage // the canonical JSON of the event
	Context Context
	Seed    string // the delivery's id: it seeds Math.random()

	// Watch bounds the renders of the process together; nil: this one alone.
	Watch *Watch
	// GiveUp is called at most once, from another goroutine, when the render
	// cannot be ended: the error is [relay.TemplateError] with Fatal. Render's own
	// answer is then [ErrGivenUp], if it ever comes, and nothing must follow from
	// it. nil: Render is waited for, however long it takes.
	GiveUp func(*relay.TemplateError)
}

// ErrGivenUp is what Render returns when GiveUp was called before.
var ErrGivenUp = &relay.TemplateError{Message: "the render was given up"}

// Output is what a template made.
type Output struct {
	relay.Rendered
	JSON json.RawMessage // the same for the log: an object, a string or null
}

// Render calls the template's default export. A context that is over refuses
// the render; one that ends while it runs is not heard, since the render ends
// within [MaxTime] anyway.
func (t *Template) Render(ctx context.Context, in Input) (Output, *relay.TemplateError) {
	if err := ctx.Err(); err != nil {
		return Output{}, &relay.TemplateError{File: t.name, Message: "not rendered: " + err.Error()}
	}
	out, accused, err := t.render(in)
	if !accused {
		return out, err
	}
	// The heap is the process's. Alone it shows whose fault that was.
	done := in.Watch.clear()
	defer done()
	runtime.GC()
	in.Watch = NewWatch()
	if tell := in.GiveUp; tell != nil {
		in.GiveUp = func(e *relay.TemplateError) {
			done()
			tell(e)
		}
	}
	out, _, err = t.render(in)
	return out, err
}

// render renders once; accused means that it was ended for the memory that it,
// or another script beside it, used.
func (t *Template) render(in Input) (out Output, accused bool, err *relay.TemplateError) {
	s := t.open(in.Context, in.Seed)
	err = s.run(in.Watch, MaxTime, in.GiveUp, func() {
		event, err := s.decode(in.Event)
		if err != nil {
			s.fail("the event is not usable JSON: %v", err)
		}
		out = s.output(s.call(event, s.contextObject()))
	})
	if err != nil {
		return Output{}, err != ErrGivenUp && s.vigil.accused.Load(), err
	}
	return out, false, nil
}
