package post

import (
	"runtime/debug"
	"strings"
)

const module = "github.com/relay-sidecar/relay"

// Version is the version of relay that this executable was built from, or
// "devel".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	version := ""
	if info.Main.Path == module {
		version = info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			version = dep.Version
		}
	}
	if version = strings.TrimPrefix(version, "v"); version == "" || version == "(devel)" {
		return "devel"
	}
	return version
}
