package scripts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
)

// meta is what the bundler tells of the files that it used.
type meta struct {
	Inputs map[string]struct {
		Format  string `json:"format"`
		Imports []struct {
			Path string `json:"path"`
		} `json:"imports"`
	} `json:"inputs"`
}

// judge says what the bundler takes and a template may not do.
func (b *bundle) judge(metafile, entry string) []relay.TemplateError {
	var m meta
	// A file without any import or export, such as an empty one, is taken for
	// CommonJS, in which any export may appear later.
	if json.Unmarshal([]byte(metafile), &m) != nil || m.Inputs[filesSpace+":"+entry].Format != "esm" {
		return []relay.TemplateError{noDefault(entry)}
	}
	if circle := m.circle(nil, filesSpace+":"+entry, map[string]bool{}); circle != nil {
		return []relay.TemplateError{b.inCircle(circle)}
	}
	return nil
}

// circle is a way of imports that leads back to where it began, or nil. way
// leads to file, and done is what was found to be free of one.
func (m *meta) circle(way []string, file string, done map[string]bool) []string {
	if i := slices.Index(way, file); i >= 0 {
		return append(way[i:], file)
	}
	if done[file] {
		return nil
	}
	way = append(slices.Clip(way), file)
	for _, i := range m.Inputs[file].Imports {
		if c := m.circle(way, i.Path, done); c != nil {
			return c
		}
	}
	done[file] = true
	return nil
}

// inCircle is refused because what such files have of each other depends on
// which is read first: the next edit turns a good template into one that reads
// what is not there yet.
func (b *bundle) inCircle(circle []string) relay.TemplateError {
	for i := range circle {
		circle[i] = strings.TrimPrefix(circle[i], filesSpace+":")
	}
	e := relay.TemplateError{File: circle[0], Message: fmt.Sprintf(
		"imports go in a circle: %s; move what they share into a file of its own", strings.Join(circle, " → "))}
	e.Line, e.Column = b.importOf(circle[0], circle[1])
	return e
}

var specifier = regexp.MustCompile(`(?:from|import)\s*["'](\.[^"']+)["']`)

// importOf is where a file imports another, or nowhere.
func (b *bundle) importOf(importer, imported string) (line, column int) {
	source := b.files[importer]
	for _, at := range specifier.FindAllSubmatchIndex(source, -1) {
		if slices.Contains(candidates(path.Join(path.Dir(importer), string(source[at[2]:at[3]]))), imported) {
			before := source[:at[2]-1]
			return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
		}
	}
	return 0, 0
}
