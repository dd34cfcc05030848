// Package templates holds what ships with relay for scripts: the default
// template of every event type of the catalogue, the source scripts, the
// translations, and the types for editors. A file of the same path in the
// operator's directory takes its place.
package templates

import (
	"embed"
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed *.ts samples.json custom lib locales sources
var files embed.FS

// FS is the templates directory as it was when relay was built.
func FS() fs.FS { return files }

// Sources names the source scripts that ship, whose doors need no configuration.
func Sources() []string {
	entries, err := files.ReadDir("sources")
	if err != nil {
		panic("templates: " + err.Error()) // the program itself is wrong
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	return names
}

// Sample is an event of a type of the catalogue as an app would send it, but
// for its id, type, source, time and recipients: what tests and previews show.
func Sample(eventType string) (json.RawMessage, bool) {
	sample, ok := samples()[eventType]
	return sample, ok
}

var samples = sync.OnceValue(func() map[string]json.RawMessage {
	var all map[string]json.RawMessage
	raw, err := files.ReadFile("samples.json")
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		panic("templates: samples.json: " + err.Error()) // the program itself is wrong
	}
	return all
})
