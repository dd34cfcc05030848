// Package templates holds what ships with relay for scripts: the default
// template of every event type of the catalogue, the source scripts, the
// translations, and the types for editors. A file of the same path in the
// operator's directory takes its place.
package templates

import (
	"embed"
	"io/fs"
)

//go:embed *.ts custom lib locales sources
var files embed.FS

// FS is the templates directory as it was when relay was built.
func FS() fs.FS { return files }
