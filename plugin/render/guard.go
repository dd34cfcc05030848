package render

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// Limits of the engine's calls that do all their work at once, deaf to the
// interrupt. They are far above what a message needs.
const (
	maxText     = 4 << 20 // characters of a text that one call makes
	maxElements = 1 << 20 // of an array; the longest event has half as many
	maxBytes    = 8 << 20 // of an ArrayBuffer, also one below a typed array
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
	{[]string{"replace"}, (*scope).guardReplace}, // replaceAll, too
	{[]string{"parse"}, (*scope).guardParse},
	{[]string{"Array"}, (*scope).guardArray},
	{[]string{"Array("}, (*scope).guardJoin}, // of an array that was not written out
	{[]string{"ArrayBuffer", "8Array", "16Array", "32Array", "64Array", "8ClampedArray"}, (*scope).guardBuffers},
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

// length counts the UTF-16 units of a value's text; of what is no text nearly,
// as bytes.
func length(v goja.Value) float64 {
	if missing(v) {
		return 0
	}
	if text, ok := v.(goja.String); ok {
		return float64(text.Length())
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

// guardReplace counts beforehand what a replacement by a text makes. What the
// least thoughtful guess allows costs nothing more; else what is found is gone
// through once without making anything. A replacement by a function can be
// interrupted.
func (s *scope) guardReplace() {
	for _, name := range []string{"replace", "replaceAll"} {
		_, original := s.native("String", "prototype", name)
		s.wrap(func(c goja.FunctionCall) {
			pattern, object := c.Argument(0).(*goja.Object)
			if _, ok := goja.AssertFunction(c.Argument(1)); ok || missing(c.This) || object && pattern.ClassName() != "RegExp" {
				return
			}
			by := c.Argument(1).String()
			text, refs := length(c.This), float64(strings.Count(by, "$"))
			if (text+1)*(float64(len(by))+refs*text+1) <= maxText {
				return
			}
			size := text
			count := s.rt.ToValue(func(found goja.FunctionCall) goja.Value {
				size += float64(len(by))
				if refs > 0 {
					size += refs * s.longestPart(found.Arguments, by)
				}
				s.refuseText(name, size)
				return s.rt.ToValue("")
			})
			var at goja.Value
			if object {
				at = pattern.Get("lastIndex")
			}
			_, err := original(c.This, c.Argument(0), count)
			if err == nil && object {
				err = pattern.Set("lastIndex", at)
			}
			if err != nil {
				panic(err)
			}
		}, "String", "prototype", name)
	}
}

// longestPart is the most that one reference of a replacement stands for, by
// the arguments that a function in its place would get: what was found, its
// groups, its place, and the text.
func (s *scope) longestPart(arguments []goja.Value, by string) (longest float64) {
	for i, v := range arguments {
		if _, number := v.(goja.String); !number && i > 0 { // its place
			if strings.Contains(by, "$`") || strings.Contains(by, "$'") {
				longest = max(longest, length(arguments[min(i+1, len(arguments)-1)]))
			}
			break
		}
		longest = max(longest, length(v))
	}
	return longest
}

// guardJoin refuses texts that many elements, or what stands between them, make
// together.
func (s *scope) guardJoin() {
	s.wrap(func(c goja.FunctionCall) {
		o, ok := c.This.(*goja.Object)
		if !ok || o.ClassName() != "Array" {
			return
		}
		n := o.Get("length").ToFloat()
		between := 1.0
		if separator := c.Argument(0); !goja.IsUndefined(separator) {
			between = length(separator)
		}
		size := n * between
		s.refuseText("join", size)
		for i := range int(n) {
			if v := o.Get(strconv.Itoa(i)); goja.IsString(v) {
				size += length(v)
				s.refuseText("join", size)
			}
		}
	}, "Array", "prototype", "join")
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

// guardBuffers bounds what one call takes in bytes: they are there at once,
// before anybody can look.
func (s *scope) guardBuffers() {
	refuse := func(name string, n float64) {
		if n > maxBytes {
			s.refuse("%s of %.0f bytes; at most %d are taken", name, n, maxBytes)
		}
	}
	s.guardConstructor("ArrayBuffer", []string{"isView"}, func(argument goja.Value) {
		refuse("an ArrayBuffer", argument.ToFloat())
	})
	for name, size := range map[string]float64{
		"Int8Array": 1, "Uint8Array": 1, "Uint8ClampedArray": 1, "Int16Array": 2, "Uint16Array": 2, "Int32Array": 4, "Uint32Array": 4,
		"Float32Array": 4, "Float64Array": 8, "BigInt64Array": 8, "BigUint64Array": 8,
	} {
		check := func(argument goja.Value) {
			n := argument
			if o, ok := argument.(*goja.Object); ok {
				if n = o.Get("length"); o.ClassName() == "ArrayBuffer" || missing(n) {
					return
				}
			}
			refuse("a "+name, n.ToFloat()*size)
		}
		array := s.guardConstructor(name, nil, check)
		if array == nil {
			continue
		}
		if from, ok := goja.AssertFunction(array.Prototype().Get("from")); ok {
			s.define(array, "from", s.rt.ToValue(func(call goja.FunctionCall) goja.Value {
				check(call.Argument(0))
				v, err := from(call.This, call.Arguments...)
				if err != nil {
					panic(err)
				}
				return v
			}))
		}
	}
}

// guardConstructor puts check in front of a constructor, where the engine has
// it, and takes its functions over.
func (s *scope) guardConstructor(name string, functions []string, check func(goja.Value)) *goja.Object {
	v := s.rt.Get(name)
	if missing(v) {
		return nil
	}
	original := v.ToObject(s.rt)
	guarded := s.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		if !missing(call.Argument(0)) {
			check(call.Argument(0))
		}
		o, err := s.rt.New(original, call.Arguments...)
		if err == nil {
			err = o.SetPrototype(call.This.Prototype()) // of a class that extends it
		}
		if err != nil {
			panic(err)
		}
		return o
	}).ToObject(s.rt)
	prototype := original.Get("prototype")
	if err := errors.Join(guarded.Set("prototype", prototype), guarded.SetPrototype(original.Prototype())); err != nil {
		panic(err)
	}
	for _, f := range append(functions, "BYTES_PER_ELEMENT") {
		if v := original.Get(f); v != nil {
			s.define(guarded, f, v)
		}
	}
	s.define(prototype.ToObject(s.rt), "constructor", guarded)
	s.define(s.rt.GlobalObject(), name, guarded)
	return guarded
}

func (s *scope) define(o *goja.Object, name string, v goja.Value) {
	if err := o.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE); err != nil {
		panic(err)
	}
}
