package scripts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Explain adds to a fault of a running program the lines around its place and,
// where one can be told, the remedy. event is what it was run with, or nil.
func Explain(p *relay.Program, e *relay.TemplateError, event json.RawMessage) {
	source := p.Sources[e.File].Text
	if source == nil {
		return
	}
	e.Frame = frame(source, e.Line, e.Column)
	e.Hint = hint(e.Message, lineOf(source, e.Line), event)
	if e.Hint == "" && nothing.MatchString(e.Message) {
		e.Hint = misspelt(string(source))
	}
}

func lineOf(source []byte, line int) string {
	lines := bytes.Split(source, []byte("\n"))
	if line < 1 || line > len(lines) {
		return ""
	}
	return string(lines[line-1])
}

// shape is what is known of an object: its properties. nil means that anything
// may be in it.
type shape map[string]shape

// shapes of the two arguments, as relay.d.ts declares them.
func shapes() map[string]shape {
	person := shape{"id": {}, "name": {}, "email": {}, "phone": {}, "ids": nil}
	return map[string]shape{
		"event": {
			"id": {}, "type": {}, "source": {}, "time": {}, "level": {}, "title": {}, "description": {}, "link": {},
			"actor": person, "project": nil, "issue": nil, "recipients": nil, "data": nil,
		},
		"ctx": {
			"destination": {}, "provider": {}, "direct": {}, "recipient": person, "language": {}, "time_zone": {}, "now": {},
		},
	}
}

// otherwise is what other systems call the same.
var otherwise = map[string]string{
	"user": "actor", "author": "actor", "creator": "actor", "sender": "actor", "by": "actor",
	"url": "link", "href": "link", "body": "description", "text": "description", "message": "description", "summary": "title",
	"severity": "level", "priority": "level", "timestamp": "time", "created": "time", "users": "recipients", "payload": "data",
	"timezone": "time_zone", "timeZone": "time_zone", "tz": "time_zone", "locale": "language", "lang": "language", "channel": "destination",
	"mail": "email", "mobile": "phone",
}

var (
	readOfNothing = regexp.MustCompile(`^TypeError: Cannot read property '([^']+)' of (undefined|null)`)
	notDefined    = regexp.MustCompile(`^ReferenceError: ([\w$]+) is not defined`)
	noMember      = regexp.MustCompile(`Object has no member '([\w$]+)'|([\w$]+) is not a function`)
	noKey         = regexp.MustCompile(`(?:there is|has) no key "([^"]+)"; (?:there are|it has) (.+)$`)
	nothing       = regexp.MustCompile(`message is empty|empty string|has no text`)
	chain         = regexp.MustCompile(`\b(event|ctx)((?:\??\.[A-Za-z_$][\w$]*)+)`)
)

// instead is what there is in place of what other engines have: words, then the
// names.
var instead = [][2]string{
	{"there is no console: put what you want to see into the message, and look at it with relay preview", "console"},
	{"there is no Intl: formatTime of module \"relay\" writes times, and t translates", "Intl"},
	{"a template sees no process and no environment: what it needs belongs into the event's data", "process Deno Bun"},
	{"a template reaches no network: what it needs belongs into the event's data", "fetch XMLHttpRequest WebSocket"},
	{"a template cannot wait: everything is in event and ctx", "setTimeout setInterval setImmediate queueMicrotask"},
	{"a template runs in no browser: everything is in event and ctx", "window document navigator"},
	{"code is not made at run time: write a function", "eval Function"},
}

// methods are the functions of texts and lists that templates call.
var methods = strings.Fields(`at charAt concat endsWith entries every filter find findIndex flat flatMap forEach includes indexOf join keys
	lastIndexOf localeCompare map match matchAll padEnd padStart pop push reduce repeat replace replaceAll reverse search slice some sort splice
	split startsWith substring toFixed toISOString toLowerCase toSorted toString toUpperCase trim trimEnd trimStart values`)

// hint is the remedy for an error at a line, or nothing.
func hint(message, line string, event json.RawMessage) string {
	switch {
	case strings.HasPrefix(message, "the default export returned undefined"):
		return "is a return missing?"
	case strings.HasSuffix(message, "a promise that never settles; templates cannot wait"):
		return "a template has everything in event and ctx; leave await and Promise out"
	}
	if m := readOfNothing.FindStringSubmatch(message); m != nil {
		return hintPath(line, m[1], event)
	}
	if m := noKey.FindStringSubmatch(message); m != nil {
		return didYouMean("", nearest(m[1], strings.Fields(strings.NewReplacer(",", " ", " and ", " ").Replace(m[2]))))
	}
	if m := notDefined.FindStringSubmatch(message); m != nil {
		if slices.Contains(render.Helpers(), m[1]) {
			return fmt.Sprintf("import { %s } from \"relay\"", m[1])
		}
		for _, other := range instead {
			if slices.Contains(strings.Fields(other[1]), m[1]) {
				return other[0]
			}
		}
		return didYouMean("", nearest(m[1], append(render.Helpers(), "event", "ctx")))
	}
	if m := noMember.FindStringSubmatch(message); m != nil {
		return didYouMean("", nearest(m[1]+m[2], methods))
	}
	return ""
}

// hintPath looks for the path on the line whose last step but one gave nothing.
func hintPath(line, property string, event json.RawMessage) string {
	for _, m := range chain.FindAllStringSubmatch(line, -1) {
		steps := strings.Split(strings.ReplaceAll(m[2], "?.", "."), ".")[1:]
		last := slices.Index(steps, property)
		if last < 1 {
			continue
		}
		if i, better := unknown(m[1], steps[:last]); i >= 0 {
			return didYouMean(strings.Join(append([]string{m[1]}, steps[:i]...), ".")+".", better, steps[i+1:last+1]...)
		}
		where := strings.Join(append([]string{m[1]}, steps[:last]...), ".")
		if m[1] == "event" && event != nil {
			return fmt.Sprintf("this event has no %s; write %s?.%s", where, where, property)
		}
		return fmt.Sprintf("%s can be missing; write %s?.%s", where, where, property)
	}
	return ""
}

// unknown is the first step that there is not, and what may be meant by it.
func unknown(argument string, steps []string) (at int, better string) {
	known := shapes()[argument]
	for i, step := range steps {
		if known == nil {
			break
		}
		below, ok := known[step]
		if ok {
			known = below
			continue
		}
		var names []string
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		better := nearest(step, names)
		if other := otherwise[step]; better == "" && slices.Contains(names, other) {
			better = other
		}
		return i, better
	}
	return -1, ""
}

// misspelt looks through a source whose message came out empty for what there
// is not in an event.
func misspelt(source string) string {
	for _, m := range chain.FindAllStringSubmatch(source, -1) {
		steps := strings.Split(strings.ReplaceAll(m[2], "?.", "."), ".")[1:]
		if i, better := unknown(m[1], steps[:1]); i == 0 && better != "" {
			return fmt.Sprintf("there is no %s.%s; did you mean %s.%s?", m[1], steps[0], m[1], better)
		}
	}
	return ""
}

func didYouMean(before, name string, after ...string) string {
	if name == "" {
		return ""
	}
	return "did you mean " + strings.Join(append([]string{before + name}, after...), ".") + "?"
}

// nearest is the candidate that is most like a name, if any is.
func nearest(name string, candidates []string) string {
	best, distance := "", 1+min(2, len(name)/2)
	for _, c := range candidates {
		if d := edits(strings.ToLower(name), strings.ToLower(c)); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits counts the letters to insert, drop, replace or swap between two names.
func edits(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
