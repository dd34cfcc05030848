// Package plugins is the one list of the providers that are built into relay.
// A provider is deleted with its directory and its line here.
package plugins

import (
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins/custom"
	"github.com/relay-sidecar/relay/plugins/slack"
)

// All makes every built-in provider, sorted by name. Nothing is opened.
func All() []plugin.Provider {
	return []plugin.Provider{
		custom.New(),
		slack.New(),
	}
}
