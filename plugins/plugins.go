// Package plugins is the one list of the providers that are built into relay.
// A provider is deleted with its directory and its line here.
package plugins

import (
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugins/custom"
	"github.com/relay-sidecar/relay/plugins/dingtalk"
	"github.com/relay-sidecar/relay/plugins/discord"
	"github.com/relay-sidecar/relay/plugins/feishu"
	"github.com/relay-sidecar/relay/plugins/slack"
	"github.com/relay-sidecar/relay/plugins/teams"
	"github.com/relay-sidecar/relay/plugins/wecom"
)

// All makes every built-in provider, sorted by name. Nothing is opened.
func All() []plugin.Provider {
	return []plugin.Provider{
		custom.New(),
		dingtalk.New(),
		discord.New(),
		feishu.New(),
		slack.New(),
		teams.New(),
		wecom.New(),
	}
}
