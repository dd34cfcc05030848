package render

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"

	"github.com/relay-sidecar/relay"
)

// Hook is the global function that stands between a program and this package.
// Hook("default", f) and Hook("answer", f) hand an export over; Hook(name) with
// one of [Helpers] returns that helper of module "relay".
const Hook = "$relay"

// scope is one runtime and what belongs to it alone. It runs once, in one
// goroutine.
type scope struct {
	template *Template
	rt       *goja.Runtime
	ctx      Context

	entry    goja.Value // the default export
	answer   goja.Value // the export named answer
	mentions []relay.Person
	branded  [1]goja.StackFrame // where message() was last called
	vigil    *vigil             // of the last run
}

func (t *Template) open(ctx Context, seed string) *scope {
	s := &scope{template: t, rt: goja.New(), ctx: ctx}
	s.rt.SetMaxCallStackSize(maxStack)
	s.rt.SetParserOptions(parser.WithDisableSourceMaps)
	now := ctx.Now
	s.rt.SetTimeSource(func() time.Time { return now })
	var random *rand.Rand
	s.rt.SetRandSource(func() float64 {
		if random == nil {
			hash := fnv.New64a()
			hash.Write([]byte(seed))
			random = rand.New(rand.NewPCG(hash.Sum64(), uint64(len(seed))))
		}
		return random.Float64()
	})
	return s
}

// run loads the program and then calls f, both within the limits. Everything
// that can throw happens inside; what goes wrong comes back with its place.
// giveUp is told, from another goroutine, of a script that cannot be ended: run
// then returns some day, or never, and what it returns is nobody's any more.
func (s *scope) run(w *Watch, limit time.Duration, giveUp func(*relay.TemplateError), f func()) (fault *relay.TemplateError) {
	w.enter()
	if tell := giveUp; tell != nil {
		giveUp = func(e *relay.TemplateError) {
			w.leave() // what is given up holds nobody else up
			tell(e)
		}
	}
	vigil := s.watch(w, limit, giveUp)
	s.vigil = vigil
	defer func() {
		// A panic here is an exception on its way out, or a fault of the engine,
		// which must not take the process and other deliveries with it.
		if x := recover(); x != nil {
			fault = s.fault(x)
		}
		if vigil.end() {
			w.leave()
		} else {
			fault = ErrGivenUp
		}
	}()
	if err := s.rt.Set(Hook, s.hook); err != nil {
		return s.fault(err)
	}
	if err := s.lock(); err != nil {
		return s.fault(err)
	}
	if _, err := s.rt.RunProgram(s.template.program); err != nil {
		return s.fault(err)
	}
	if ex := s.rt.Try(f); ex != nil {
		return s.fault(ex)
	}
	return nil
}

// call runs the default export and takes a settled promise apart.
func (s *scope) call(args ...goja.Value) goja.Value {
	return s.settle(s.function()(goja.Undefined(), args...))
}

// function is the default export.
func (s *scope) function() goja.Callable {
	f, ok := goja.AssertFunction(s.entry)
	if !ok {
		s.fail(NoFunction+" %s; it must be a function (event, ctx)", describe(s.entry))
	}
	return f
}

// NoFunction is how the words begin for a default export that cannot be called.
const NoFunction = "the default export is"

var promiseType = reflect.TypeFor[*goja.Promise]()

// settle is a call's value. Scripts may be async as long as they wait for
// nothing: there is nothing to wait for.
func (s *scope) settle(v goja.Value, err error) goja.Value {
	if err != nil {
		panic(err)
	}
	object, ok := v.(*goja.Object)
	if !ok || object.ExportType() != promiseType {
		return v
	}
	promise := object.Export().(*goja.Promise)
	switch promise.State() {
	case goja.PromiseStateFulfilled:
		return promise.Result()
	case goja.PromiseStateRejected:
		panic(rejection{promise.Result()})
	}
	s.fail("the default export returned a promise that never settles; templates cannot wait")
	return nil
}

// rejection is what an async function threw.
type rejection struct{ value goja.Value }

// refusal is a fault of the template that this package found, at a place where
// one is known.
type refusal struct {
	place   *goja.StackFrame
	message string
}

// fail gives the render up.
func (s *scope) fail(format string, args ...any) {
	panic(refusal{message: fmt.Sprintf(format, args...)})
}

// throw throws a TypeError at the line that called a helper.
func (s *scope) throw(format string, args ...any) {
	panic(s.rt.NewTypeError(fmt.Sprintf(format, args...)))
}

// contextObject is ctx.
func (s *scope) contextObject() goja.Value {
	recipient := goja.Null()
	if len(s.ctx.Recipient) > 0 {
		v, err := s.decode(s.ctx.Recipient)
		if err != nil {
			s.fail("the recipient is not usable JSON: %v", err)
		}
		recipient = v
	}
	o := s.rt.NewObject()
	s.put(o, "destination", s.rt.ToValue(s.ctx.Destination))
	s.put(o, "provider", s.rt.ToValue(s.ctx.Provider))
	s.put(o, "direct", s.rt.ToValue(s.ctx.Direct))
	s.put(o, "recipient", recipient)
	s.put(o, "language", s.rt.ToValue(s.language()))
	s.put(o, "time_zone", s.rt.ToValue(s.ctx.TimeZone))
	s.put(o, "now", s.rt.ToValue(s.ctx.Now.UTC().Format(isoTime)))
	return o
}

// isoTime is how JavaScript writes a time.
const isoTime = "2006-01-02T15:04:05.000Z"

func (s *scope) language() string {
	if s.ctx.Language == "" {
		return defaultLanguage
	}
	return s.ctx.Language
}

// put sets an own property of an object that this package made.
func (s *scope) put(o *goja.Object, key string, v goja.Value) {
	var err error
	if key == "__proto__" {
		// An assignment would change the prototype instead.
		err = o.DefineDataProperty(key, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
	} else {
		err = o.Set(key, v)
	}
	if err != nil {
		panic(err)
	}
}

// logged is the JSON of a value that always encodes.
func logged(v any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}
