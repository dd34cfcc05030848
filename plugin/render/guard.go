package render

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dop251/goja"
)

// Limits of the engine's calls that do all their work at once, deaf to the
// interrupt. They are far above what a message needs.
const (
	maxText     = 4 << 20 // characters of a text that one call makes
	maxElements = 1 << 20 // of an array; the longest event has half as many
	maxNested   = 1000    // levels of JSON in JSON.parse, which recurses
)

// guard replaces one of the engine's functions by one that refuses beforehand
// what could not be ended.
type guard struct {
	names   []string // a program whose text has none of these does without it: a guard costs microseconds
	install func(*scope)
}

var guards = []guard{
	{[]string{"repeat"}, (*scope).guardRepeat},
	{[]string{"padStart", "padEnd"}, (*scope).guardPad},
	{[]string{"replaceAll"}, (*scope).guardReplaceAll},
	{[]string{"parse"}, (*scope).guardParse},
	{[]string{"Array"}, (*scope).guardArray},
}

// lazyFunctions is the syntax of generators and async functions, whose
// constructors compile text as Function does.
var lazyFunctions = regexp.MustCompile(`\basync\b|function\s*\*|[{},;\n]\s*(?:static\s+)?\*`)

// guardsOf are the guards that a program needs.
func guardsOf(code string) []func(*scope) {
	var needed []func(*scope)
	for _, g := range guards {
		for _, name := range g.names {
			if strings.Contains(code, name) {
				needed = append(needed, g.install)
				break
			}
		}
	}
	if lazyFunctions.MatchString(code) {
		needed = append(needed, (*scope).lockLazyFunctions)
	}
	return needed
}

// lock takes away what compiles text at run time: it was never scanned, and
// source that is deep enough ends the process of whoever compiles it.
func (s *scope) lock() error {
	global := s.rt.GlobalObject()
	function := global.Get("Function").ToObject(s.rt).Get("prototype").ToObject(s.rt)
	if err := function.Delete("constructor"); err != nil {
		return err
	}
	for _, name := range []string{"Function", "eval"} {
		if err := global.Delete(name); err != nil {
			return err
		}
	}
	for _, install := range s.template.guards {
		install(s)
	}
	return nil
}

var lazyConstructors = goja.MustCompile("", `[function* () {}, async function () {}].forEach(function (f) { delete Object.getPrototypeOf(f).constructor; })`, true)

func (s *scope) lockLazyFunctions() {
	if _, err := s.rt.RunProgram(lazyConstructors); err != nil {
		panic(err)
	}
}

// native is the engine's own function at a path such as String.prototype.repeat.
func (s *scope) native(path ...string) (owner *goja.Object, f goja.Callable) {
	owner = s.rt.GlobalObject()
	for _, name := range path[:len(path)-1] {
		owner = owner.Get(name).ToObject(s.rt)
	}
	f, _ = goja.AssertFunction(owner.Get(path[len(path)-1]))
	return owner, f
}

// wrap puts check in front of an engine's function.
func (s *scope) wrap(check func(goja.FunctionCall), path ...string) {
	owner, original := s.native(path...)
	name := path[len(path)-1]
	wrapped := s.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		check(call)
		v, err := original(call.This, call.Arguments...)
		if err != nil {
			panic(err)
		}
		return v
	})
	s.define(owner, name, wrapped)
}

// refuse throws a RangeError at the line of the call.
func (s *scope) refuse(format string, args ...any) {
	e, err := s.rt.New(s.rt.Get("RangeError"), s.rt.ToValue(fmt.Sprintf(format, args...)))
	if err != nil {
		panic(err)
	}
	panic(e)
}

// length counts the UTF-16 units of a value's text, nearly: bytes are at most
// three times as many.
func length(v goja.Value) float64 {
	if missing(v) {
		return 0
	}
	return float64(len(v.String()))
}

func (s *scope) refuseText(name string, size float64) {
	if size > maxText {
		s.refuse("%s would make a text of %.0f characters; at most %d are taken", name, size, maxText)
	}
}

func (s *scope) guardRepeat() {
	s.wrap(func(c goja.FunctionCall) {
		s.refuseText("repeat", length(c.This)*c.Argument(0).ToFloat())
	}, "String", "prototype", "repeat")
}

func (s *scope) guardPad() {
	for _, name := range []string{"padStart", "padEnd"} {
		s.wrap(func(c goja.FunctionCall) { s.refuseText(name, c.Argument(0).ToFloat()) }, "String", "prototype", name)
	}
}

func (s *scope) guardReplaceAll() {
	s.wrap(func(c goja.FunctionCall) {
		if goja.IsString(c.Argument(0)) && goja.IsString(c.Argument(1)) {
			text := plain(c.This)
			found := strings.Count(text, c.Argument(0).String())
			s.refuseText("replaceAll", float64(len(text))+float64(found)*length(c.Argument(1)))
		}
	}, "String", "prototype", "replaceAll")
}

func (s *scope) guardParse() {
	s.wrap(func(c goja.FunctionCall) {
		text := plain(c.Argument(0))
		s.refuseText("JSON.parse", length(c.Argument(0)))
		depth := 0
		for i := range len(text) {
			switch text[i] {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > maxNested {
				s.refuse("JSON.parse: brackets are nested deeper than %d levels", maxNested)
			}
		}
	}, "JSON", "parse")
}

// guardArray refuses arrays of a length that the engine would walk for minutes,
// hole by hole.
func (s *scope) guardArray() {
	array := s.rt.Get("Array").ToObject(s.rt)
	guarded := s.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		if n := call.Argument(0); len(call.Arguments) == 1 && goja.IsNumber(n) && n.ToFloat() > maxElements {
			s.refuse("an array of %.0f elements; at most %d are taken", n.ToFloat(), maxElements)
		}
		o, err := s.rt.New(array, call.Arguments...)
		if err == nil {
			err = o.SetPrototype(call.This.Prototype()) // of a class that extends Array
		}
		if err != nil {
			panic(err)
		}
		return o
	}).ToObject(s.rt)
	prototype := array.Get("prototype")
	if err := guarded.Set("prototype", prototype); err != nil {
		panic(err)
	}
	for _, name := range []string{"from", "isArray", "of"} {
		s.define(guarded, name, array.Get(name))
	}
	s.define(prototype.ToObject(s.rt), "constructor", guarded)
	s.define(s.rt.GlobalObject(), "Array", guarded)
}

func (s *scope) define(o *goja.Object, name string, v goja.Value) {
	if err := o.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE); err != nil {
		panic(err)
	}
}
