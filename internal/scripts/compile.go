package scripts

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Compiled is what became of one entry.
type Compiled struct {
	Name     string
	Code     []byte
	Problems []relay.TemplateError // not empty: there is no code
	Inputs   []string              // every file that was looked at, sorted; of a failed entry perhaps not all
}

// target is the newest language that the engine is known to run whole. Newer
// syntax is rewritten, but for what is listed in supported: the engine knows
// that as well, and runs it faster than its rewritten form.
const target = api.ES2017

func supported() map[string]bool {
	return map[string]bool{
		"class-field":                  true,
		"class-private-field":          true,
		"class-private-method":         true,
		"class-static-field":           true,
		"logical-assignment":           true,
		"nullish-coalescing":           true,
		"object-rest-spread":           true,
		"optional-catch-binding":       true,
		"optional-chain":               true,
		"regexp-dot-all-flag":          true,
		"regexp-lookbehind-assertions": true,
		"regexp-named-capture-groups":  true,
	}
}

// Compile bundles each entry with what it imports from files, whose keys are
// paths below the templates directory, and loads each once. It is a pure
// function. Source can be written that crashes the bundler or the engine with
// its process: call it where that may happen. A problem that is Fatal runs on in
// the process, which is to be ended.
func Compile(files map[string][]byte, entries []string) []Compiled {
	scanned := make(map[string][]relay.TemplateError, len(files))
	for name, source := range files {
		scanned[name] = scan(name, source)
	}
	all := make([]Compiled, len(entries))
	for i, entry := range entries {
		all[i] = compile(files, scanned, entry)
	}
	return all
}

func isScript(name string) bool {
	return strings.HasSuffix(name, ".ts") || strings.HasSuffix(name, ".js")
}

const (
	sourcesDirectory = "sources/" // source scripts, which may export answer as well

	filesSpace = "templates" // the bundler's name for our files
	relaySpace = "relay"     // and for module "relay"
	entryFile  = "<entry>"   // and for the few lines that hand the exports over
)

func compile(files map[string][]byte, scanned map[string][]relay.TemplateError, entry string) Compiled {
	c := Compiled{Name: entry}
	if _, ok := files[entry]; !ok {
		c.Problems = []relay.TemplateError{{File: entry, Message: "there is no such file"}}
		return c
	}
	b := bundle{files: files, scanned: scanned}
	quoted := strconv.Quote("./" + entry)
	// Both forms of import: the first one makes a missing default export an
	// error, the second one lets an export named answer be missing.
	stub := fmt.Sprintf("import template, * as script from %s;\n%s(\"default\", template);\n", quoted, render.Hook)
	if strings.HasPrefix(entry, sourcesDirectory) {
		stub += fmt.Sprintf("%s(\"answer\", script.answer);\n", render.Hook)
	}
	result := api.Build(api.BuildOptions{
		Stdin:             &api.StdinOptions{Contents: stub, Sourcefile: entryFile, Loader: api.LoaderJS},
		Bundle:            true,
		Outfile:           "out.js",
		AbsWorkingDir:     "/",
		Format:            api.FormatIIFE,
		Platform:          api.PlatformNeutral,
		Target:            target,
		Supported:         supported(),
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		Sourcemap:         api.SourceMapExternal,
		SourcesContent:    api.SourcesContentExclude,
		Metafile:          true,
		TsconfigRaw:       "{}", // nothing outside decides what a template means
		LogLevel:          api.LogLevelSilent,
		ResolveExtensions: []string{".ts", ".js"},
		Plugins:           []api.Plugin{{Name: "templates", Setup: b.setup}},
	})
	c.Inputs = b.inputs()
	for _, m := range result.Errors {
		c.Problems = append(c.Problems, problem(entry, m))
	}
	if len(c.Problems) == 0 {
		c.Problems = b.judge(result.Metafile, entry)
	}
	if len(c.Problems) > 0 {
		return c
	}
	code, err := joinSourceMap(result.OutputFiles)
	switch {
	case err != nil:
		c.Problems = []relay.TemplateError{{File: entry, Message: err.Error()}}
	case len(code) > maxBundle:
		c.Problems = []relay.TemplateError{{File: entry, Message: fmt.Sprintf(
			"it is %d KiB with all that it imports; at most %d KiB are taken", len(code)>>10, maxBundle>>10)}}
	default:
		if fault := load(entry, files[entry], code); fault != nil {
			c.Problems = []relay.TemplateError{*fault}
			return c
		}
		c.Code = code
	}
	return c
}

// exported finds where a default export is.
var exported = regexp.MustCompile(`\bexport\s+default\b|\bas\s+default\b`)

// load has the engine load a program once: what cannot be loaded, or has no
// function to call, would fail in every render.
func load(entry string, source, code []byte) *relay.TemplateError {
	template, err := render.New(relay.Program{Name: entry, Code: code})
	if err != nil {
		if fault, ok := err.(*relay.TemplateError); ok {
			return fault
		}
		return &relay.TemplateError{File: entry, Message: err.Error()}
	}
	fault := template.Check()
	if at := exported.FindIndex(source); fault != nil && fault.Line == 0 && strings.HasPrefix(fault.Message, render.NoFunction) && at != nil {
		before := source[:at[0]]
		fault.Line = bytes.Count(before, []byte("\n")) + 1
		fault.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	}
	return fault
}

// problem is one of the bundler's messages, at its place.
func problem(entry string, m api.Message) relay.TemplateError {
	text := strings.NewReplacer(relaySpace+":relay", "relay", filesSpace+":", "").Replace(m.Text)
	if p, ok := m.Detail.(relay.TemplateError); ok {
		return p
	}
	for _, n := range m.Notes {
		if n.Location == nil && n.Text != "" {
			text += " (" + n.Text + ")"
		}
	}
	if m.Location == nil {
		return relay.TemplateError{File: entry, Message: text}
	}
	file := strings.TrimPrefix(m.Location.File, filesSpace+":")
	if file == entryFile {
		return noDefault(entry)
	}
	if strings.HasPrefix(text, "Top-level await is not available") || strings.Contains(text, `"await"`) && strings.Contains(text, "async") {
		text = "a template cannot wait: leave await out; everything is in event and ctx"
	}
	// The bundler counts columns in bytes from 0, people count characters from 1.
	before := m.Location.LineText[:min(m.Location.Column, len(m.Location.LineText))]
	return relay.TemplateError{File: file, Line: m.Location.Line, Column: utf8.RuneCountInString(before) + 1, Message: text}
}

func noDefault(entry string) relay.TemplateError {
	return relay.TemplateError{File: entry, Line: 1, Column: 1,
		Message: "there is no default export; write: export default function (event, ctx) { … }"}
}
