// Command relay-plugin-ntfy is a plugin of relay that publishes to topics of
// ntfy (https://ntfy.sh, or a server of one's own), which shows them on phones
// and desktops. It is an example of a third party's plugin: a module of its own
// that knows nothing of relay's inside.
package main

import (
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

func main() {
	plugin.Serve(&provider{client: post.New(post.Options{UserAgent: "relay-plugin-ntfy/" + version})})
}
