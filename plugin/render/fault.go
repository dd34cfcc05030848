package render

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"

	"github.com/relay-sidecar/relay"
)

// fault words whatever ended a script and finds its place in the TypeScript.
func (s *scope) fault(x any) *relay.TemplateError {
	var exception *goja.Exception
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	switch x := x.(type) {
	case refusal:
		if x.place != nil {
			return s.at([]goja.StackFrame{*x.place}, x.message)
		}
		return s.at(nil, x.message)
	case rejection:
		return s.rejected(x.value)
	case error:
		switch {
		case errors.As(x, &interrupted):
			e := s.at(interrupted.Stack(), fmt.Sprint(interrupted.Value()))
			// The engine keeps no place for a loop without a body. Outside of
			// functions (below are the compiler's and the program) it can only be that.
			if name := sourceName(s.template.idle); name != "" && len(interrupted.Stack()) <= 2 {
				e.File, e.Line, e.Column = name, s.template.idle.Line, s.template.idle.Column+1
			}
			return e
		case errors.As(x, &overflow):
			return s.at(overflow.Stack(), fmt.Sprintf("calls nest deeper than %d levels; is there an endless recursion?", maxStack))
		case errors.As(x, &exception):
			return s.at(exception.Stack(), s.thrown(exception.Value()))
		}
	}
	return s.at(nil, fmt.Sprintf("the JavaScript engine failed: %v", x))
}

// at is an error at the first of the frames that lies in a source file.
func (s *scope) at(stack []goja.StackFrame, message string) *relay.TemplateError {
	e := &relay.TemplateError{File: s.template.name, Message: clip(message)}
	for i := range stack {
		place := stack[i].Position()
		if name := sourceName(place); name != "" {
			e.File, e.Line, e.Column = name, place.Line, place.Column+1 // source maps count columns from 0
			break
		}
	}
	return e
}

// idleLoop is the first loop without a body that stands in none of a program's
// functions, but the one that the compiler puts around all.
func idleLoop(p *ast.Program) (place file.Position) {
	if len(p.Body) != 1 {
		return place
	}
	statement, _ := p.Body[0].(*ast.ExpressionStatement)
	if statement == nil {
		return place
	}
	call, _ := statement.Expression.(*ast.CallExpression)
	if call == nil {
		return place
	}
	all, _ := call.Callee.(*ast.ArrowFunctionLiteral)
	if all == nil {
		return place
	}
	body, _ := all.Body.(*ast.BlockStatement)
	if body == nil {
		return place
	}
	for _, statement := range body.List {
		var inner ast.Statement
		switch loop := statement.(type) {
		case *ast.ForStatement:
			inner = loop.Body
		case *ast.WhileStatement:
			inner = loop.Body
		case *ast.DoWhileStatement:
			inner = loop.Body
		default:
			continue
		}
		block, _ := inner.(*ast.BlockStatement)
		if _, empty := inner.(*ast.EmptyStatement); empty || block != nil && len(block.List) == 0 {
			return p.File.Position(int(inner.Idx0()) - p.File.Base()) // the loop itself has none in a source map
		}
	}
	return place
}

// sourceName is the file of a place; empty where there is no source map, as in
// code that the compiler added.
func sourceName(place file.Position) string {
	if place.Line == 0 || place.Filename == "" || place.Filename == "." { // the latter of module "relay"
		return ""
	}
	if name, err := url.PathUnescape(place.Filename); err == nil {
		return name
	}
	return place.Filename
}

// thrown words a thrown value: an error by its name and message, anything else
// as JSON.
func (s *scope) thrown(v goja.Value) (text string) {
	defer func() {
		// Getters and toString run scripts, which may throw once more.
		if x := recover(); x != nil {
			text = "threw a value that cannot be shown"
		}
	}()
	o, ok := v.(*goja.Object)
	if !ok {
		if v == nil {
			v = goja.Undefined()
		}
		if goja.IsString(v) {
			return "threw " + strconv.Quote(v.String())
		}
		return "threw " + v.String()
	}
	if o.ClassName() == "Error" {
		return o.String()
	}
	raw, err := s.encode(o, maxErrorText)
	if err != nil {
		return "threw " + describe(v)
	}
	return "threw " + string(raw)
}

// frame finds a place in the text of an error's stack, which is all that is
// left of where an async function threw.
var frame = regexp.MustCompile(`\n\s*at (?:.* \()?([^()\n]+):(\d+):(\d+)\(\d+\)`)

func (s *scope) rejected(v goja.Value) *relay.TemplateError {
	e := &relay.TemplateError{File: s.template.name, Message: clip(s.thrown(v))}
	o, ok := v.(*goja.Object)
	if !ok || o.ClassName() != "Error" {
		return e
	}
	var stack string
	if s.rt.Try(func() { stack = o.Get("stack").String() }) != nil {
		return e
	}
	if m := frame.FindStringSubmatch(stack); m != nil && m[1] != "<eval>" {
		e.File = m[1]
		if name, err := url.PathUnescape(m[1]); err == nil {
			e.File = name
		}
		e.Line, _ = strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		e.Column = column + 1
	}
	return e
}

// compileFault words what the engine has against a program. relay's compiler
// has read the source before, so this is rare.
func compileFault(name string, err error) *relay.TemplateError {
	e := &relay.TemplateError{File: name, Message: clip(err.Error())}
	var syntax *goja.CompilerSyntaxError
	if errors.As(err, &syntax) && syntax.File != nil {
		place := syntax.File.Position(syntax.Offset)
		e.Message = clip("SyntaxError: " + syntax.Message)
		if source := sourceName(place); source != "" {
			e.File, e.Line, e.Column = source, place.Line, place.Column+1
		}
	}
	return e
}

// describe names a value's kind for people.
func describe(v goja.Value) string {
	switch {
	case v == nil || goja.IsUndefined(v):
		return "undefined"
	case goja.IsNull(v):
		return "null"
	case goja.IsString(v):
		return "a string"
	case goja.IsNumber(v):
		return "a number"
	case goja.IsBigInt(v):
		return "a BigInt"
	}
	o, ok := v.(*goja.Object)
	if !ok {
		if _, symbol := v.(*goja.Symbol); symbol {
			return "a symbol"
		}
		return "a boolean"
	}
	if _, ok := goja.AssertFunction(o); ok {
		return "a function"
	}
	switch class := o.ClassName(); class {
	case "Object":
		return "an object"
	case "Array", "Error":
		return "an " + strings.ToLower(class)
	default:
		return "a " + class
	}
}

// clip cuts an error's text at a rune.
func clip(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	n := maxErrorText
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
